"""How PostgreSQL plans the statements of requests, whatever it knows of the tables (ADR 0087)."""

import re
from typing import Any

import psycopg
import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedPostgres, a_ledger
from grantledger.adapters.ledger import postgresql
from grantledger.adapters.ledger.schema import ROWS, metadata
from grantledger.adapters.ledger.sql import Statements
from grantledger.domain.authorization_code import CODE

STORES = ("postgresql",)

_VALUES = {
    "realm": "'main'",
    "stream_id": "'code:' || md5(i::text)",  # as long as real ones: then this index soon has two levels
    "client_id": "'glc_' || i % 997",
    "user_id": "'glu_' || i % 997",
    "subject": "'glu_' || i % 997",
}

WALK = re.compile(r"Seq Scan on|Join Filter|Index (Only )?Scan.*(\n +Index Cond.*)?\n +Filter")
"""A node of a plan that reads rows which it then throws away."""


def fill(connection: "psycopg.Connection[tuple[Any, ...]]", first: int, last: int) -> None:
    """Write the rows `first` to `last` of each table, in one realm."""
    for table in metadata.sorted_tables:
        values = [
            f"({_VALUES.get(each.name, 'i')})::text::{'bytea' if str(each.type) == 'BLOB' else each.type}"
            for each in table.c
        ]
        text = f"INSERT INTO {table} SELECT {', '.join(values)} FROM generate_series({first}, {last}) i"
        connection.execute(f"{text} ON CONFLICT DO NOTHING".encode())  # `heads` has one row


def of_requests(statements: Statements) -> dict[str, str]:
    """Return the statements of requests, all of which find their rows by keys."""
    found = {
        "grant_facts": statements.grant_facts,
        "code_facts": statements.code_facts,
        "authorization_facts": statements.authorization_facts,
        "last_version": statements.last_version,
        **{f"load {category}": each for category, each in statements.load.items()},
        "batch": postgresql.batch_statement(tuple(sorted(ROWS))),
    }
    return {name: made.text for name, made in found.items()}


@pytest.mark.parametrize(
    ("rows", "analyzed"),
    [
        pytest.param(0, False, id="empty"),
        pytest.param(150, False, id="before the first statistics"),
        pytest.param(60, True, id="few rows"),  # autovacuum analyzes no table with less than 50
        pytest.param(3_000, True, id="many rows"),
    ],
)
def test_the_rows_of_a_request_are_found_by_their_keys(
    database: WatchedPostgres, rows: int, *, analyzed: bool
):
    """Fails for a plan that grows with the realm: with default settings all but the last state have some."""
    options = " ".join(f"-c {name}={value}" for name, value in postgresql.PLANNING.items())
    with psycopg.connect(database.address, options=options, autocommit=True) as connection:
        fill(connection, 1, rows)
        if analyzed:
            connection.execute("ANALYZE")
        walks = {}
        texts = of_requests(database.statements)
        if analyzed:
            texts["connected_apps"] = database.statements.connected_apps.text
        for name, text in texts.items():
            explained = connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode(), prepare=False)
            plan = "\n".join(line for (line,) in explained)
            if WALK.search(plan) or (name == "grant_facts" and "using token_grant_pkey" not in plan):
                walks[name] = plan
    assert walks == {}


async def test_each_statement_is_planned_once_for_a_connection(database: WatchedPostgres):
    ledger = a_ledger(database)
    await ledger.open()
    for n in range(8):  # PostgreSQL's own choice is to plan the first five executions each
        await ledger.record([facts.issued(f"{n}")], facts.OPERATOR)
        await ledger.load(CODE, f"{n}")
    (writing,) = database._writing.values()  # noqa: SLF001 - a connection sees only its own statements
    (reading,) = database._idle  # noqa: SLF001
    plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
    for connection in (writing, reading):
        ((generic, custom),) = await connection.fetch(f"{plans} WHERE generic_plans + custom_plans >= 8")
        assert (generic >= 8, custom) == (True, 0)
    await ledger.close()
