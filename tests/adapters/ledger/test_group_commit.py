"""Many appends, one transaction: what one request does wrong, the others do not feel."""

import asyncio
from typing import Any

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import (
    ReversingSealer,
    WatchedDatabase,
    a_ledger,
    rows_of,
    writer_in_queue,
    writers_held_up,
)
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.ports import Conflict, PrivateRecord
from grantledger.application.provenance import Caller, Provenance
from grantledger.domain.aggregate import Change
from grantledger.domain.authorization_code import CODE
from grantledger.domain.token_grant import GRANT

Outcome = BaseException | None


async def written_together(
    ledger: SqliteLedger, database: WatchedDatabase, *appends: list[Change[Any]]
) -> list[Outcome]:
    """Record each append in a request of its own, in such a way that one batch takes them all."""
    with writers_held_up(database):
        ahead = await writer_in_queue(database, ledger, facts.opened_account("ahead"))
        waiting = [asyncio.create_task(ledger.record(append, facts.SOMEBODY)) for append in appends]
        await asyncio.sleep(0)
    await ahead
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_waits_is_committed_once(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened_account("warm")], facts.SOMEBODY)
    before = database.commits
    outcomes = await written_together(ledger, database, *([facts.issued(f"{n}")] for n in range(20)))
    assert outcomes == [None] * 20
    assert database.commits == before + 2


async def test_a_conflict_fails_its_own_request_only(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened("taken")], facts.SOMEBODY)
    first, second, third = await written_together(
        ledger,
        database,
        [facts.issued("first")],
        [facts.issued("second"), facts.opened("taken")],
        [facts.issued("third")],
    )
    assert (first, third) == (None, None)
    assert isinstance(second, Conflict)
    assert [(await ledger.load(CODE, key)).version for key in ("first", "second", "third")] == [1, 0, 1]


async def test_of_two_requests_on_one_stream_the_second_conflicts(
    ledger: SqliteLedger, database: WatchedDatabase
):
    first, second = await written_together(ledger, database, [facts.opened()], [facts.opened()])
    assert first is None
    assert isinstance(second, Conflict)
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_of_two_codes_of_one_transaction_the_second_conflicts(
    ledger: SqliteLedger, database: WatchedDatabase
):
    one, two = (facts.issued(key, transaction_id="same") for key in ("one", "two"))
    outcomes = await written_together(ledger, database, [one], [two])
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Conflict)


async def test_positions_are_gapless_whatever_conflicts(ledger: SqliteLedger, database: WatchedDatabase):
    """Seen to catch: a conflict uses up positions."""
    appends = [[facts.issued(f"{n}"), facts.opened(f"{n % 3}")] for n in range(9)]
    await written_together(ledger, database, *appends)
    positions = rows_of(database, "SELECT position FROM events ORDER BY position")
    assert positions == [(n,) for n in range(1, 1 + 1 + 3 * 2)]


async def test_positions_follow_the_order_of_the_requests(ledger: SqliteLedger, database: WatchedDatabase):
    await written_together(ledger, database, *([facts.issued(f"{n}")] for n in range(5)))
    streams = rows_of(database, "SELECT stream_id FROM events WHERE category = 'code' ORDER BY position")
    assert streams == [(f"code:{n}",) for n in range(5)]


async def test_a_missing_value_is_no_lost_race(database: WatchedDatabase):
    class Forgetful(ReversingSealer):
        def seal(self, subject: str, name: str, value: str) -> Any:
            return None, b""

    ledger = a_ledger(database, sealer=Forgetful())
    await ledger.open()
    record = PrivateRecord(subject="glu_ada", name="email", value="ada@example.com")
    with pytest.raises(Exception, match="NOT NULL") as caught:
        await ledger.record([facts.opened_account()], facts.SOMEBODY, [record])
    assert not isinstance(caught.value, Conflict)
    await ledger.close()


async def test_an_unexpected_error_fails_the_request_that_causes_it(
    ledger: SqliteLedger, database: WatchedDatabase
):
    nobody: Any = object()
    broken = Provenance(actor_kind=nobody, actor_id=None, caller=Caller(correlation_id="request"))
    with writers_held_up(database):
        ahead = await writer_in_queue(database, ledger, facts.opened_account("ahead"))
        good = [asyncio.create_task(ledger.record([facts.issued(f"{n}")], facts.SOMEBODY)) for n in range(2)]
        bad = asyncio.create_task(ledger.record([facts.issued("bad")], broken))
        await asyncio.sleep(0)
    await asyncio.gather(ahead, *good)
    with pytest.raises(Exception, match="not supported"):
        await bad
    assert (await ledger.load(CODE, "bad")).version == 0
