"""Outages of a ledger: writers that wait for their turn, and tables that are gone."""

import asyncio
import fcntl
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect
from typing import TypeVar

import psycopg

from support.server import Server
from support.stores import Ledger, asked, execute
from support.timeouts import until

T = TypeVar("T")

WAITING = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
PATIENCE = 4
"""Seconds in which no append times out. PostgreSQL gives up a lock after 5 s, a ledger an append after 10."""


@contextmanager
def writers_held_up(ledger: Ledger) -> Iterator[None]:
    """Hold the lock on which writers queue, as another process would."""
    if isinstance(ledger, str):
        with psycopg.connect(ledger) as connection:
            connection.execute("SELECT version_num FROM alembic_version FOR UPDATE")
            connection.execute("SELECT realm FROM heads FOR UPDATE")
            yield
        return
    lock = os.open(f"{ledger}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


async def writer_queued(ledger: Ledger, pid: int, *, ahead: int = 0) -> None:
    """Return when this server's writer waits for the lock. In PostgreSQL, `ahead` others wait before it."""
    if isinstance(ledger, str):
        await until(lambda: len(asked(ledger, WAITING)) > ahead)
    else:
        await until(lambda: re.search(rf"-> FLOCK .* {pid} ", Path("/proc/locks").read_text()) is not None)


async def within_patience(attempt: Callable[[], Awaitable[T]], repair: Callable[[], Awaitable[None]]) -> T:
    """Run `attempt`, which holds writers up, until it ends in time, and return its result.

    On a busy machine an attempt may take so long that appends time out, so that its result proves nothing.
    Then `repair` runs, and the attempt is repeated.
    """
    while True:
        begun = time.monotonic()
        (found,) = await asyncio.gather(attempt(), return_exceptions=True)
        if time.monotonic() - begun >= PATIENCE:
            await repair()
        elif isinstance(found, BaseException):
            raise found
        else:
            return found


@contextmanager
def rows_locked(ledger: Ledger) -> Iterator[None]:
    """Lock the rows of all grants in PostgreSQL: a writer that changes one waits, and blocks all others."""
    with psycopg.connect(str(ledger)) as connection:
        connection.execute("SELECT FROM token_grant FOR UPDATE")
        yield


@contextmanager
def writes_locked_out(server: Server) -> Iterator[None]:
    """Begin a transaction that writes, and leave it open."""
    if isinstance(server.ledger, str):
        with writers_held_up(server.ledger):
            yield
        return
    with closing(connect(server.ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def without_tables(ledger: Ledger, *tables: str) -> Iterator[None]:
    """Rename these tables, and rename them back at the end of the block."""
    execute(ledger, *(f"ALTER TABLE {table} RENAME TO {table}_away" for table in tables))
    try:
        yield
    finally:
        execute(ledger, *(f"ALTER TABLE {table}_away RENAME TO {table}" for table in tables))
