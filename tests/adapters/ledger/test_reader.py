"""Reads for decisions and lists use only rows that this release can interpret."""

from typing import Any

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, rows_of
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.read_model import FOLDS
from grantledger.application.ports import Conflict, GrantFacts, Unavailable
from grantledger.domain.aggregate import Kind
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT

NEWER_FOLD = 9


def folded_by_a_newer_release(database: WatchedDatabase, table: str) -> None:
    rows_of(database, f"UPDATE {table} SET fold = ?, state = '{{}}'", NEWER_FOLD)


async def test_a_row_of_a_newer_release_is_folded_again_from_its_events(
    ledger: EventLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.OPERATOR)
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    before = await ledger.load(GRANT, "grant")
    folded_by_a_newer_release(database, "token_grant")
    assert await ledger.load(GRANT, "grant") == before


async def test_a_change_replaces_a_row_of_a_newer_release(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.OPERATOR)
    folded_by_a_newer_release(database, "token_grant")
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    assert rows_of(database, "SELECT version, fold FROM token_grant") == [(2, FOLDS["grant"])]


@pytest.mark.parametrize("table", ["token_grant", "client", "user_account"])
async def test_the_facts_of_a_grant_fold_again_what_another_release_folded(
    ledger: EventLedger, database: WatchedDatabase, table: str
):
    changes = [facts.registered(), facts.opened_account(), facts.opened()]
    await ledger.record(changes, facts.OPERATOR)
    before: GrantFacts | None = await ledger.grant_facts("grant")
    folded_by_a_newer_release(database, table)
    assert await ledger.grant_facts("grant") == before


def met_a_newer_release(database: WatchedDatabase, stream_id: str, table: str) -> None:
    """Record an event that this release does not know, and fold it, as a newer release would."""
    rows_of(
        database,
        "INSERT INTO events SELECT realm, 99, stream_id, 2, 'something.new.v1', event_id, append_id,"
        " recorded_at, actor_kind, actor_id, client_id, user_id, correlation_id, trace_id, address_digest,"
        " data FROM events WHERE stream_id = ? AND version = 1",
        stream_id,
    )
    rows_of(database, f"UPDATE {table} SET fold = ?, version = 2", NEWER_FOLD)


async def test_an_unknown_tag_is_unavailable_and_never_skipped(
    ledger: EventLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.OPERATOR)
    met_a_newer_release(database, "grant:grant", "token_grant")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.load(GRANT, "grant")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.grant_facts("grant")


async def test_an_unknown_tag_of_the_client_makes_its_grant_unavailable(
    ledger: EventLedger, database: WatchedDatabase
):
    await ledger.record([facts.registered(), facts.opened_account(), facts.opened()], facts.OPERATOR)
    met_a_newer_release(database, "client:glc_editor", "client")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.grant_facts("grant")


@pytest.fixture
async def finished(ledger: EventLedger, database: WatchedDatabase) -> EventLedger:
    """A ledger whose code, grant and session have ended so long ago that their rows were deleted."""
    changes = [facts.issued(), facts.opened(), facts.signed_in(), facts.registered(), facts.opened_account()]
    await ledger.record(changes, facts.OPERATOR)
    for table in ("code", "token_grant", "signin"):
        rows_of(database, f"DELETE FROM {table}")
    return ledger


@pytest.mark.parametrize(("kind", "key"), [(CODE, "code"), (GRANT, "grant"), (SIGNIN, "session")])
async def test_a_stream_without_a_row_is_finished(finished: EventLedger, kind: Kind[Any], key: str):
    stream = await finished.load(kind, key)
    assert (stream.version, stream.state, stream.is_finished) == (1, None, True)


async def test_a_finished_stream_is_not_begun_again(finished: EventLedger):
    for change in (facts.issued(), facts.opened(), facts.signed_in()):
        with pytest.raises(Conflict):
            await finished.record([change], facts.OPERATOR)


@pytest.fixture
def begun_between_two_reads(
    ledger: EventLedger, database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first read that finds nothing, another request registers the client and issues the code."""
    fetch, begun = database.fetch, False

    async def fetch_then_begin(statement: Any, parameters: Any) -> Any:
        nonlocal begun
        rows = await fetch(statement, parameters)
        if not rows and not begun:
            begun = True
            await ledger.record([facts.registered()], facts.OPERATOR)
            await ledger.record([facts.issued()], facts.OPERATOR)
        return rows

    monkeypatch.setattr(database, "fetch", fetch_then_begin)


@pytest.mark.usefixtures("begun_between_two_reads")
async def test_a_stream_that_begins_between_two_reads_is_not_taken_for_finished(ledger: EventLedger):
    """Fails if one of two registrations at once takes the client of the other for a finished stream."""
    assert not (await ledger.load(CLIENT, "glc_editor")).is_finished


@pytest.mark.usefixtures("begun_between_two_reads")
async def test_a_code_that_is_issued_between_two_reads_is_not_taken_for_finished(ledger: EventLedger):
    assert not (await ledger.code_facts("code")).code.is_finished


async def test_decisions_read_a_finished_stream_as_finished(finished: EventLedger):
    assert (await finished.code_facts("code")).code.is_finished
    assert await finished.grant_facts("grant") is None
    assert await finished.browser_session_facts("session") is None
    read = await finished.authorization_facts(
        client_id="glc_editor", user_id="glu_ada", session_id="session", transaction_id="code"
    )
    assert read.code.is_finished
    assert read.session.state is None


async def test_what_has_ended_is_in_no_list(finished: EventLedger):
    assert (await finished.grants()).items == ()


async def test_a_list_folds_again_what_another_release_folded(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.OPERATOR)
    folded_by_a_newer_release(database, "token_grant")
    assert (await ledger.grants()).items == (await ledger.load(GRANT, "grant"),)


async def test_an_unknown_tag_makes_the_list_unavailable(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.OPERATOR)
    met_a_newer_release(database, "grant:grant", "token_grant")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.grants()


async def test_a_list_goes_on_after_an_item_whose_row_was_deleted_since(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if disconnecting an app stops at the page whose last grant was swept in between."""
    for opened_at, grant in enumerate("abc", start=1_000):
        await ledger.record([facts.opened(grant, opened_at=opened_at)], facts.OPERATOR)
    first = await ledger.grants(limit=2)
    assert first.after == "b"
    rows_of(database, "DELETE FROM token_grant WHERE key = 'b'")
    second = await ledger.grants(limit=2, after="b")
    assert [grant.key for grant in second.items] == ["a"]
