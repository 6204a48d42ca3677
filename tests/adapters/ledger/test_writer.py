"""The writer: one transaction for all queued appends."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import (
    ReversingSealer,
    WatchedDatabase,
    WatchedSqlite,
    a_ledger,
    only_sqlite,
    rows_of,
    writer_in_queue,
    writers_held_up,
)
from grantledger.adapters.ledger import writer
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.read_model import Retention
from grantledger.application.ports import Conflict, PrivateRecord
from grantledger.application.provenance import Caller, Provenance
from grantledger.domain.aggregate import Change
from grantledger.domain.authorization_code import CODE
from grantledger.domain.token_grant import GRANT
from support.timeouts import TIMEOUT

Outcome = BaseException | None


async def written_together(
    ledger: EventLedger, database: WatchedDatabase, *appends: list[Change[Any]]
) -> list[Outcome]:
    """Record each append in a request of its own, so that one batch takes them all."""
    with writers_held_up(database):
        ahead = await writer_in_queue(database, ledger, facts.opened_account("ahead"))
        waiting = [asyncio.create_task(ledger.record(append, facts.OPERATOR)) for append in appends]
        await asyncio.sleep(0)
    await ahead
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_all_waiting_appends_share_one_commit(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened_account("warm")], facts.OPERATOR)
    before = database.commits
    outcomes = await written_together(ledger, database, *([facts.issued(f"{n}")] for n in range(20)))
    assert outcomes == [None] * 20
    assert database.commits == before + 2


async def test_a_conflict_fails_its_own_request_only(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened("taken")], facts.OPERATOR)
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
    ledger: EventLedger, database: WatchedDatabase
):
    first, second = await written_together(ledger, database, [facts.opened()], [facts.opened()])
    assert first is None
    assert isinstance(second, Conflict)
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_positions_are_gapless_in_spite_of_conflicts(ledger: EventLedger, database: WatchedDatabase):
    """Fails if a conflict uses up positions."""
    appends = [[facts.issued(f"{n}"), facts.opened(f"{n % 3}")] for n in range(9)]
    await written_together(ledger, database, *appends)
    positions = rows_of(database, "SELECT position FROM events ORDER BY position")
    assert positions == [(n,) for n in range(1, 1 + 1 + 3 * 2)]


async def test_positions_follow_the_order_of_the_requests(ledger: EventLedger, database: WatchedDatabase):
    await written_together(ledger, database, *([facts.issued(f"{n}")] for n in range(5)))
    streams = rows_of(
        database, "SELECT stream_id FROM events WHERE stream_id LIKE 'code:%' ORDER BY position"
    )
    assert streams == [(f"code:{n}",) for n in range(5)]


async def test_a_missing_value_is_no_lost_race(database: WatchedDatabase):
    class Forgetful(ReversingSealer):
        def seal(self, subject: str, name: str, value: str) -> Any:
            return None, b""

    ledger = a_ledger(database, sealer=Forgetful())
    await ledger.open()
    record = PrivateRecord(subject="glu_ada", name="email", value="ada@example.com")
    with pytest.raises(Exception, match=r"(?i)not.null") as caught:
        await ledger.record([facts.opened_account()], facts.OPERATOR, [record])
    assert not isinstance(caught.value, Conflict)
    await ledger.close()


async def test_an_unexpected_error_fails_the_request_that_causes_it(
    ledger: EventLedger, database: WatchedDatabase
):
    nobody: Any = object()
    broken = Provenance(actor_kind=nobody, actor_id=None, caller=Caller(correlation_id="request"))
    with writers_held_up(database):
        ahead = await writer_in_queue(database, ledger, facts.opened_account("ahead"))
        good = [asyncio.create_task(ledger.record([facts.issued(f"{n}")], facts.OPERATOR)) for n in range(2)]
        bad = asyncio.create_task(ledger.record([facts.issued("bad")], broken))
        await asyncio.sleep(0)
    await asyncio.gather(ahead, *good)
    with pytest.raises(Exception, match=r"not supported|expected str"):
        await bad
    assert (await ledger.load(CODE, "bad")).version == 0


class Swept:
    """A ledger that sweeps with each append, and whose clock the test sets."""

    def __init__(self, database: WatchedDatabase, **options: Any) -> None:
        self.second = 0
        self.database = database
        self.ledger = a_ledger(
            database, retention=Retention(ended_grants=100), now=lambda: self.second * 1_000_000, **options
        )
        self._clients = itertools.count()

    async def appends_at(self, second: int) -> None:
        self.second = second
        await self.ledger.record([facts.registered(f"glc_{next(self._clients)}")], facts.OPERATOR)

    def rows(self, table: str, realm: str = "main") -> list[str]:
        statement = f"SELECT key FROM {table} WHERE realm = ? ORDER BY key"
        return [key for (key,) in rows_of(self.database, statement, realm)]


@pytest.fixture
async def swept(database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Swept]:
    monkeypatch.setattr(writer, "SWEEP_EVERY", 0.0)
    swept = Swept(database)
    await swept.ledger.open()
    yield swept
    await swept.ledger.close()


def a_grant(key: str, *, ends: int) -> Change[Any]:
    return facts.opened(key, access_expires_at=ends, refresh_expires_at=None)


async def test_rows_are_deleted_from_the_second_of_their_end_on(swept: Swept):
    """Fails if grants are deleted as soon as they end, or codes are kept as long as grants."""
    codes = [facts.issued("first", expires_at=10), facts.issued("last", expires_at=11)]
    sessions = [facts.signed_in("first", expires_at=10), facts.signed_in("last", expires_at=11)]
    grants = [a_grant("first", ends=10), a_grant("last", ends=11)]
    await swept.ledger.record([*codes, *sessions, *grants], facts.OPERATOR)
    found = []
    for second in (9, 10, 11, 109, 110, 111):
        await swept.appends_at(second)
        found.append([len(swept.rows(table)) for table in ("code", "signin", "token_grant")])
    assert found == [[2, 2, 2], [1, 1, 2], [0, 0, 2], [0, 0, 2], [0, 0, 1], [0, 0, 0]]


async def test_the_log_keeps_what_was_deleted(swept: Swept):
    await swept.ledger.record([facts.issued(expires_at=10)], facts.OPERATOR)
    await swept.appends_at(10)
    assert swept.rows("code") == []
    assert rows_of(swept.database, "SELECT version FROM events WHERE stream_id = 'code:code'") == [(1,)]


async def test_a_few_rows_are_deleted_at_a_time(swept: Swept, monkeypatch: pytest.MonkeyPatch):
    """Rows that ended first are deleted first. Grants are checked in the order of their keys, in rounds."""
    monkeypatch.setattr(writer, "_SWEPT", 2)
    codes = [facts.issued(key, expires_at=20 - n) for n, key in enumerate("abcde")]
    grants = [a_grant(key, ends=10_000 if key in "bc" else 10) for key in "abcde"]
    await swept.ledger.record([*codes, *grants], facts.OPERATOR)
    found = []
    for _ in range(3):
        await swept.appends_at(1_000)
        found.append(("".join(swept.rows("code")), "".join(swept.rows("token_grant"))))
    assert found == [("abc", "abce"), ("a", "abc"), ("", "bc")]
    for _ in range(3):
        await swept.appends_at(20_000)
    assert swept.rows("token_grant") == []


async def test_a_grant_that_is_refreshed_at_the_last_moment_keeps_its_row(swept: Swept):
    await swept.ledger.record([a_grant("grant", ends=10)], facts.OPERATOR)
    swept.second = 110
    await swept.ledger.record([facts.refreshed(await swept.ledger.load(GRANT, "grant"))], facts.OPERATOR)
    assert swept.rows("token_grant") == ["grant"]


async def test_another_realm_is_left_alone(swept: Swept):
    other = Swept(swept.database, realm="other")
    await other.ledger.open()
    await other.ledger.record([facts.issued(expires_at=10)], facts.OPERATOR)
    await swept.ledger.record([facts.issued(expires_at=10)], facts.OPERATOR)
    await swept.appends_at(10)
    assert (swept.rows("code"), swept.rows("code", "other")) == ([], ["code"])
    await other.ledger.close()


async def test_rows_are_deleted_though_nothing_is_written(
    database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "SWEEP_EVERY", 0.0)
    monkeypatch.setattr(writer, "SWEEP_IDLE", 0.02)
    idle = Swept(database)
    await idle.ledger.open()
    await idle.ledger.record([facts.issued(expires_at=10)], facts.OPERATOR)
    idle.second = 10
    async with asyncio.timeout(TIMEOUT):
        while idle.rows("code"):  # noqa: ASYNC110 - the file sets no event of ours
            await asyncio.sleep(0.01)
    await idle.ledger.close()


@only_sqlite
async def test_not_every_transaction_deletes(ledger: EventLedger, database: WatchedSqlite):
    """Fails if each transaction sweeps, or the first request waits for a sweep."""
    await ledger.record([facts.opened_account("warm")], facts.OPERATOR)
    statements: list[str] = []
    assert database.committed_on is not None
    database.committed_on.set_trace_callback(statements.append)
    await ledger.record([facts.issued()], facts.OPERATOR)
    assert any(statement.startswith("INSERT INTO events") for statement in statements)
    assert [statement for statement in statements if statement.startswith("DELETE")] == []


async def test_each_realm_counts_its_own_positions(database: WatchedDatabase):
    """Fails if all realms of a file share one sequence of positions."""
    ledgers = {realm: a_ledger(database, realm=realm) for realm in ("one", "two")}
    for ledger in ledgers.values():
        await ledger.open()
    appends = [
        ledgers[realm].record([facts.issued(f"{n}"), facts.opened(f"{n}")], facts.OPERATOR)
        for n in range(10)
        for realm in ledgers
    ]
    await asyncio.gather(*appends)
    for ledger in ledgers.values():
        await ledger.close()
    for realm in ledgers:
        found = rows_of(database, "SELECT position FROM events WHERE realm = ? ORDER BY 1", realm)
        assert found == [(n,) for n in range(1, 21)]
        assert rows_of(database, "SELECT position FROM heads WHERE realm = ?", realm) == [(20,)]
