"""Statements: portable, and answered from indexes."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from adapters.ledger.storage import WatchedSqlite
from grantledger.adapters.ledger.schema import ROWS, metadata
from grantledger.adapters.ledger.sql import BEGINS, CHUNKS, Statement, Statements

STORES = ("sqlite",)

POSTGRESQL = asyncpg.dialect()
FILTERS: dict[str, list[tuple[str, ...]]] = {
    "client": [()],
    "user": [()],
    "consent": [("user_id",)],
    "grant": [(), ("client_id",), ("user_id",), ("client_id", "user_id")],
}
PAGES = [(category, where, after) for category in BEGINS for where in FILTERS[category] for after in (0, 1)]


def every_statement(statements: Statements) -> Iterator[tuple[str, Statement | str]]:
    """Yield every statement with a name. Statements for several rows come in every size."""
    for name, made in vars(statements).items():
        for part, each in made.items() if isinstance(made, dict) else [("", made)]:
            if isinstance(each, Statement):
                yield f"{name} {part}".strip(), each
            elif callable(each):
                yield from ((f"{name} {part} of {size}", each(size)) for size in CHUNKS)
    for category, where, after in PAGES:
        yield f"page of {category} {where}", statements.page(category, where, after=bool(after))
        yield f"cursor of {category}", statements.cursor(category)


def test_every_statement_compiles_for_postgresql(database: WatchedSqlite):
    here, there = (dict(every_statement(made)) for made in (database.statements, Statements(POSTGRESQL)))
    assert here.keys() == there.keys()
    assert len(here) > 60
    for name, made in there.items():
        ours = here[name]
        if isinstance(made, Statement) and isinstance(ours, Statement):
            assert len({*made.names}) == len(made.names)  # a parameter that is used twice has one number
            assert {*made.names} - made.constants.keys() == {*ours.names} - ours.constants.keys(), name
            assert {*re.findall(r"\$\d+", made.text)} == {f"${n}" for n in range(1, len(made.names) + 1)}
        else:
            assert str(made).count("$") == str(ours).count("?"), name


def test_every_table_compiles_for_postgresql():
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=POSTGRESQL))
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=POSTGRESQL))


def plan(database: WatchedSqlite, text: str) -> list[str]:
    """Return the steps that SQLite would take."""
    with closing(sqlite3.connect(database.path)) as connection:
        explained = connection.execute(f"EXPLAIN QUERY PLAN {text}", ["x"] * text.count("?"))
        return [detail for *_, detail in explained]


def test_no_statement_scans_or_sorts_a_table(database: WatchedSqlite):
    """Except the tables that a statement itself makes, which have as many rows as it has parameters."""
    found: dict[str, Any] = {}
    for name, made in every_statement(database.statements):
        text = made.text if isinstance(made, Statement) else made
        if not text.lstrip().upper().startswith("INSERT"):
            steps = [step for step in plan(database, text) if step.startswith(("SCAN", "USE TEMP"))]
            steps = [
                step for step in steps if not is_of_the_statement(step) and step not in BOUNDED.get(name, ())
            ]
            found |= {name: steps} if steps else {}
    assert found == {}


BOUNDED = {
    "connected_apps": {
        "SCAN recent",
        "SCAN given",
        "SCAN alive",
        "SCAN both",
        "SCAN (subquery-9)",  # `both` sorted by client
        "SCAN matched",
        "SCAN chosen",
        "USE TEMP B-TREE FOR GROUP BY",
        "USE TEMP B-TREE FOR ORDER BY",
    },
    "revision": {"SCAN alembic_version"},
}
"""By statement, its scans and sorts of few rows: the statement limits them, or the table has only one."""


def test_the_grants_and_consents_of_a_user_are_searched_by_an_index(database: WatchedSqlite):
    steps = plan(database, database.statements.connected_apps.text)
    assert [step for step in steps if step.startswith("SEARCH token_grant USING INDEX token_grant_user")]
    assert [step for step in steps if step.startswith("SEARCH consent USING INDEX consent_parties")]


def is_of_the_statement(step: str) -> bool:
    one_consent_per_client = "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"
    own = ("SCAN wanted", "SCAN asked", "SCAN anon_1", one_consent_per_client)
    return step in own or re.fullmatch(r"SCAN (\d+ )?CONSTANT ROWS?", step) is not None


@pytest.mark.parametrize(("category", "where", "after"), PAGES)
def test_a_page_of_a_list_is_one_search_of_an_index(
    database: WatchedSqlite, category: str, where: tuple[str, ...], after: int
):
    text = database.statements.page(category, where, after=bool(after)).text
    step, *sort = plan(database, text)
    assert sort == [] or category == "consent"
    assert step.startswith(f"SEARCH {ROWS[category].name} USING ")


def test_a_refresh_leaves_the_indexes_of_its_grant_alone(database: WatchedSqlite):
    """SQLite writes an index again as soon as one of its columns is set, even to the same value."""
    table = ROWS["grant"]
    indexed = {column.name for index in table.indexes for column in index.columns} - {"realm", "key"}
    assert indexed == {"client_id", "user_id", "opened_at"}
    updated = database.statements.put["grant"](1).partition("DO UPDATE SET")[2]
    assert [name for name in indexed if f"{name} =" in updated] == []
