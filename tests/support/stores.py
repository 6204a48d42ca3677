"""A ledger by its path or URL: a SQLite file, or a PostgreSQL database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from support import postgres

Ledger = Path | str


def asked(ledger: Ledger, statement: str, *parameters: Any) -> list[Any]:
    """Ask the file or the server directly."""
    if isinstance(ledger, str):
        return postgres.rows(ledger, statement.replace("?", "%s") if parameters else statement, *parameters)
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(statement, parameters).fetchall()


def database_at(ledger: Ledger) -> Database:
    if isinstance(ledger, str):
        return PostgresDatabase(ledger)
    return SqliteDatabase(ledger)
