"""Two processes write one database."""

import multiprocessing
import time
from bisect import bisect_right
from collections.abc import Callable

import pytest

from adapters.ledger import processes
from adapters.ledger.storage import WatchedDatabase, rows_of
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full

APPENDS = 400


def written_by_two(
    database: WatchedDatabase,
    until: Callable[[], bool] = lambda: True,
    *,
    racing: bool,
    realms: tuple[str, str] = ("main", "main"),
) -> dict[str, list[int]]:
    """Let two processes record the same number of grants, and more unless `until` has returned True.

    Returns, for each process, how many appends were recorded and how many met a conflict.
    """
    spawn = multiprocessing.get_context("spawn")
    barrier, results, enough = spawn.Barrier(2), spawn.Queue(), spawn.Event()
    writing = [
        spawn.Process(
            target=processes.record_many,
            args=(database.address, barrier, results, name, APPENDS),
            kwargs={"racing": racing, "realm": realm, "enough": enough},
        )
        for name, realm in zip(("one", "two"), realms, strict=True)
    ]
    if until():
        enough.set()
    for process in writing:
        process.start()
    try:
        while any(process.is_alive() for process in writing):
            if until():
                enough.set()
            time.sleep(0.001)
    finally:
        enough.set()
    assert [process.exitcode for process in writing] == [0, 0]
    return {name: counts for name, *counts in (results.get(timeout=TIMEOUT) for _ in writing)}


@pytest.mark.parametrize("racing", [False, True])
def test_two_processes_write_one_gapless_log(database: WatchedDatabase, racing: bool):
    """Fails if each process keeps its own count of positions."""
    outcomes = written_by_two(database, racing=racing)
    recorded = sum(recorded for recorded, _ in outcomes.values())
    assert recorded == (APPENDS if racing else 2 * APPENDS)  # one of the two opened each grant
    assert {sum(counts) for counts in outcomes.values()} == {APPENDS}  # only conflicts are refused
    positions = rows_of(database, "SELECT count(*), min(position), max(position) FROM events")
    assert positions == [(2 * recorded, 1, 2 * recorded)]


def test_two_processes_of_two_realms_write_two_gapless_logs(database: WatchedDatabase):
    written_by_two(database, racing=True, realms=("one", "two"))
    found = rows_of(
        database,
        "SELECT realm, count(*), min(position), max(position) FROM events GROUP BY realm ORDER BY realm",
    )
    assert found == [(realm, 2 * APPENDS, 1, 2 * APPENDS) for realm in ("one", "two")]


def test_positions_become_visible_in_order(database: WatchedDatabase):
    """Fails if each process takes positions from its own range."""
    seen: dict[int, int] = {}

    def read() -> bool:
        ((count, highest),) = rows_of(database, "SELECT count(*), max(position) FROM events")
        seen.setdefault(highest or 0, count)
        return len(seen) > 10

    written_by_two(database, until=read, racing=False)
    positions = [
        position for (position,) in rows_of(database, "SELECT position FROM events ORDER BY position")
    ]
    assert {highest: bisect_right(positions, highest) for highest in seen} == seen
