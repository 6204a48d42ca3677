"""SQLAlchemy's expressions, compiled once: what runs for every request pays for no compiler.

Measured: a keyed select takes 5 us as text on the driver and 19 us through a SQLAlchemy connection.
"""

from sqlalchemy import ClauseElement, Table, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from grantledger.adapters.ledger.schema import ROWS

_DIALECT = sqlite.dialect()


def compiled(statement: ClauseElement, *parameters: str) -> str:
    """Return the SQL, whose question marks stand for `parameters` in this order."""
    made = statement.compile(dialect=_DIALECT)
    assert isinstance(made, SQLCompiler)
    assert tuple(made.positiontup or ()) == parameters, made.positiontup
    return str(made)


def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


def insertion(table: Table) -> str:
    """Insert a row; the parameters are the table's columns in their order."""
    return compiled(insert(table), *_names(table))


def _replacement(table: Table) -> str:
    values = _names(table)[2:]
    statement = (
        update(table)
        .values({name: bindparam(name) for name in values})
        .where(table.c.realm == bindparam("of_realm"), table.c.key == bindparam("of_key"))
        .where(table.c.version == bindparam("of_version"))
    )
    return compiled(statement, *values, "of_realm", "of_key", "of_version")


def _selection(table: Table) -> str:
    statement = select(table.c.version, table.c.fold, table.c.state).where(
        table.c.realm == bindparam("realm"), table.c.key == bindparam("key")
    )
    return compiled(statement, "realm", "key")


INSERT_ROW = {category: insertion(table) for category, table in ROWS.items()}
REPLACE_ROW = {category: _replacement(table) for category, table in ROWS.items()}
SELECT_ROW = {category: _selection(table) for category, table in ROWS.items()}
