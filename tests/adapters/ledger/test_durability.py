"""What was acknowledged is on the disk, and it is nobody else's to read."""

import stat
from pathlib import Path

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase
from grantledger.adapters.ledger.database import CannotOpen, Database
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger

FULL = 2


async def test_every_live_connection_syncs_before_a_commit_returns(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: the write-ahead log is synced at checkpoints only."""
    await ledger.record([facts.opened()], facts.SOMEBODY)
    await ledger.standing("grant")
    live = database.live_connections
    assert len(live) >= 2  # the writer's and the reader's
    assert {connection.execute("PRAGMA journal_mode").fetchone() for connection in live} == {("wal",)}
    assert {connection.execute("PRAGMA synchronous").fetchone() for connection in live} == {(FULL,)}


async def test_the_live_writer_syncs_before_its_commit_returns(
    ledger: SqliteLedger, database: WatchedDatabase
):
    """Seen to catch: the writer syncs at checkpoints only."""
    for version in (1, 2):
        await ledger.record([facts.opened(str(version))], facts.SOMEBODY)
        writer = database.committed_on
        assert writer is not None
        assert writer in database.live_connections  # it is the one that commits next
        assert writer.execute("PRAGMA synchronous").fetchone() == (FULL,)


async def test_the_database_and_what_stands_beside_it_are_its_owners_alone(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(CannotOpen, match="nowhere does not exist"):
        Database(tmp_path / "nowhere" / "ledger.db")


def test_a_path_may_hold_what_a_uri_must_not(tmp_path: Path):
    database = Database(tmp_path / "a?b#c%41 ü.db")
    database.create()
    database.connect().close()
    assert database.path.exists()
