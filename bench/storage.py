"""How much space grants take in the database, and what folding the log again costs."""

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from bench.ours import Ours
from bench.running import running, say
from bench.target import Target, clean_environment
from bench.work import Work

CODE_EXPIRES_IN = 10
"""The lifetime of our codes in seconds. Short, because the storage is measured after they were deleted."""

NUDGES = 16
"""The number of writes that let the server delete expired rows."""

NUDGE_EVERY = 1.1
"""Seconds between these writes: the server deletes at most a thousand rows, once a second."""

_FOLD = Path(__file__).with_name("fold.py")


class Storage(Struct, frozen=True):
    """MB of 10,000 grants: pages in use, with the log. `tables` holds the growth of each table and index."""

    target: str
    grants: int
    mb: float
    tables: dict[str, int]


class Folding(Struct, frozen=True):
    """CPU seconds for a log of `events` events."""

    target: str
    events: int
    decode: float
    replay: float
    rebuild: float


async def measure(
    targets: Sequence[Target], grants: int, *, fold: bool
) -> tuple[list[Storage], list[Folding]]:
    """Open grants on each server that has a database. With `fold`, replay and rebuild the ledgers of ours."""
    stored, folded = [], []
    for target in targets:
        if target.database is None:
            continue
        say(f"storage: {grants:,} grants")
        work = Work(target, 16)
        async with running([work]):
            stored.append(await _stored(work, grants))
        say(f"  {stored[-1].mb:.1f} MB for 10,000 grants: {_largest(stored[-1])}")
        if fold and isinstance(target, Ours):
            folded.append(_folded(target))
            say(f"  {folded[-1]}")
    return stored, folded


def _largest(stored: Storage) -> str:
    sizes = sorted(stored.tables.items(), key=lambda table: -table[1])[:6]
    return ", ".join(f"{name} {size / stored.grants / 100:.1f}" for name, size in sizes)


async def _stored(work: Work, grants: int) -> Storage:
    await _expire(work)
    before = _used(work.target)
    await work.grants(grants)
    nudges, tables = await _expire(work), _used(work.target)
    # Nothing is left to delete, so this nudge shows what each nudge has added.
    at_rest = sum(tables.values())
    await _nudge(work)
    nudge = sum(_used(work.target).values()) - at_rest
    growth = at_rest - sum(before.values()) - nudges * max(0, nudge)
    grown = {name: size - before.get(name, 0) for name, size in tables.items()}
    return Storage(work.target.name, grants, round(growth / grants / 100, 2), grown)


async def _expire(work: Work) -> int:
    """Wait until codes have expired, and write until nothing more is deleted. Return how often."""
    if not isinstance(work.target, Ours):
        return 0
    await asyncio.sleep(CODE_EXPIRES_IN + 1)
    nudges, used = 0, sum(_used(work.target).values())
    while True:
        await asyncio.sleep(NUDGE_EVERY)
        await _nudge(work)
        nudges, last, used = nudges + 1, used, sum(_used(work.target).values())
        if used >= last:
            return nudges


async def _nudge(work: Work) -> None:
    await work.pool.run(NUDGES, 1, lambda connection, _: work.target.register(connection))


def _used(target: Target) -> dict[str, int]:
    """Return the bytes of the pages of each table and index. Pages that were freed do not count."""
    with closing(sqlite3.connect(f"file:{target.database}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))


def _folded(target: Ours) -> Folding:
    ran = subprocess.run(
        [target.python, _FOLD, target.database],
        cwd=target.directory,
        env=clean_environment() | target.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Folding(target=target.name, **json.loads(ran.stdout))
