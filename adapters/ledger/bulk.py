"""One statement for many rows.

For each statement the driver lets go of the interpreter and takes it back, which a busy event loop makes
dear: measured over HTTP with 16 connections, writing a batch in few statements halves what appends cost.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

Rows = Sequence[tuple[Any, ...]]

_CHUNKS = (64, 16, 4, 1)
"""Few sizes, so that the driver keeps each statement prepared; the largest has 1,152 parameters."""


def execute(cursor: sqlite3.Cursor, statement: Callable[[int], str], rows: Rows) -> int:
    """Execute `statement(n)`, which takes n rows at once, over all of them; return how many it changed."""
    changed = 0
    for chunk in _chunked(rows):
        cursor.execute(statement(len(chunk)), [value for row in chunk for value in row])
        changed += cursor.rowcount
    return changed


def repeated(insertion: str) -> Callable[[int], str]:
    """Return an `INSERT ... VALUES (...)` for any number of rows."""
    head, values = insertion.split(" VALUES ")
    return cache(lambda times: f"{head} VALUES {', '.join([values] * times)}")


def _chunked(rows: Rows) -> Iterator[Rows]:
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
