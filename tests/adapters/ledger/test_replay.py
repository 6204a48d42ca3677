"""The read model equals a replay of the log, always; where it does not, the row is named."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from adapters.ledger import facts
from adapters.ledger.any_requests import KEYS, Request, outcomes, requests
from adapters.ledger.storage import WatchedDatabase, a_ledger, rows_of
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.projection import FOLDS
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.domain.kinds import KINDS
from grantledger.domain.token_grant import GRANT, GrantRevoked

PAGES = (1, 2, 3, 1_000)


@settings(max_examples=60)
@given(requests, st.sampled_from(PAGES))
def test_after_any_requests_the_read_model_equals_the_replay_and_what_a_plain_ledger_remembers(
    sent: list[Request], page: int
):
    """Seen to catch: a row is written without what has just happened."""

    async def check(database: Database) -> None:
        ledger, plain = a_ledger(database), MemoryLedger()
        await ledger.open()
        assert await outcomes(ledger, sent) == await outcomes(plain, sent)
        for kind in KINDS.values():
            for key in KEYS:
                assert await ledger.load(kind, key) == await plain.load(kind, key)
        await ledger.close()

    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory) / "ledger.db")
        migrations.migrate(database)
        asyncio.run(check(database))
        assert list(Replay(database, TagMapper(), page=page).differences()) == []
        database.engine.dispose()


async def remember_something(ledger: SqliteLedger) -> None:
    await ledger.record([facts.registered(), facts.opened_account()], facts.SOMEBODY)
    for name in "123":
        await ledger.record([facts.issued(name), facts.opened(name)], facts.SOMEBODY)
        await ledger.record([facts.refreshed(await ledger.load(GRANT, name))], facts.SOMEBODY)


def differences(database: WatchedDatabase) -> list[str]:
    return [str(difference) for difference in Replay(database, TagMapper(), page=3).differences()]


@pytest.mark.parametrize("page", PAGES)
async def test_a_replay_gives_every_row_once(ledger: SqliteLedger, database: WatchedDatabase, page: int):
    await remember_something(ledger)
    rows = [(row.category, row.key) for row in Replay(database, TagMapper(), page=page).rows()]
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
        ("UPDATE user_account SET state = '{}'", "user glu_ada: the row does not hold"),
        ("DELETE FROM code WHERE key = '3'", "code 3: the row is missing"),
        ("UPDATE client SET key = 'glc_eve'", "client glc_editor: the row is missing"),
    ],
)
async def test_a_row_changed_by_hand_is_named(
    ledger: SqliteLedger, database: WatchedDatabase, by_hand: str, named: str
):
    """Seen to catch: only versions compared."""
    await remember_something(ledger)
    assert differences(database) == []
    rows_of(database, by_hand)
    assert differences(database)[0].startswith(named)


async def test_a_row_without_a_stream_is_named(ledger: SqliteLedger, database: WatchedDatabase):
    await remember_something(ledger)
    rows_of(database, "INSERT INTO signin SELECT realm, 'eve', version, fold, state FROM user_account")
    assert differences(database) == ["signin eve: the row has no stream in the log"]


async def test_what_differs_is_told_by_name_and_never_by_value(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await remember_something(ledger)
    changed = "CAST(replace(replace(state, '\"generation\":1', '\"generation\":8'), 'nonce', 'name') AS BLOB)"
    rows_of(database, f"UPDATE token_grant SET state = {changed}, user_id = 'glu_eve' WHERE key = '2'")
    (told,) = differences(database)
    assert told.endswith("what its events say: user_id, state.nonce, state.generation, state.name")


async def test_a_row_that_another_release_folded_is_told_as_such(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: rows of another fold passed over; only versions compared."""
    await remember_something(ledger)
    rows_of(database, "UPDATE token_grant SET fold = 99 WHERE key = '2'")
    assert differences(database) == [f"grant 2: the row is of fold 99, this release's is {FOLDS['grant']}"]


async def test_what_is_recorded_during_a_replay_is_no_difference(
    ledger: SqliteLedger, database: WatchedDatabase
):
    class WritesMeanwhile(TagMapper):
        """Between the reading of a page and its comparison with the rows, another event comes."""

        def event(self, tag: str, data: bytes) -> Struct:
            if tag == "token_grant.refreshed.v1" and ledger.recorder.max_notification_id() == events:
                revoked = GrantRevoked(reason="meanwhile", revoked_at=2_000)
                ledger.recorder.insert_events([self.stored("grant:1", 3, revoked)])
            return super().event(tag, data)

    await remember_something(ledger)
    events = ledger.recorder.max_notification_id()
    assert list(Replay(database, WritesMeanwhile()).differences()) == []
    assert (await ledger.load(GRANT, "1")).version == 3
