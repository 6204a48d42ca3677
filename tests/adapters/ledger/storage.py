"""What the ledger's tests use instead of a real database, clock and keys."""

import asyncio
import hashlib
import itertools
import sqlite3
import tempfile
import threading
from asyncio import Task
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from adapters.ledger.facts import OPERATOR
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.read_model import Retention
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.domain.aggregate import Change
from support import outages, postgres
from support.timeouts import TIMEOUT

NOW = 1_700_000_000_000_000


class KeepsAll(Retention):
    """Keeps every row. Otherwise a sweep in a slow test would delete rows, which all ended in 1970."""

    def horizons(self, now: int) -> dict[str, int]:
        return dict.fromkeys(super().horizons(now), -1)


KEEP_ALL = KeepsAll()


class ReversingSealer:
    """Hides a value by reversing it; `keys` are its master secrets, newest first."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys or ("key-1",)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return self.keys

    def seal(self, subject: str, name: str, value: str) -> tuple[str, bytes]:
        return self.keys[0], value[::-1].encode()

    def open(self, key_id: str, subject: str, name: str, sealed: bytes) -> str:
        return sealed.decode()[::-1]

    def lookups(self, name: str, value: str) -> list[bytes]:
        return [hashlib.sha256(f"{key} {name} {value}".encode()).digest() for key in self.keys]


def digest_of_address(address: str) -> bytes:
    return hashlib.sha256(address.encode()).digest()[:8]


def a_ledger(database: Database, **options: Any) -> EventLedger:
    """Return a ledger whose clock does not move; its random bits are 1, 2, 3 ..."""
    counter = itertools.count(1)
    usual: dict[str, Any] = {
        "sealer": ReversingSealer(),
        "address_digest": digest_of_address,
        "now": lambda: NOW,
        "random_bits": lambda _: next(counter),
        "retention": KEEP_ALL,
        "timeout": TIMEOUT,
    }
    return EventLedger(database, **(usual | options))


class _WatchedConnection:
    """A connection whose commits a test can watch and disturb."""

    def __init__(self, connection: sqlite3.Connection, database: "WatchedSqlite") -> None:
        self._connection = connection
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        self._database.before_commit()
        self._connection.commit()
        self._database.committed_on = self._connection
        self._database.commits += 1
        self._database.after_commit()


class WatchedSqlite(SqliteDatabase):
    """Remembers its connections and the last one that committed. Counts commits and requests for the lock.

    Every new connection gets the extra `pragmas`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.address = str(path)
        self._connections: list[sqlite3.Connection] = []
        self.commits = 0
        self.committed_on: sqlite3.Connection | None = None
        self.came_to_queue = 0
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None
        self.pragmas: tuple[str, ...] = ()

    async def _locked(self) -> int:
        self.came_to_queue += 1
        return await super()._locked()

    @property
    def thread(self) -> threading.Thread | None:
        """The thread on which this database waits for its locks and for the disk."""
        return self._thread._thread  # noqa: SLF001 - the thread itself has no other name

    @property
    def live_connections(self) -> list[sqlite3.Connection]:
        return [connection for connection in self._connections if _is_open(connection)]

    def connect(self, **options: Any) -> sqlite3.Connection:
        connection = super().connect(**options)
        for pragma in self.pragmas:
            connection.execute(f"PRAGMA {pragma}")
        self._connections.append(connection)
        return cast("sqlite3.Connection", _WatchedConnection(connection, self))


class _WatchedAsyncConnection:
    """A connection to PostgreSQL whose commits a test can watch and disturb."""

    def __init__(self, connection: Any, database: "WatchedPostgres") -> None:
        self._connection = connection
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        self._database.sent.append(statement)
        return await self._connection.fetch(statement, *arguments)

    async def execute(self, statement: str) -> str:
        self._database.sent.append(statement)
        if statement != "COMMIT":
            return str(await self._connection.execute(statement))
        await asyncio.to_thread(self._database.before_commit)
        status = await self._connection.execute(statement)
        self._database.commits += 1
        await asyncio.to_thread(self._database.after_commit)
        return str(status)


class WatchedPostgres(PostgresDatabase):
    """Counts commits and requests for the lock, and notes the statements that are sent."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.address = url
        self.commits = 0
        self.came_to_queue = 0
        self.sent: list[str] = []
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None

    async def _connected(self, command_timeout: float) -> Any:
        return _WatchedAsyncConnection(await super()._connected(command_timeout), self)

    async def _lock(self, connection: Any, realm: str) -> None:
        self.came_to_queue += 1
        await super()._lock(connection, realm)


WatchedDatabase = WatchedSqlite | WatchedPostgres
STORES = ("sqlite", "postgresql")
HEAVY = ("sqlite", pytest.param("postgresql", marks=pytest.mark.full))
"""The stores of a test that takes long: `make test` runs it on SQLite, `make test-full` on PostgreSQL too."""

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@contextmanager
def a_database(store: str) -> Iterator[WatchedDatabase]:
    """Yield a new database of that store, migrated."""
    if store == "postgresql":
        with postgres.a_database() as url:
            there = WatchedPostgres(url)
            yield there
            there.engine.dispose()
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        path.touch(mode=0o600)
        path.write_bytes(_migrated_file())
        here = WatchedSqlite(path)
        yield here
        here.engine.dispose()


@cache
def _migrated_file() -> bytes:
    """Return an empty SQLite ledger. To migrate one for each example of a property would take longer."""
    with tempfile.TemporaryDirectory() as directory:
        database = SqliteDatabase(Path(directory) / "ledger.db")
        migrations.migrate(database)
        database.engine.dispose()
        return database.path.read_bytes()


def database_at(address: str) -> SqliteDatabase | PostgresDatabase:
    """Return a database for another process, by the `address` of the first."""
    return PostgresDatabase(address) if "://" in address else SqliteDatabase(address)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


async def writer_in_queue(database: WatchedDatabase, ledger: EventLedger, change: Change[Any]) -> Task[None]:
    """Record the change. Return once the writer waits for its lock, to write this change alone."""
    before = database.came_to_queue
    recording = asyncio.create_task(ledger.record([change], OPERATOR))
    while database.came_to_queue == before:  # noqa: ASYNC110 - the writer sets no event of ours
        await asyncio.sleep(0.001)
    return recording


def writers_held_up(database: SqliteDatabase | WatchedPostgres) -> AbstractContextManager[None]:
    """Hold the lock on which writers queue, as another process would."""
    return outages.writers_held_up(
        database.address if isinstance(database, WatchedPostgres) else database.path
    )


@contextmanager
def commits_hung(database: WatchedDatabase, where: Literal["before", "after"]) -> Iterator[asyncio.Event]:
    """Let commits hang, before or after they are done, until the end of the block.

    Sets the event when the first one hangs.
    """
    hung, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def hang() -> None:
        loop.call_soon_threadsafe(hung.set)
        go_on.wait(TIMEOUT)

    setattr(database, f"{where}_commit", hang)
    try:
        yield hung
    finally:
        go_on.set()


async def time_passes(seconds: float) -> None:
    """Fire the timers of the event loop that are due within these seconds. Its clock stays ahead."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
    for _ in range(2):  # first the timers, then what they have woken
        await asyncio.sleep(0)


def rows_of(database: SqliteDatabase | WatchedPostgres, statement: str, *parameters: Any) -> list[Any]:
    """Ask the file or the server directly, in the SQL of SQLite."""
    if isinstance(database, WatchedPostgres):
        return postgres.rows(database.address, _in_postgresql(statement, parameters), *parameters)
    connection = sqlite3.connect(database.path)
    try:
        with connection:
            return connection.execute(statement, parameters).fetchall()
    finally:
        connection.close()


def _in_postgresql(statement: str, parameters: tuple[Any, ...]) -> str:
    statement = statement.replace("AS BLOB", "AS BYTEA")
    return statement.replace("?", "%s") if parameters else statement


SCHEMA = """
    SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(collation_name, '')
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


def schema_of(database: WatchedDatabase) -> list[Any]:
    """Return the whole schema, without the quotes that SQLite puts around the name of a renamed table."""
    if isinstance(database, WatchedPostgres):
        return sorted(rows_of(database, SCHEMA), key=str)
    found = rows_of(database, "SELECT type, name, tbl_name, replace(sql, '\"', '') FROM sqlite_schema")
    return sorted(found, key=str)
