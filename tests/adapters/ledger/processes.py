"""Functions that tests run in other processes."""

import asyncio
import os
import signal
from collections.abc import Iterator
from itertools import count, islice, takewhile
from typing import Any

from adapters.ledger import facts
from adapters.ledger.storage import a_ledger, database_at
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.application.ports import Conflict
from grantledger.domain.aggregate import Change
from support.timeouts import TIMEOUT


def migrate_once_all_are_there(address: str, barrier: Any) -> None:
    database = database_at(address)
    barrier.wait(TIMEOUT)
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
    enough: Any = None,
) -> None:
    """Record this many appends of two streams, eight at a time. If `racing`, all share the grants' streams.

    With the event `enough`, record more until it is set. Put the name, the number of recorded appends and
    the number of conflicts into the queue. Any other outcome ends the process with an error.
    """
    codes, grants = f"{name}-", "" if racing else f"{name}-"
    numbers = takewhile(lambda n: n < appends or not (enough is None or enough.is_set()), count())
    changes = ([facts.issued(f"{codes}{n}"), facts.opened(f"{grants}{n}")] for n in numbers)
    ledger = a_ledger(database_at(address), realm=realm)
    outcomes = asyncio.run(_record_all(ledger, barrier, changes))
    results.put((name, outcomes.count(True), outcomes.count(False)))


async def _record_all(ledger: EventLedger, barrier: Any, changes: Iterator[list[Change[Any]]]) -> list[bool]:
    await ledger.open()
    barrier.wait(TIMEOUT)
    outcomes: list[bool] = []
    while appends := [_is_recorded(ledger, both) for both in islice(changes, 8)]:
        outcomes += await asyncio.gather(*appends)
    await ledger.close()
    return outcomes


async def _is_recorded(ledger: EventLedger, changes: list[Change[Any]]) -> bool:
    try:
        await ledger.record(changes, facts.OPERATOR)
    except Conflict:
        return False
    return True


def begin_to_rebuild_and_die(address: str) -> None:
    steps = Rebuild(database_at(address), page=2, now=1_000).steps()
    next(steps)
    os.kill(os.getpid(), signal.SIGKILL)
