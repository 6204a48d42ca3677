"""Reads for decisions believe only what this release can judge."""

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import ReversingSealer, WatchedDatabase, a_ledger, rows_of
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.ports import Conflict, PrivateRecord, Standing, Unavailable
from grantledger.domain.token_grant import GRANT

NEWER_FOLD = 9


def an_email(subject: str, address: str = "ada@example.com") -> PrivateRecord:
    return PrivateRecord(subject=subject, name="email", value=address, lookup=address)


def folded_by_a_newer_release(database: WatchedDatabase, table: str) -> None:
    rows_of(database, f"UPDATE {table} SET fold = ?, state = '{{}}'", NEWER_FOLD)


async def test_a_row_that_a_newer_release_folded_is_folded_again_from_its_events(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.SOMEBODY)
    before = await ledger.load(GRANT, "grant")
    folded_by_a_newer_release(database, "token_grant")
    assert await ledger.load(GRANT, "grant") == before


async def test_a_change_puts_a_row_of_this_release_in_its_place(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    folded_by_a_newer_release(database, "token_grant")
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.SOMEBODY)
    assert rows_of(database, "SELECT version, fold FROM token_grant") == [(2, 1)]


@pytest.mark.parametrize("table", ["token_grant", "client", "user_account"])
async def test_the_standing_of_a_grant_folds_again_what_it_does_not_believe(
    ledger: SqliteLedger, database: WatchedDatabase, table: str
):
    changes = [facts.registered(), facts.opened_account(), facts.opened()]
    await ledger.record(changes, facts.SOMEBODY)
    before: Standing | None = await ledger.standing("grant")
    folded_by_a_newer_release(database, table)
    assert await ledger.standing("grant") == before


def met_a_newer_release(database: WatchedDatabase, stream_id: str, table: str) -> None:
    """It has recorded an event of which this release knows nothing, and folded it."""
    rows_of(
        database,
        "INSERT INTO events (position, realm, stream_id, version, tag, data)"
        " VALUES (99, 'main', ?, 2, 'something.new.v1', '{}')",
        stream_id,
    )
    rows_of(database, f"UPDATE {table} SET fold = ?, version = 2", NEWER_FOLD)


async def test_an_unknown_tag_is_unavailable_and_never_skipped(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    met_a_newer_release(database, "grant:grant", "token_grant")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.load(GRANT, "grant")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.standing("grant")


async def test_an_unknown_tag_of_its_client_makes_a_grant_unavailable(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.registered(), facts.opened_account(), facts.opened()], facts.SOMEBODY)
    met_a_newer_release(database, "client:glc_editor", "client")
    with pytest.raises(Unavailable, match=r"something\.new\.v1"):
        await ledger.standing("grant")


async def test_a_private_value_is_not_in_the_file(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
    await ledger.close()
    assert b"ada@example.com" not in database.path.read_bytes()


async def test_a_record_is_found_and_unsealed_after_the_master_secret_was_rotated(database: WatchedDatabase):
    before = a_ledger(database, sealer=ReversingSealer("old"))
    await before.open()
    await before.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
    await before.close()
    after = a_ledger(database, sealer=ReversingSealer("new", "old"))
    await after.open()
    assert await after.find("email", "ada@example.com") == "glu_ada"
    assert await after.value("glu_ada", "email") == "ada@example.com"
    await after.close()


async def test_a_lookup_stays_unique_when_the_master_secret_is_rotated(database: WatchedDatabase):
    before = a_ledger(database, sealer=ReversingSealer("old"))
    await before.open()
    await before.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
    await before.close()
    after = a_ledger(database, sealer=ReversingSealer("new", "old"))
    await after.open()
    with pytest.raises(Conflict):
        await after.record([facts.opened_account("glu_bob")], facts.SOMEBODY, [an_email("glu_bob")])
    await after.close()
