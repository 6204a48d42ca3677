"""One statement for many rows: the same rows as one by one, whatever their number."""

import sqlite3

import pytest

from grantledger.adapters.ledger import bulk

INSERT = bulk.repeated("INSERT INTO numbers (n, square) VALUES (?, ?)")


@pytest.fixture
def cursor() -> sqlite3.Cursor:
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("CREATE TABLE numbers (n INTEGER, square INTEGER)")
    return cursor


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 16, 20, 63, 64, 65, 150])
def test_every_row_is_written_once_and_counted(cursor: sqlite3.Cursor, count: int):
    rows = [(n, n * n) for n in range(count)]
    assert bulk.execute(cursor, INSERT, rows) == count
    assert cursor.execute("SELECT n, square FROM numbers ORDER BY n").fetchall() == rows
    cursor.connection.close()


def test_few_statements_are_prepared_for_any_number_of_rows(cursor: sqlite3.Cursor):
    statements = set()
    cursor.connection.set_trace_callback(lambda sql: statements.add(sql.count("(") if "VALUES" in sql else 0))
    for count in range(100):
        bulk.execute(cursor, INSERT, [(n, n) for n in range(count)])
    assert len(statements - {0}) <= 4
    cursor.connection.close()
