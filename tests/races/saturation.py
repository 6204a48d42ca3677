"""Processes that append as fast as they can to one file, and somebody who watches the machine meanwhile."""

import asyncio
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.ledger import facts
from adapters.ledger.storage import a_ledger
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.sqlite_ledger import microseconds_now

APPENDERS = 400
"""In each process, several batches of them: its writer finds the next batch waiting whenever it is done."""

WARM_UP = 0.5
"""Seconds that count for nothing, at both ends."""


class Saturation(Struct, frozen=True):
    """What processes achieved side by side: appends and the longest wait of each, in seconds.

    `standstill` is how long, at worst, somebody without any part in it waited for the machine.
    """

    appends: list[int]
    waits: list[float]
    standstill: float

    @property
    def slowest_share(self) -> float:
        """The slowest one's appends, as a part of the mean."""
        return min(self.appends) * len(self.appends) / sum(self.appends)

    def __str__(self) -> str:
        return (
            f"appends {self.appends}, the slowest writes {self.slowest_share:.2f} of the mean, "
            f"the longest wait is {max(self.waits):.3f} s (the machine's own {self.standstill:.3f} s)"
        )


def saturated(path: Path, *, processes: int, seconds: float) -> Saturation:
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(processes + 1), spawn.Queue()
    writing = [
        spawn.Process(target=saturate, args=(path, barrier, results, number, seconds))
        for number in range(processes)
    ]
    for process in writing:
        process.start()
    barrier.wait(60)
    with watched_machine(path.with_name("canary")) as standstills:
        achieved = [results.get(timeout=seconds + 60) for _ in writing]
    for process in writing:
        process.join(30)
    return Saturation([appends for appends, _ in achieved], [wait for _, wait in achieved], max(standstills))


def saturate(path: Path, barrier: Any, results: Any, number: int, seconds: float) -> None:
    """Put how many appends this process got done, and the longest that one of them took."""
    results.put(asyncio.run(_saturate(path, barrier, number, seconds)))


async def _saturate(path: Path, barrier: Any, number: int, seconds: float) -> tuple[int, float]:
    ledger = a_ledger(Database(path), now=microseconds_now, random_bits=random.getrandbits)
    await ledger.open()
    barrier.wait(60)
    begin = time.monotonic() + WARM_UP
    end = begin + seconds
    waits: list[float] = []

    async def append_and_append(appender: int) -> None:
        count = 0
        while (asked := time.monotonic()) < end + WARM_UP:
            await ledger.record([facts.issued(f"{number}-{appender}-{count}")], facts.SOMEBODY)
            count += 1
            if begin <= (answered := time.monotonic()) < end:
                waits.append(answered - asked)

    await asyncio.gather(*(append_and_append(appender) for appender in range(APPENDERS)))
    await ledger.close()
    return len(waits), max(waits, default=seconds)


@contextmanager
def watched_machine(canary: Path) -> Iterator[list[float]]:
    """Sleep a little and sync a file of its own, again and again; note by how much each took too long."""
    late = [0.0]
    over = threading.Event()

    def watch() -> None:
        with canary.open("wb", buffering=0) as file:
            while not over.is_set():
                begun = time.monotonic()
                time.sleep(0.01)
                file.write(b"x")
                os.fsync(file.fileno())
                late.append(time.monotonic() - begun - 0.01)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield late
    finally:
        over.set()
        watching.join()
