"""Several processes on one file: one log."""

import multiprocessing

from adapters.ledger import processes
from adapters.ledger.storage import WatchedDatabase, rows_of


def test_two_processes_write_one_gapless_log(database: WatchedDatabase):
    """Seen to catch: each process counts positions by itself."""
    appends = 400
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    writing = [
        spawn.Process(target=processes.record_many, args=(database.path, barrier, results, name, appends))
        for name in ("one", "two")
    ]
    for process in writing:
        process.start()
    outcomes = {name: counts for name, *counts in (results.get(timeout=60) for _ in writing)}
    for process in writing:
        process.join(30)
    recorded = sum(recorded for recorded, _ in outcomes.values())
    assert recorded == appends  # every grant was opened by one of the two
    assert {sum(counts) for counts in outcomes.values()} == {appends}  # nobody met anything but a conflict
    positions = rows_of(database, "SELECT count(*), min(position), max(position) FROM events")
    assert positions == [(2 * recorded, 1, 2 * recorded)]
