"""Functions that tests run in other processes."""

import asyncio
import os
import signal
from typing import Any

from adapters.ledger import facts
from adapters.ledger.storage import a_ledger, database_at
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.application.ports import Conflict
from grantledger.domain.aggregate import Change


def migrate_once_all_are_there(address: str, barrier: Any) -> None:
    database = database_at(address)
    barrier.wait(30)
    migrations.migrate(database)
    migrations.check(database)


def record_many(
    address: str,
    barrier: Any,
    results: Any,
    name: str,
    appends: int,
    *,
    racing: bool = True,
    realm: str = "main",
) -> None:
    """Record this many appends of two streams, eight at a time. If `racing`, all share the grants' streams.

    Put the name, the number of recorded appends and the number of conflicts into the queue.
    """
    codes, grants = f"{name}-", "" if racing else f"{name}-"
    changes = [[facts.issued(f"{codes}{n}"), facts.opened(f"{grants}{n}")] for n in range(appends)]
    ledger = a_ledger(database_at(address), realm=realm)
    outcomes = asyncio.run(_record_all(ledger, barrier, changes))
    conflicts = sum(isinstance(outcome, Conflict) for outcome in outcomes)
    results.put((name, outcomes.count(None), conflicts))


async def _record_all(ledger: EventLedger, barrier: Any, changes: list[list[Change[Any]]]) -> list[Any]:
    await ledger.open()
    barrier.wait(30)
    outcomes: list[Any] = []
    for first in range(0, len(changes), 8):
        appends = [ledger.record(both, facts.OPERATOR) for both in changes[first : first + 8]]
        outcomes += await asyncio.gather(*appends, return_exceptions=True)
    await ledger.close()
    return outcomes


def begin_to_rebuild_and_die(address: str) -> None:
    steps = Rebuild(database_at(address), page=2, now=1_000).steps()
    next(steps)
    os.kill(os.getpid(), signal.SIGKILL)
