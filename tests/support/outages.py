"""Outages of a running server."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from sqlite3 import connect

from support.server import Server


@contextmanager
def writes_locked_out(server: Server) -> Iterator[None]:
    """Begin a transaction that writes, and leave it open."""
    with closing(connect(server.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
