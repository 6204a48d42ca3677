"""An event of an older tag, all the way: it is read in the words of its successor wherever it is read.

No event of the product has a second version yet. So an older release is told of that stored `user.opened.v0`
and `token_grant.revoked.v0`; the tables, the adapters and the command line are the real ones.
"""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from eventsourcing.persistence import EventStore

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, rows_of
from fakes.clock import FrozenClock
from grantledger.adapters.ledger.audit import Audit, Filter
from grantledger.adapters.ledger.mapper import UPCASTERS, Entry, TagMapper, UnknownTag
from grantledger.adapters.ledger.past import SqlitePast
from grantledger.adapters.ledger.projection import FOLDS
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.accounts.administer_accounts import DisableUser
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller
from grantledger.domain.token_grant import GRANT, GrantRevoked
from grantledger.domain.user_account import USER, AccountOpened
from grantledger.entrypoints.cli.commands import cli
from support import grants

USER_ID = grants.OPENED.user_id
OPENED = json.dumps({"type": "user.opened.v0", "id": USER_ID, "opened_at_ms": 1_000_000}).encode()
REVOKED = json.dumps({"type": "token_grant.revoked.v0", "why": 3, "at": 2_000}).encode()


def opened(old: dict[str, Any]) -> dict[str, Any]:
    return {"type": "user.opened.v1", "user_id": old["id"], "opened_at": old["opened_at_ms"] // 1_000}


def revoked(old: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "token_grant.revoked.v1",
        "reason": ("", "user", "client", "operator")[old["why"]],
        "revoked_at": old["at"],
    }


@pytest.fixture(autouse=True)
def upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPCASTERS, "user.opened.v0", opened)
    monkeypatch.setitem(UPCASTERS, "token_grant.revoked.v0", revoked)


@pytest.fixture
async def ledger(ledger: SqliteLedger, database: WatchedDatabase) -> SqliteLedger:
    """What the older release left: events of its tags, and rows that it folded in its own way."""
    client, user = facts.registered(grants.OPENED.client_id), facts.opened_account(USER_ID)
    await ledger.record([client, user, facts.opened()], facts.SOMEBODY)
    await ledger.record([facts.revoked(await ledger.load(GRANT, "grant"))], facts.SOMEBODY)
    stored = "UPDATE events SET tag = ?, data = ? WHERE tag = ?"
    rows_of(database, stored, "user.opened.v0", OPENED, "user.opened.v1")
    rows_of(database, stored, "token_grant.revoked.v0", REVOKED, "token_grant.revoked.v1")
    for table in ("user_account", "token_grant"):
        rows_of(database, f"UPDATE {table} SET fold = 0, state = 'in its own way'")
    return ledger


def log(database: WatchedDatabase) -> list[Any]:
    return rows_of(database, "SELECT * FROM events ORDER BY position")


def rebuild(database: WatchedDatabase) -> None:
    for _ in Rebuild(database, TagMapper()).steps():
        pass


async def test_it_is_folded_where_the_row_cannot_be_believed(ledger: SqliteLedger, database: WatchedDatabase):
    """Seen to catch: a refold that decodes stored bytes without the mapper's upcasters."""
    user, grant = await ledger.load(USER, USER_ID), await ledger.load(GRANT, "grant")
    assert user.state is not None
    assert (user.version, user.state.user_id, user.state.opened_at) == (1, USER_ID, 1_000)
    assert grant.state is not None
    assert (grant.version, grant.state.revoked) == (2, "operator")


async def test_a_standing_is_judged_by_it(ledger: SqliteLedger, database: WatchedDatabase):
    standing = await ledger.standing("grant")
    assert standing is not None
    assert standing.user is not None
    assert standing.grant.state is not None
    assert (standing.user.opened_at, standing.grant.state.revoked) == (1_000, "operator")


async def test_a_replay_folds_it_and_a_rebuild_puts_its_row_in_place(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: a rebuild whose mapper knows of no upcasters."""
    replayed = {(row.category, row.key): row.state for row in Replay(database, TagMapper()).rows()}
    assert json.loads(replayed["user", USER_ID])["opened_at"] == 1_000
    assert len(list(Replay(database, TagMapper()).differences())) == 2
    rebuild(database)
    assert list(Replay(database, TagMapper()).differences()) == []
    assert rows_of(database, "SELECT fold FROM user_account") == [(FOLDS["user"],)]
    user = await ledger.load(USER, USER_ID)
    assert (user.version, user.state and user.state.opened_at) == (1, 1_000)


@pytest.mark.parametrize("rebuilt", [False, True])
async def test_the_use_cases_append_on_top_of_it(
    ledger: SqliteLedger, database: WatchedDatabase, *, rebuilt: bool
):
    if rebuilt:
        rebuild(database)
    await DisableUser(ledger, FrozenClock(3_000))(USER_ID, Caller(correlation_id="test"))
    user = await ledger.load(USER, USER_ID)
    assert user.state is not None
    assert (user.version, user.state.opened_at, user.state.disabled) == (2, 1_000, True)
    rebuild(database)
    assert list(Replay(database, TagMapper()).differences()) == []


async def test_the_audit_shows_its_own_tag_and_the_words_of_its_successor(
    ledger: SqliteLedger, database: WatchedDatabase
):
    (line,) = [
        line
        for line in Audit(database, TagMapper()).lines(Filter(user=USER_ID))
        if line.version == 1 and line.stream_id.startswith("user:")
    ]
    assert (line.tag, line.event) == ("user.opened.v0", AccountOpened(user_id=USER_ID, opened_at=1_000))


def shown(database: WatchedDatabase, *options: str) -> str:
    done = CliRunner().invoke(cli, ["ledger", "show", *options, "--database", str(database.path)])
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_ledger_show_tells_it_to_people_and_programs(ledger: SqliteLedger, database: WatchedDatabase):
    lines = [json.loads(line) for line in shown(database, "--grant", "grant", "--json").splitlines()]
    assert [line["tag"] for line in lines] == ["token_grant.opened.v1", "token_grant.revoked.v0"]
    assert lines[1]["event"] == {"type": "token_grant.revoked.v1", "reason": "operator", "revoked_at": 2_000}
    assert "reason: operator" in shown(database, "--grant", "grant")


async def test_the_past_and_the_librarys_tools_read_it_too(ledger: SqliteLedger, database: WatchedDatabase):
    past = await SqlitePast(database, TagMapper()).load_as_of(GRANT, "grant", 2**62)
    assert (past.version, past.state and past.state.revoked) == (2, "operator")
    entries = list(EventStore(TagMapper(), ledger.recorder).get("grant:grant"))
    assert entries[1] == Entry("grant:grant", 2, GrantRevoked(reason="operator", revoked_at=2_000))


async def test_its_bytes_stay_as_they_were_stored(ledger: SqliteLedger, database: WatchedDatabase):
    before = log(database)
    rebuild(database)
    await DisableUser(ledger, FrozenClock(3_000))(USER_ID, Caller(correlation_id="test"))
    shown(database)
    after = log(database)
    assert after[: len(before)] == before
    assert (after[1][-1], after[3][-1]) == (OPENED, REVOKED)


async def test_without_its_upcaster_its_stream_fails_and_no_other(
    ledger: SqliteLedger, database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(UPCASTERS, "token_grant.revoked.v0")
    with pytest.raises(Unavailable, match=r"token_grant\.revoked\.v0"):
        await ledger.load(GRANT, "grant")
    assert (await ledger.load(USER, USER_ID)).version == 1
    with pytest.raises(UnknownTag):
        rebuild(database)
