"""Several processes on one file: one log."""

import multiprocessing
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import closing

import pytest

from adapters.ledger import processes
from adapters.ledger.storage import WatchedDatabase, rows_of

APPENDS = 400


def written_by_two(
    database: WatchedDatabase, meanwhile: Callable[[], object], *, racing: bool
) -> dict[str, list[int]]:
    """Let two processes record as many grants, and do something again and again as long as one of them lives.

    Returns how many appends of each were recorded and how many met a conflict.
    """
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    writing = [
        spawn.Process(
            target=processes.record_many,
            args=(database.path, barrier, results, name, APPENDS),
            kwargs={"racing": racing},
        )
        for name in ("one", "two")
    ]
    for process in writing:
        process.start()
    while any(process.is_alive() for process in writing):
        meanwhile()
    return {name: counts for name, *counts in (results.get(timeout=60) for _ in writing)}


@pytest.mark.parametrize("racing", [False, True])
def test_two_processes_write_one_gapless_log(database: WatchedDatabase, racing: bool):
    """Seen to catch: each process counts positions by itself."""
    outcomes = written_by_two(database, meanwhile=lambda: time.sleep(0.01), racing=racing)
    recorded = sum(recorded for recorded, _ in outcomes.values())
    assert recorded == (APPENDS if racing else 2 * APPENDS)  # a grant of both was opened by one of them
    assert {sum(counts) for counts in outcomes.values()} == {APPENDS}  # nobody met anything but a conflict
    positions = rows_of(database, "SELECT count(*), min(position), max(position) FROM events")
    assert positions == [(2 * recorded, 1, 2 * recorded)]


def test_whoever_reads_beside_two_processes_passes_no_position_that_comes_later(database: WatchedDatabase):
    """Seen to catch: each process draws positions from a range of its own."""
    seen: dict[int, int] = {}
    with closing(sqlite3.connect(database.path)) as reader:

        def read() -> None:
            count, highest = reader.execute("SELECT count(*), max(position) FROM events").fetchone()
            seen.setdefault(highest or 0, count)

        written_by_two(database, meanwhile=read, racing=False)
    positions = [
        position for (position,) in rows_of(database, "SELECT position FROM events ORDER BY position")
    ]
    assert len(seen) > 10, "the reader came when all was written"
    assert {highest: bisect_right(positions, highest) for highest in seen} == seen
