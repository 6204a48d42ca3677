"""What the tests let other processes do."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from adapters.ledger import facts
from adapters.ledger.storage import a_ledger
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.application.ports import Conflict


def migrate_once_all_are_there(path: Path, barrier: Any) -> None:
    database = Database(path)
    barrier.wait(30)
    migrations.migrate(database)
    migrations.check(database)


def record_many(
    path: Path, barrier: Any, results: Any, name: str, appends: int, *, racing: bool = True
) -> None:
    """Record that many appends of two streams, eight at a time; `racing` for the second with all processes.

    Puts the name, how many of its appends were recorded and how many met a conflict.
    """
    outcomes = asyncio.run(_record_many(path, barrier, name, appends, "" if racing else f"{name}-"))
    conflicts = sum(isinstance(outcome, Conflict) for outcome in outcomes)
    results.put((name, outcomes.count(None), conflicts))


async def _record_many(path: Path, barrier: Any, name: str, appends: int, whose: str) -> list[Any]:
    ledger = a_ledger(Database(path))
    await ledger.open()
    barrier.wait(30)
    outcomes: list[Any] = []
    for first in range(0, appends, 8):
        changes = [
            (facts.issued(f"{name}-{n}"), facts.opened(f"{whose}{n}")) for n in range(first, first + 8)
        ]
        outcomes += await asyncio.gather(
            *(ledger.record(both, facts.SOMEBODY) for both in changes), return_exceptions=True
        )
    await ledger.close()
    return outcomes


def begin_to_rebuild_and_die(path: Path) -> None:
    steps = Rebuild(Database(path), TagMapper(), page=2).steps()
    next(steps)
    os.kill(os.getpid(), signal.SIGKILL)
