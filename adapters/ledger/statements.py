"""SQLAlchemy's expressions, compiled once: what runs for every request pays for no compiler.

Measured: a keyed select takes 5 us as text on the driver and 19 us through a SQLAlchemy connection.
"""

from collections.abc import Callable
from functools import cache

from sqlalchemy import ClauseElement, Table, bindparam, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from grantledger.adapters.ledger.bulk import repeated
from grantledger.adapters.ledger.schema import ROWS

DIALECT = sqlite.dialect()


def compiled(statement: ClauseElement, *parameters: str) -> str:
    """Return the SQL, whose question marks stand for `parameters` in this order."""
    made = statement.compile(dialect=DIALECT)
    assert isinstance(made, SQLCompiler)
    assert tuple(made.positiontup or ()) == parameters, made.positiontup
    return str(made)


def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


def insertion(table: Table) -> str:
    """Insert a row; the parameters are the table's columns in their order."""
    return compiled(insert(table), *_names(table))


def _replacement(table: Table) -> Callable[[int], str]:
    """Replace rows at the version they have; each takes its columns, then that version."""
    names = _names(table)
    given = dict(zip((*names, "replaces"), (f"column{n}" for n in range(1, len(names) + 2)), strict=True))
    changing = (column.name for column in table.c if not (column.primary_key or column.info.get("fixed")))
    setting = ", ".join(f"{name} = given.{given[name]}" for name in changing)
    at = " AND ".join(
        f"{table.name}.{name} = given.{given[source]}"
        for name, source in (("realm", "realm"), ("key", "key"), ("version", "replaces"))
    )
    one = f"({', '.join('?' * len(given))})"
    # The driver counts the rows of a statement only if it begins with UPDATE.
    head, tail = f"UPDATE {table.name} SET {setting} FROM (VALUES ", f") AS given WHERE {at}"  # noqa: S608 - names of our own
    return cache(lambda times: head + ", ".join([one] * times) + tail)


def selection(table: Table) -> str:
    """Select version, fold and state of a row; the parameters are realm and key."""
    statement = select(table.c.version, table.c.fold, table.c.state).where(
        table.c.realm == bindparam("realm"), table.c.key == bindparam("key")
    )
    return compiled(statement, "realm", "key")


INSERT_ROW = {category: repeated(insertion(table)) for category, table in ROWS.items()}
REPLACE_ROW = {category: _replacement(table) for category, table in ROWS.items()}
SELECT_ROW = {category: selection(table) for category, table in ROWS.items()}
