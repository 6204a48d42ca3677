"""Changes of the database schema; stored events and their envelopes are never rewritten."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from grantledger.adapters.ledger.database import CannotOpen, Database

_VERSIONS = Path(__file__).parent / "versions"


class SchemaMismatch(Exception):  # noqa: N818 - a sentence for the operator
    """The database was made by another release than this one."""


class SchemaOlder(SchemaMismatch):
    """The database is no ledger yet, or has the schema of an older release."""


class SchemaNewer(SchemaMismatch):
    """A newer release has migrated the database, which this one cannot read."""


def migrate(database: Database) -> None:
    """Make the database, or bring it to this release's schema; all of it or nothing.

    Two processes may do so at once: the second finds it done.

    Raises `CannotOpen`, and `SchemaNewer` when a newer release has migrated it already.
    """
    if database.path.exists() and current(database) == _revisions()[-1]:
        return
    with _opening(database):
        database.create()
        # Alembic leaves SQLite's DDL without a transaction, and the driver would commit in front of it.
        with database.queueing(), database.engine.connect() as connection:
            connection.detach()  # closed at the end, which rolls back what is not committed
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _refuse_unknown(_revision(connection))
            _upgrade(connection)
            connection.commit()


def current(database: Database) -> str | None:
    """Return the revision of the database, None before the first migration.

    Raises `CannotOpen` when there is no such file, or none of SQLite's.
    """
    with _opening(database), database.engine.connect() as connection:
        return _revision(connection)


def check(database: Database) -> None:
    """Raise `SchemaMismatch` unless the database has this release's schema."""
    found, newest = current(database), _revisions()[-1]
    if found != newest:
        _refuse_unknown(found)
        raise SchemaOlder(
            f"{database.path} is at revision {found or 'none'}, this release needs {newest}: run "
            "`grantledger migrate`"
        )


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in _revisions():
        raise SchemaNewer(
            f"the database is at revision {revision}, which only a newer release knows: run that one, or go "
            "back to a backup from before it"
        )


def _revisions() -> list[str]:
    """Return the revisions of this release in their order, by the names of the files in `versions`."""
    return sorted(path.name[1:5] for path in _VERSIONS.glob("v[0-9][0-9][0-9][0-9]_*.py"))


def _revision(connection: Connection) -> str | None:
    exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'alembic_version'"
    if not connection.exec_driver_sql(exists).scalar_one():
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    with _quietly():
        # Imported here: most starts find the schema as it should be, and Alembic takes 0.1 s to import.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_VERSIONS.parent).replace("%", "%%"))
        command.upgrade(config, "head")


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Alembic's progress out of a host's log; migrations of the host's own are logged as before."""
    loggers = [logging.getLogger(f"alembic.runtime.{name}") for name in ("migration", "plugins")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _opening(database: Database) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise CannotOpen(f"{database.path} cannot be opened: {_why(database.path, cause)}") from error


def _why(path: Path, cause: BaseException | None) -> str:
    """Return what is in the way, and what to do about it."""
    if not path.exists():
        return "there is no such file; `grantledger migrate` makes it, `--database` names another one"
    if not path.is_file():
        return "it is no file; `--database` names another one"
    # The low byte of SQLite's code is the kind of error, the others tell more of it.
    match getattr(cause, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return "it is not a ledger, or is damaged; `--database` names another one"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another program holds its lock; try again when that has ended"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return "it and its folder must be readable and writable for this user"
    return str(getattr(cause, "strerror", None) or cause)
