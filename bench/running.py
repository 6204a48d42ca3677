"""Servers that run and are set up for the load."""

import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.target import NotInstalled, Target
from bench.work import Work

_begun = time.monotonic()


def say(text: str) -> None:
    """Print progress, with the seconds since the start."""
    print(f"{time.monotonic() - _begun:6.0f} s  {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def running(works: Sequence[Work]) -> AsyncIterator[None]:
    """Run the servers. They are set up at the first run; later runs keep what they have stored."""
    try:
        for work in works:
            first = not work.users or not work.target.keeps_state
            if first:
                work.target.clear()
            work.target.start()
            if first:
                say(f"  {work.target.name}: {work.target.title}")
                await work.set_up()
        yield
    finally:
        for work in works:
            work.pool.close()
            work.target.stop()


def installed(targets: Sequence[Target]) -> tuple[list[Target], dict[str, str]]:
    """Return the targets that can be run here, and why the others cannot, by title."""
    here, missing = [], {}
    for target in targets:
        try:
            target.install()
        except NotInstalled as reason:
            missing[target.title] = str(reason)
        else:
            here.append(target)
    return here, missing
