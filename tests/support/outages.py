"""Outages of a ledger: writers that wait for their turn, and tables that are gone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from sqlite3 import connect

import psycopg

from support.server import Server
from support.stores import Ledger, execute


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


@contextmanager
def rows_locked(ledger: Ledger) -> Iterator[None]:
    """Lock the rows of all grants in PostgreSQL: who changes one waits, and lets no other writer write."""
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
