"""Changes of the database schema; stored events and their envelopes are never rewritten."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from grantledger.adapters.ledger.database import CannotOpen, Database


class SchemaMismatch(Exception):  # noqa: N818 - a sentence for the operator
    """The database was made by another release than this one."""


def migrate(database: Database) -> None:
    """Make the database, or bring it to this release's schema; all of it or nothing.

    Two processes may do so at once: the second finds it done.

    Raises `SchemaMismatch` when a newer release has migrated it already.
    """
    with _opening(database):
        database.create()
        # Alembic leaves SQLite's DDL without a transaction, and the driver would commit in front of it.
        with database.queueing(), database.engine.connect() as connection:
            connection.detach()  # closed at the end, which rolls back what is not committed
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _refuse_unknown(_revision(connection))
            command.upgrade(_config(connection), "head")
            connection.commit()


def current(database: Database) -> str | None:
    """Return the revision of the database, None before the first migration.

    Raises `CannotOpen` when there is no such file, or none of SQLite's.
    """
    with _opening(database), database.engine.connect() as connection:
        return _revision(connection)


def check(database: Database) -> None:
    """Raise `SchemaMismatch` unless the database has this release's schema."""
    found, head = current(database), _scripts().get_current_head()
    if found != head:
        _refuse_unknown(found)
        raise SchemaMismatch(
            f"the database is at revision {found}, this release needs {head}: migrate it first"
        )


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaMismatch(f"the database is at revision {revision}, which only a newer release knows")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


@contextmanager
def _opening(database: Database) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise CannotOpen(f"{database.path} cannot be opened as a database: {error}") from error
