"""Processes that append to one ledger as fast as they can, and a measurement of the machine meanwhile."""

import asyncio
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from adapters.ledger import facts
from adapters.ledger.storage import a_ledger
from grantledger.adapters.ledger.ledger import microseconds_now
from support.stores import Ledger, database_at
from support.timeouts import TIMEOUT

APPENDERS = 200
"""Appenders in each process: more than a batch takes, so that its writer always finds a queue."""

WARM_UP = 0.5
"""Seconds at the start and at the end that are not measured."""

SHARE = 0.25
"""The slowest process must write at least this share of the mean."""

WAIT = 1.0
"""No append may wait longer than these seconds."""


class Saturation(Struct, frozen=True):
    """What processes achieved in parallel: appends and the longest wait of each, in seconds.

    `standstill` is the longest delay of a thread that only sleeps, `sync` the longest sync of another file,
    and `others` the part of the machine's time that other processes or the hypervisor took.
    """

    appends: list[int]
    waits: list[float]
    standstill: float
    sync: float
    others: float

    @property
    def is_fair(self) -> bool:
        return self.slowest_share >= SHARE and max(self.waits) <= WAIT

    @property
    def is_conclusive(self) -> bool:
        """Whether the machine was free enough that a bad result is the fault of our code."""
        return max(self.standstill, self.sync, self.others) < 0.25

    @property
    def slowest_share(self) -> float:
        """The appends of the slowest process, as a share of the mean."""
        return min(self.appends) * len(self.appends) / sum(self.appends)

    def __str__(self) -> str:
        return (
            f"appends {self.appends}, the slowest writes {self.slowest_share:.2f} of the mean, "
            f"the longest wait is {max(self.waits):.3f} s "
            f"(the machine stood still for {self.standstill:.3f} s, a sync took {self.sync:.3f} s, and "
            f"{self.others:.0%} of the time went to others)"
        )


def saturated(ledger: Ledger, directory: Path, *, processes: int, seconds: float) -> Saturation:
    """Let processes append to this ledger, and measure them, the machine and the disk of the directory."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(processes + 1), spawn.Queue()
    writing = [
        spawn.Process(target=saturate, args=(ledger, barrier, results, number, seconds))
        for number in range(processes)
    ]
    for process in writing:
        process.start()
    barrier.wait(TIMEOUT)
    before = _machine_time()
    with watched_machine() as standstills, watched_disk(directory) as syncs:
        achieved = [results.get(timeout=seconds + TIMEOUT) for _ in writing]
    busy, capacity = (now - then for now, then in zip(_machine_time(), before, strict=True))
    for process in writing:
        process.join(TIMEOUT)
    return Saturation(
        [one.appends for one in achieved],
        [one.longest_wait for one in achieved],
        max(standstills),
        max(syncs),
        (busy - sum(one.cpu for one in achieved)) / capacity,
    )


def _machine_time() -> tuple[float, float]:
    """Return the seconds for which the processors were busy, and all of their seconds."""
    first, *_ = Path("/proc/stat").read_text().splitlines()
    spent = [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in first.split()[1:9]]
    return sum(spent) - sum(spent[3:5]), sum(spent)


class Achieved(NamedTuple):
    """What one process did. `cpu` is its processor time in seconds since all processes began."""

    appends: int
    longest_wait: float
    cpu: float


def saturate(ledger: Ledger, barrier: Any, results: Any, number: int, seconds: float) -> None:
    """Append in this process, and put its figures into the queue `results`."""
    results.put(asyncio.run(_saturate(ledger, barrier, number, seconds)))


async def _saturate(where: Ledger, barrier: Any, number: int, seconds: float) -> Achieved:
    ledger = a_ledger(database_at(where), now=microseconds_now, random_bits=random.getrandbits)
    await ledger.open()
    barrier.wait(TIMEOUT)
    cpu = time.process_time()
    begin = time.monotonic() + WARM_UP
    end = begin + seconds
    waits = [0.0]
    appends = 0

    async def append_and_append(appender: int) -> None:
        nonlocal appends
        count = 0
        while (asked := time.monotonic()) < end + WARM_UP:
            await ledger.record([facts.issued(f"{number}-{appender}-{count}")], facts.OPERATOR)
            count += 1
            answered = time.monotonic()
            appends += begin <= answered < end
            if (
                asked < end and answered >= begin
            ):  # including appends that are still queued when the time is up
                waits.append(answered - asked)

    await asyncio.gather(*(append_and_append(appender) for appender in range(APPENDERS)))
    cpu = time.process_time() - cpu
    await ledger.close()
    return Achieved(appends, max(waits), cpu)


@contextmanager
def watched_machine() -> Iterator[list[float]]:
    """Measure the delays of a thread that only sleeps, in seconds: they are not caused by the disk."""
    with _repeated(lambda: None) as took:
        yield took


@contextmanager
def watched_disk(directory: Path) -> Iterator[list[float]]:
    """Write and sync a file every 0.05 s, and measure the seconds that each sync takes."""
    with (directory / "probe").open("wb", buffering=0) as probe:

        def sync() -> None:
            probe.write(b"x")
            os.fsync(probe.fileno())

        with _repeated(sync, pause=0.05) as took:
            yield took


@contextmanager
def _repeated(do: Callable[[], object], *, pause: float = 0.01) -> Iterator[list[float]]:
    """Sleep for the pause and call `do`, repeatedly. Measure the seconds of each turn beyond its pause."""
    took = [0.0]
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            begun = time.monotonic()
            time.sleep(pause)
            do()
            took.append(time.monotonic() - begun - pause)

    repeating = threading.Thread(target=repeat)
    repeating.start()
    try:
        yield took
    finally:
        over.set()
        repeating.join()
