"""Changes of the database schema. Stored events and their envelopes are never rewritten."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from grantledger.adapters.ledger.database import CannotOpen, Database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = max(path.name[1:5] for path in (Path(__file__).parent / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))
"""The newest revision, from the file names, so that a start with a current schema need not import Alembic."""

_ALEMBIC = tuple(logging.getLogger(f"alembic.runtime.{name}") for name in ("migration", "plugins"))


class SchemaMismatch(Exception):  # noqa: N818 - a sentence for the operator
    """The database has the schema of another release."""


class SchemaOlder(SchemaMismatch):
    """The database is empty, or has the schema of an older release."""


class SchemaNewer(SchemaMismatch):
    """A newer release has migrated the database; this release cannot read it."""


def migrate(database: Database) -> str | None:
    """Create the database, or upgrade it to this release's schema, in one transaction.

    Two processes may do so at once: the second one has nothing to do. Returns the revision before.

    Raises `CannotOpen`, and `SchemaNewer` when a newer release has migrated it already.
    """
    with _opening(database):
        database.create()
        before = _current(database)
        if before != HEAD:
            try:
                with _quietly(), database.writing() as connection:
                    _refuse_unknown(_revision(connection))
                    _upgrade(connection)
            except DBAPIError:
                # In an empty PostgreSQL no row can be locked: another process may have made the tables.
                if _current(database) != HEAD:
                    raise
        return before


def current(database: Database) -> str | None:
    """Return the revision of the database, None before the first migration.

    Raises `CannotOpen` if the file does not exist or is not a database.
    """
    with _opening(database):
        return _current(database)


def check(database: Database) -> None:
    """Raise `SchemaMismatch` unless the database has this release's schema."""
    found = current(database)
    if found != HEAD:
        _refuse_unknown(found)
        raise SchemaOlder(
            f"{database.name} is at revision {found or 'none'}, this release needs {HEAD}: run "
            "`grantledger migrate`"
        )


def _current(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    """Return the revision that Alembic has stored. Its table does not exist before the first migration."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if found is None else str(found[0])


def _refuse_unknown(revision: str | None) -> None:
    # Revisions are numbers of one length, so they can be compared as text.
    if revision is not None and revision > HEAD:
        raise SchemaNewer(
            f"the database is at revision {revision}, which only a newer release knows: run that release, "
            "or restore a backup from before the upgrade"
        )


def _upgrade(connection: Connection) -> None:
    """Run the missing migrations in the transaction of the connection."""
    from alembic import command  # noqa: PLC0415 - only a start that has to migrate pays for it

    command.upgrade(config(connection), "head")


def config(connection: Connection | None = None) -> "Config":
    """Return Alembic's configuration for the scripts of this package."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return made


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Alembic's progress out of a host's log; then restore the level for the host's own migrations."""
    levels = [logger.level for logger in _ALEMBIC]
    for logger in _ALEMBIC:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(_ALEMBIC, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _opening(database: Database) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error
        raise CannotOpen(f"{database.name} cannot be opened: {database.why(cause)}") from error
