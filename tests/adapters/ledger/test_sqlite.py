"""The SQLite file: durability, file modes and outages."""

import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedSqlite, a_ledger, rows_of
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.application.ports import PrivateRecord, Unavailable
from grantledger.domain.token_grant import GRANT

STORES = ("sqlite",)

FULL = 2


async def test_every_live_connection_syncs_before_a_commit_returns(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if the write-ahead log is synced at checkpoints only."""
    await ledger.record([facts.opened()], facts.OPERATOR)
    await ledger.grant_facts("grant")
    live = database.live_connections
    assert len(live) >= 2  # the writer's and the reader's
    assert {connection.execute("PRAGMA journal_mode").fetchone() for connection in live} == {("wal",)}
    assert {connection.execute("PRAGMA synchronous").fetchone() for connection in live} == {(FULL,)}


async def test_the_live_writer_syncs_before_its_commit_returns(ledger: EventLedger, database: WatchedSqlite):
    """Fails if the writer syncs at checkpoints only."""
    for version in (1, 2):
        await ledger.record([facts.opened(str(version))], facts.OPERATOR)
        writer = database.committed_on
        assert writer is not None
        assert writer in database.live_connections  # the connection is kept for the next commit
        assert writer.execute("PRAGMA synchronous").fetchone() == (FULL,)


async def test_only_the_owner_can_read_the_files(ledger: EventLedger, database: WatchedSqlite):
    await ledger.record([facts.opened()], facts.OPERATOR)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(CannotOpen, match="nowhere does not exist"):
        SqliteDatabase(tmp_path / "nowhere" / "ledger.db")


def test_a_path_may_hold_characters_that_are_special_in_a_uri(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "a?b#c%41 ü.db")
    database.create()
    database.connect().close()
    assert database.path.exists()


@pytest.fixture
async def ledger(database: WatchedSqlite) -> AsyncIterator[EventLedger]:
    database.busy_timeout = 50
    ledger = a_ledger(database)
    await ledger.open()
    yield ledger
    await ledger.close()


async def test_a_full_disk_is_an_outage_until_there_is_room(ledger: EventLedger, database: WatchedSqlite):
    ((pages,),) = rows_of(database, "PRAGMA page_count")
    database.pragmas = (f"max_page_count={pages}",)
    big = PrivateRecord(subject="glu_ada", name="photo", value="x" * 100_000)
    with pytest.raises(Unavailable, match="full"):
        await ledger.record([facts.opened_account()], facts.OPERATOR, [big])
    database.pragmas = ()
    await ledger.record([facts.opened_account()], facts.OPERATOR, [big])
    assert rows_of(database, "SELECT position FROM events") == [(1,)]


async def test_a_full_disk_in_the_middle_of_an_append_leaves_nothing_of_it(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if a connection is kept after it has failed."""
    await ledger.record([facts.opened()], facts.OPERATOR)
    ((pages,),) = rows_of(database, "PRAGMA page_count")
    for connection in database.live_connections:
        connection.execute(f"PRAGMA max_page_count={pages}")
    big = PrivateRecord(subject="glu_ada", name="photo", value="x" * 100_000)
    with pytest.raises(Unavailable, match="full"):
        await ledger.record([facts.opened_account()], facts.OPERATOR, [big])
    assert rows_of(database, "SELECT count(*) FROM events") == [(1,)]
    await ledger.record([facts.opened_account()], facts.OPERATOR, [big])


async def test_a_read_only_file_is_an_outage_until_it_can_be_written(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if a disk error is not reported as an outage."""
    database.pragmas = ("query_only=ON",)
    with pytest.raises(Unavailable, match="readonly"):
        await ledger.record([facts.opened()], facts.OPERATOR)
    assert (await ledger.load(GRANT, "grant")).version == 0
    database.pragmas = ()
    await ledger.record([facts.opened()], facts.OPERATOR)


async def test_a_locked_file_is_an_outage_until_the_lock_is_gone(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if a disk error is not reported as an outage."""
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await ledger.record([facts.opened()], facts.OPERATOR)
    other.rollback()
    other.close()
    await ledger.record([facts.opened()], facts.OPERATOR)


async def test_a_reader_does_not_wait_for_a_writer(ledger: EventLedger, database: WatchedSqlite):
    await ledger.record([facts.opened()], facts.OPERATOR)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await ledger.load(GRANT, "grant")).version == 1
    other.close()


async def test_a_file_that_is_gone_is_an_outage_until_it_is_back(
    ledger: EventLedger, database: WatchedSqlite
):
    away = database.path.with_suffix(".away")
    database.path.rename(away)
    with pytest.raises(Unavailable, match="unable to open"):
        await ledger.record([facts.opened()], facts.OPERATOR)
    with pytest.raises(Unavailable, match="unable to open"):
        await ledger.load(GRANT, "grant")
    assert not database.path.exists()
    away.rename(database.path)
    await ledger.record([facts.opened()], facts.OPERATOR)
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_damaged_bytes_are_an_outage_of_their_stream_only(ledger: EventLedger, database: WatchedSqlite):
    await ledger.record([facts.opened("good"), facts.opened("bad")], facts.OPERATOR)
    rows_of(database, "UPDATE token_grant SET state = ? WHERE key = 'bad'", b'{"client_id":')
    with pytest.raises(Unavailable):
        await ledger.load(GRANT, "bad")
    with pytest.raises(Unavailable):
        await ledger.grant_facts("bad")
    assert (await ledger.load(GRANT, "good")).version == 1


async def test_a_connection_that_broke_is_replaced(ledger: EventLedger, database: WatchedSqlite):
    await ledger.record([facts.opened()], facts.OPERATOR)
    await ledger.load(GRANT, "grant")
    for connection in database.live_connections:
        connection.close()
    with pytest.raises(Unavailable):
        await ledger.load(GRANT, "grant")
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_a_missing_table_is_an_outage(ledger: EventLedger, database: WatchedSqlite):
    rows_of(database, "ALTER TABLE token_grant RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="no such table"):
        await ledger.load(GRANT, "grant")
    with pytest.raises(Unavailable, match="no such table"):
        await ledger.record([facts.opened()], facts.OPERATOR)
