"""While the file cannot be written or read the answer is `Unavailable`; afterwards everything goes on."""

import sqlite3
from collections.abc import AsyncIterator

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_ledger, rows_of
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.ports import PrivateRecord, Unavailable
from grantledger.domain.token_grant import GRANT


@pytest.fixture
async def ledger(database: WatchedDatabase) -> AsyncIterator[SqliteLedger]:
    database.pragmas = ("busy_timeout=50",)
    ledger = a_ledger(database)
    await ledger.open()
    yield ledger
    await ledger.close()


async def test_a_full_disk_is_an_outage_until_there_is_room(ledger: SqliteLedger, database: WatchedDatabase):
    ((pages,),) = rows_of(database, "PRAGMA page_count")
    database.pragmas = (f"max_page_count={pages}",)
    big = PrivateRecord(subject="glu_ada", name="photo", value="x" * 100_000)
    with pytest.raises(Unavailable, match="full"):
        await ledger.record([facts.opened_account()], facts.SOMEBODY, [big])
    database.pragmas = ()
    await ledger.record([facts.opened_account()], facts.SOMEBODY, [big])
    assert rows_of(database, "SELECT position FROM events") == [(1,)]


async def test_a_full_disk_in_the_middle_of_an_append_leaves_nothing_of_it(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: a connection that failed is kept."""
    await ledger.record([facts.opened()], facts.SOMEBODY)
    ((pages,),) = rows_of(database, "PRAGMA page_count")
    for connection in database.live_connections:
        connection.execute(f"PRAGMA max_page_count={pages}")
    big = PrivateRecord(subject="glu_ada", name="photo", value="x" * 100_000)
    with pytest.raises(Unavailable, match="full"):
        await ledger.record([facts.opened_account()], facts.SOMEBODY, [big])
    assert rows_of(database, "SELECT count(*) FROM events") == [(1,)]
    await ledger.record([facts.opened_account()], facts.SOMEBODY, [big])


async def test_a_read_only_file_is_an_outage_until_it_can_be_written(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: a failing disk is no outage."""
    database.pragmas = ("query_only=ON",)
    with pytest.raises(Unavailable, match="readonly"):
        await ledger.record([facts.opened()], facts.SOMEBODY)
    assert (await ledger.load(GRANT, "grant")).version == 0
    database.pragmas = ()
    await ledger.record([facts.opened()], facts.SOMEBODY)


async def test_a_locked_file_is_an_outage_until_the_lock_is_gone(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: a failing disk is no outage."""
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await ledger.record([facts.opened()], facts.SOMEBODY)
    other.rollback()
    other.close()
    await ledger.record([facts.opened()], facts.SOMEBODY)


async def test_nobody_but_writers_waits_for_a_writer(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await ledger.load(GRANT, "grant")).version == 1
    other.close()


async def test_a_file_that_is_gone_is_an_outage_until_it_is_back(
    ledger: SqliteLedger, database: WatchedDatabase
):
    away = database.path.with_suffix(".away")
    database.path.rename(away)
    with pytest.raises(Unavailable, match="unable to open"):
        await ledger.record([facts.opened()], facts.SOMEBODY)
    with pytest.raises(Unavailable, match="unable to open"):
        await ledger.load(GRANT, "grant")
    assert not database.path.exists()
    away.rename(database.path)
    await ledger.record([facts.opened()], facts.SOMEBODY)
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_damaged_bytes_are_an_outage_of_their_stream_only(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened("good"), facts.opened("bad")], facts.SOMEBODY)
    rows_of(database, "UPDATE token_grant SET state = ? WHERE key = 'bad'", b'{"client_id":')
    with pytest.raises(Unavailable):
        await ledger.load(GRANT, "bad")
    with pytest.raises(Unavailable):
        await ledger.standing("bad")
    assert (await ledger.load(GRANT, "good")).version == 1


async def test_a_connection_that_broke_is_replaced(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    await ledger.load(GRANT, "grant")
    for connection in database.live_connections:
        connection.close()
    with pytest.raises(Unavailable):
        await ledger.load(GRANT, "grant")
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_a_missing_table_is_an_outage(ledger: SqliteLedger, database: WatchedDatabase):
    rows_of(database, "ALTER TABLE token_grant RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="no such table"):
        await ledger.load(GRANT, "grant")
    with pytest.raises(Unavailable, match="no such table"):
        await ledger.record([facts.opened()], facts.SOMEBODY)
