"""Several processes that start at once on one new ledger end with the keys of exactly one of them."""

import multiprocessing
from pathlib import Path

from support.first_start import start_once_all_are_there
from support.stores import ledger_settings
from support.timeouts import TIMEOUT

PROCESSES = 4


def test_four_processes_that_start_at_once_share_the_keys_of_one(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier, seen = spawn.Barrier(PROCESSES), spawn.Queue()
    arguments = (ledger_settings(tmp_path), barrier, seen)
    starting = [spawn.Process(target=start_once_all_are_there, args=arguments) for _ in range(PROCESSES)]
    for process in starting:
        process.start()
    known = [seen.get(timeout=TIMEOUT) for _ in starting]
    for process in starting:
        process.join(TIMEOUT)
    assert known == [known[0]] * PROCESSES
    assert len(known[0]) == 2
