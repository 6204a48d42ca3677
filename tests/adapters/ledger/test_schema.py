"""Migrations make the schema and change it, each as a whole or not at all."""

import logging
import multiprocessing
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from adapters.ledger import processes
from adapters.ledger.storage import (
    STORES,
    WatchedDatabase,
    WatchedPostgres,
    WatchedSqlite,
    a_ledger,
    only_sqlite,
    rows_of,
    schema_of,
)
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.migrations import SchemaMismatch
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.schema import metadata
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from support import postgres
from support.timeouts import TIMEOUT


def statements_of(path: Path) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    finally:
        connection.close()


@pytest.fixture(params=STORES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> WatchedDatabase:
    """A database that was never migrated."""
    if request.param == "sqlite":
        here = WatchedSqlite(tmp_path / "ledger.db")
        here.create()
        return here
    return WatchedPostgres(postgres.new_database())


def test_the_migrations_make_what_the_code_expects(database: WatchedDatabase):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@only_sqlite
def test_the_migrations_make_every_table_as_the_code_would(database: WatchedSqlite, tmp_path: Path):
    plain = SqliteDatabase(tmp_path / "plain.db")
    plain.create()
    metadata.create_all(plain.engine)
    migrated = [entry for entry in statements_of(database.path) if "alembic_version" not in entry[0]]
    migrated = [entry for entry in migrated if entry[0] != "sqlite_autoindex_alembic_version_1"]
    assert [words(sql) for _, sql in migrated] == [words(sql) for _, sql in statements_of(plain.path)]


def words(sql: str | None) -> list[str]:
    return sorted((sql or "").replace(",", " ").split())


def test_migrating_again_changes_nothing(database: WatchedDatabase):
    before = schema_of(database)
    migrations.migrate(database)
    assert schema_of(database) == before
    migrations.check(database)


def test_the_newest_revision_is_alembics_head():
    """The revision is read from the names of the files. Fails if a file is named after another revision."""
    assert ScriptDirectory(migrations.__path__[0]).get_heads() == [migrations.HEAD]


START = """
import asyncio, sys
from adapters.ledger.storage import a_ledger
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.sqlite import SqliteDatabase

async def start() -> None:
    migrations.migrate(database)
    migrations.check(database)
    ledger = a_ledger(database)
    await ledger.open()
    await ledger.close()

database = SqliteDatabase(sys.argv[1])
asyncio.run(start())
print([name for name in sys.modules if name.partition(".")[0] == "alembic"])
"""


@only_sqlite
def test_a_start_with_the_newest_schema_does_not_import_alembic(database: WatchedSqlite):
    """Fails if alembic is imported at the top of a module, which takes 60 ms."""
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", START, str(database.path)],
        cwd=tests,  # a script's own directory comes first
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"


def test_migrations_keep_alembics_progress_out_of_a_hosts_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    before = logging.getLogger("alembic.runtime.migration").level
    with caplog.at_level(logging.DEBUG):
        database = SqliteDatabase(tmp_path / "ledger.db")
        migrations.migrate(database)
        migrations.check(database)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("alembic")] == []
    assert logging.getLogger("alembic.runtime.migration").level == before


def test_a_migration_that_fails_changes_nothing(empty: WatchedDatabase, monkeypatch: pytest.MonkeyPatch):
    upgrade = migrations._upgrade  # noqa: SLF001 - the last step before the commit

    def upgrade_and_fail(connection: Connection) -> None:
        upgrade(connection)
        raise OSError("disk I/O error")

    monkeypatch.setattr(migrations, "_upgrade", upgrade_and_fail)
    with pytest.raises(CannotOpen, match="disk I/O error"):
        migrations.migrate(empty)
    monkeypatch.undo()
    assert schema_of(empty) == []
    migrations.migrate(empty)
    migrations.check(empty)
    empty.engine.dispose()


def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "ledger.db")
    with pytest.raises(CannotOpen, match=r"ledger\.db cannot be opened"):
        migrations.check(database)
    assert not database.path.exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "ledger.db")
    database.path.write_text("a diary, " * 1000)
    with pytest.raises(CannotOpen, match="it is not a ledger"):
        migrations.migrate(database)


async def test_a_database_behind_the_code_is_not_opened(empty: WatchedDatabase):
    with pytest.raises(SchemaMismatch, match="at revision none, this release needs 0"):
        await a_ledger(empty).open()
    empty.engine.dispose()


def test_a_postgresql_that_is_not_there_is_named():
    with pytest.raises(CannotOpen, match="the ledger cannot be opened: connection"):
        migrations.check(PostgresDatabase("postgresql://ada@/db?host=/nonexistent", name="the ledger"))


async def test_a_database_ahead_of_the_code_is_not_opened(database: WatchedDatabase):
    rows_of(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="9999, which only a newer release knows"):
        await a_ledger(database).open()
    with pytest.raises(SchemaMismatch):
        migrations.migrate(database)


@pytest.mark.full
def test_several_processes_may_start_at_once(tmp_path: Path):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    arguments = (str(tmp_path / "ledger.db"), barrier)
    starting = [spawn.Process(target=processes.migrate_once_all_are_there, args=arguments) for _ in range(3)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(TIMEOUT)
    assert [process.exitcode for process in starting] == [0, 0, 0]
