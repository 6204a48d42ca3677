"""The read model equals a replay of the log; a row that differs is named."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ledger import facts
from adapters.ledger.any_requests import KEYS, Request, outcomes, requests
from adapters.ledger.storage import HEAVY, WatchedDatabase, a_database, a_ledger, rows_of
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.ledger import writer
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.read_model import FOLDS, RETENTION
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.replay import Difference, Replay
from grantledger.adapters.ledger.schema import ROWS
from grantledger.domain.kinds import KINDS
from grantledger.domain.token_grant import GRANT, GrantRevoked

PAGES = (1, 2, 3, 1_000)


@settings(max_examples=40)
@given(requests, st.sampled_from(PAGES))
@pytest.mark.parametrize("store", HEAVY)
def test_after_any_requests_rows_equal_the_replay_and_a_plain_ledger(
    store: str, sent: list[Request], page: int
):
    """Fails if a row is written without the last event."""

    async def check(database: WatchedDatabase) -> None:
        ledger, plain = a_ledger(database), MemoryLedger()
        await ledger.open()
        assert await outcomes(ledger, sent) == await outcomes(plain, sent)
        for kind in KINDS.values():
            for key in KEYS:
                assert await ledger.load(kind, key) == await plain.load(kind, key)
        await ledger.close()

    with a_database(store) as database:
        asyncio.run(check(database))
        assert list(Replay(database, page=page, now=lambda: 1_000).differences()) == []


async def remember_something(ledger: EventLedger) -> None:
    await ledger.record([facts.registered(), facts.opened_account()], facts.OPERATOR)
    for name in "123":
        await ledger.record([facts.issued(name), facts.opened(name)], facts.OPERATOR)
        await ledger.record([facts.refreshed(await ledger.load(GRANT, name))], facts.OPERATOR)


def differences(database: WatchedDatabase) -> list[str]:
    return [str(difference) for difference in Replay(database, page=3, now=lambda: 1_000).differences()]


@pytest.mark.parametrize("page", PAGES)
async def test_a_replay_gives_every_row_once(ledger: EventLedger, database: WatchedDatabase, page: int):
    await remember_something(ledger)
    rows = [(row.category, row.key) for row in Replay(database, page=page, now=lambda: 1_000).rows()]
    assert rows == [
        ("client", "glc_editor"),
        *(("code", name) for name in "123"),
        *(("grant", name) for name in "123"),
        ("user", "glu_ada"),
    ]


@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        (
            "UPDATE token_grant SET version = 7 WHERE key = '2'",
            "grant 2: the row is at version 7, the log at 2",
        ),
        ("UPDATE token_grant SET user_id = 'glu_eve' WHERE key = '2'", "grant 2: the row does not hold"),
        ("UPDATE user_account SET state = CAST('{}' AS BLOB)", "user glu_ada: the row does not hold"),
        ("DELETE FROM code WHERE key = '3'", "code 3: the row is missing"),
        ("UPDATE client SET key = 'glc_eve'", "client glc_editor: the row is missing"),
    ],
)
async def test_a_row_changed_by_hand_is_named(
    ledger: EventLedger, database: WatchedDatabase, by_hand: str, named: str
):
    """Fails if only versions are compared."""
    await remember_something(ledger)
    assert differences(database) == []
    rows_of(database, by_hand)
    assert differences(database)[0].startswith(named)


async def test_a_row_without_a_stream_is_named(ledger: EventLedger, database: WatchedDatabase):
    await remember_something(ledger)
    rows_of(
        database,
        "INSERT INTO signin SELECT realm, 'eve', version, fold, 'glu_ada', 2000, state FROM user_account",
    )
    assert differences(database) == ["signin eve: the row has no stream in the log"]


async def test_a_difference_names_the_members_and_never_their_values(
    ledger: EventLedger, database: WatchedDatabase
):
    await remember_something(ledger)
    ((state,),) = rows_of(database, "SELECT state FROM token_grant WHERE key = '2'")
    changed = bytes(state).replace(b'"nonce"', b'"other"')
    rows_of(database, "UPDATE token_grant SET state = ?, user_id = 'glu_eve' WHERE key = '2'", changed)
    (found,) = differences(database)
    assert found.endswith("what its events say: user_id, state.nonce")


async def test_a_row_folded_by_another_release_is_named_as_such(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if rows of another fold are skipped, or only versions are compared."""
    await remember_something(ledger)
    rows_of(database, "UPDATE token_grant SET fold = 99 WHERE key = '2'")
    assert differences(database) == [f"grant 2: the row is of fold 99, this release's is {FOLDS['grant']}"]


async def test_appends_during_a_replay_are_no_difference(ledger: EventLedger, database: WatchedDatabase):
    await remember_something(ledger)
    replay = Replay(database, now=lambda: 1_000)
    pages = replay._pages()  # noqa: SLF001 - between the reading of a page and its comparison
    connection, page = next(pages)
    revoked = GrantRevoked(reason="meanwhile", revoked_at=2_000)
    Recorder(database).insert_events([facts.stored("grant:1", 3, revoked)])
    assert list(replay._differences(connection, page)) == []  # noqa: SLF001
    assert (await ledger.load(GRANT, "1")).version == 3


ENDS = (1_000, 1_600, 2_000, 5_000, 4_000_000)
"""Times before every end, after those of codes, sessions and access tokens, and after grants are deleted."""


@settings(max_examples=25)
@given(requests, st.sampled_from(ENDS), st.sampled_from(PAGES))
@pytest.mark.parametrize("store", HEAVY)
def test_rows_equal_the_replay_before_and_after_a_sweep_and_a_rebuild(
    store: str, sent: list[Request], now: int, page: int
):
    """Fails if a rebuild makes rows for finished streams, or a sweep deletes other rows."""

    async def sweep(database: WatchedDatabase) -> None:
        ledger = a_ledger(database, retention=RETENTION, now=lambda: now * 1_000_000)
        await ledger.open()
        for n in range(2):
            await ledger.record([facts.registered(f"glc_{n}")], facts.OPERATOR)
        await ledger.close()

    async def send(database: WatchedDatabase) -> None:
        ledger = a_ledger(database)
        await ledger.open()
        await outcomes(ledger, sent)
        await ledger.close()

    def found() -> list[Difference]:
        return list(Replay(database, page=page, now=lambda: now).differences())

    with a_database(store) as database, pytest.MonkeyPatch.context() as patch:
        asyncio.run(send(database))
        assert found() == []
        patch.setattr(writer, "SWEEP_EVERY", 0.0)
        asyncio.run(sweep(database))
        assert found() == []
        swept = keys(database)
        assert swept == {(row.category, row.key) for row in Replay(database, now=lambda: now).rows()}
        for _ in Rebuild(database, page=page, now=now).steps():
            pass
        assert found() == []
        assert keys(database) == swept


def keys(database: WatchedDatabase) -> set[tuple[str, str]]:
    """Return the keys in the live tables."""
    tables = ROWS.items()
    return {(name, key) for name, table in tables for (key,) in rows_of(database, f"SELECT key FROM {table}")}


@pytest.mark.parametrize("now", [facts.CODE_ENDS, facts.CODE_ENDS + 1])
async def test_a_row_that_ended_may_be_missing_and_may_be_wrong(
    ledger: EventLedger, database: WatchedDatabase, now: int
):
    await ledger.record([facts.issued("code", expires_at=facts.CODE_ENDS)], facts.OPERATOR)
    replay = Replay(database, now=lambda: now)
    rows_of(database, "UPDATE code SET version = 7")
    assert list(replay.differences()) == []
    rows_of(database, "DELETE FROM code")
    assert list(replay.differences()) == []


async def test_a_row_that_ends_during_the_replay_may_be_missing(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if the clock is read only once, when the replay begins."""
    await ledger.record([facts.issued("code", expires_at=facts.CODE_ENDS)], facts.OPERATOR)
    times = iter((facts.CODE_ENDS - 1, facts.CODE_ENDS))
    rows_of(database, "DELETE FROM code")
    assert list(Replay(database, now=lambda: next(times)).differences()) == []


async def test_a_row_that_is_missing_before_its_end_is_named(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.issued("code", expires_at=facts.CODE_ENDS)], facts.OPERATOR)
    rows_of(database, "DELETE FROM code")
    (found,) = Replay(database, now=lambda: facts.CODE_ENDS - 1).differences()
    assert str(found) == "code code: the row is missing"
