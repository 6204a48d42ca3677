"""A ledger by its path or URL: a SQLite file, or a PostgreSQL database.

`TEST_STORE=postgresql` keeps the ledgers of servers in PostgreSQL, unless a test chooses the database itself.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grantledger.adapters.crypto.secret_keepers import SecretFile
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.schema import metadata
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from support import postgres
from support.timeouts import TIMEOUT

Ledger = Path | str

STORE = os.environ.get("TEST_STORE", "sqlite")
assert STORE in ("sqlite", "postgresql"), f"TEST_STORE={STORE}"
IN_POSTGRESQL = STORE == "postgresql"


def once(reason: str) -> pytest.MarkDecorator:
    """Mark a test that `make test-postgresql` does not run again, and say why."""
    return pytest.mark.skipif(IN_POSTGRESQL, reason=reason)


def ledger_at(address: str) -> Ledger:
    """Return the ledger that the setting `database` names."""
    return address if "://" in address else Path(address)


def ledger_settings(directory: Path, **given: str) -> dict[str, str]:
    """Return `given` and the ledger of this directory, which all servers in it share.

    SQLite makes a master secret next to its file; with PostgreSQL the settings must name one.
    """
    file = directory / "grantledger.sqlite3"
    if not IN_POSTGRESQL:
        return {"database": str(file)} | given
    if "database" not in given:
        given["database"] = _database_of(directory)
    if not {"master_secret", "master_secret_file"} & given.keys():
        given["master_secret_file"] = f"{file}.secret"
        SecretFile(Path(given["master_secret_file"])).create()
    return given


def ledger_of(directory: Path) -> Ledger:
    """Return the ledger that all servers in this directory share."""
    return ledger_at(ledger_settings(directory)["database"])


@cache
def _database_of(directory: Path) -> str:
    return postgres.new_database(migrated=True)


def all_values(url: str) -> bytes:
    """Return the values of all rows in the PostgreSQL database as one sequence of bytes."""
    rows = (row for table in metadata.tables for row in postgres.rows(url, f"SELECT * FROM {table}"))
    values = (value for row in rows for value in row)
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def asked(ledger: Ledger, statement: str, *parameters: Any) -> list[Any]:
    """Ask the file or the server directly."""
    if isinstance(ledger, str):
        return postgres.rows(ledger, statement.replace("?", "%s") if parameters else statement, *parameters)
    with closing(sqlite3.connect(ledger, timeout=TIMEOUT)) as connection:
        return connection.execute(statement, parameters).fetchall()


@contextmanager
def opened(ledger: Ledger) -> Iterator[Database]:
    """Offer the database, and close its connections at the end."""
    database = database_at(ledger)
    try:
        yield database
    finally:
        database.engine.dispose()


def execute(ledger: Ledger, *statements: str) -> None:
    """Execute the statements in one transaction."""
    if isinstance(ledger, str):
        postgres.rows(ledger, ";".join(statements))
        return
    with closing(sqlite3.connect(ledger, timeout=TIMEOUT, isolation_level=None)) as connection:
        connection.executescript(f"BEGIN; {';'.join(statements)}; COMMIT;")


def database_at(ledger: Ledger) -> Database:
    if isinstance(ledger, str):
        return PostgresDatabase(ledger)
    return SqliteDatabase(ledger)
