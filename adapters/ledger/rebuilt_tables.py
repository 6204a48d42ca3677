"""The second set of tables for the read model, and how it takes the place of the first."""

import sqlite3
from typing import NamedTuple

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.schema import ROWS
from grantledger.adapters.ledger.statements import DIALECT, compiled, selection

_NEW, _OLD = "rebuilt_", "replaced_"


class Statements(NamedTuple):
    """For the rebuilt table of one category: how it is made, read by key and written."""

    create: str
    select: str
    put: str


def _statements(live: Table) -> Statements:
    table = live.to_metadata(MetaData(), name=_NEW + live.name)
    put = insert(table)
    put = put.on_conflict_do_update(
        index_elements=(table.c.realm, table.c.key),
        set_={column.name: put.excluded[column.name] for column in table.c[2:]},
    )
    names = [column.name for column in table.c]
    return Statements(
        str(CreateTable(table).compile(dialect=DIALECT)), selection(table), compiled(put, *names)
    )


REBUILT = {category: _statements(table) for category, table in ROWS.items()}


def create(database: Database) -> None:
    with database.writing() as cursor:
        for statements in REBUILT.values():
            cursor.execute(statements.create)


def swap(cursor: sqlite3.Cursor) -> None:
    """Give the rebuilt tables the names of the live ones. SQLite prepares every reader's statements anew."""
    for live in ROWS.values():
        cursor.execute(f"ALTER TABLE {live.name} RENAME TO {_OLD}{live.name}")
        cursor.execute(f"ALTER TABLE {_NEW}{live.name} RENAME TO {live.name}")
        for index in live.indexes:  # whose names are the database's, and cannot be changed
            cursor.execute(f"DROP INDEX {index.name}")
            cursor.execute(str(CreateIndex(index).compile(dialect=DIALECT)))


def discard(database: Database, *, page: int) -> None:
    """Drop what is neither live nor to become it, in steps between which others write."""
    for name in [prefix + table.name for table in ROWS.values() for prefix in (_NEW, _OLD)]:
        while _is_there(database, name):
            with database.writing() as cursor:
                some = f"SELECT rowid FROM {name} LIMIT {page:d}"  # noqa: S608 - names of our own
                if cursor.execute(f"DELETE FROM {name} WHERE rowid IN ({some})").rowcount == 0:  # noqa: S608 - as above
                    cursor.execute(f"DROP TABLE {name}")


def _is_there(database: Database, name: str) -> bool:
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,))
        return found.first() is not None
