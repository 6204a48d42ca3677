"""The SQLite file: creating, locking, reading and writing it."""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, QueuePool, create_engine

from grantledger.adapters.ledger import private_records
from grantledger.adapters.ledger.database import (
    CannotOpen,
    CommitOutcomeUnknown,
    Rows,
    Transaction,
    UniqueTaken,
)
from grantledger.adapters.ledger.sql import CHUNKS, ByRows, Statement, Statements
from grantledger.adapters.ledger.writer import Append, Outcome
from grantledger.application.ports import Conflict, Unavailable

BUSY_TIMEOUT = 5_000
"""Milliseconds for which a writer waits for SQLite's own lock.

Our writers queue on the lock file. They wait here only for a program that does not use that file.
"""

_READ_BUSY_TIMEOUT = 100
"""Milliseconds that a read may block the event loop.

In WAL mode writers never block readers. But the recovery of the WAL after a crash blocks them, and so does a
program that locks the whole file.
"""

_INODE_CHECK = 0.05
"""Seconds between checks of which file is at the path. A check takes a third of the time of a read."""

_PRAGMAS = (
    "temp_store=MEMORY",
    "journal_mode=WAL",
    "synchronous=FULL",
    "trusted_schema=OFF",
    # The WAL grows while a reader stays open, and is truncated to this afterwards. It is checkpointed after
    # 1,000 pages, the default of SQLite: 4,000 gave 12 % more appends, but a p99 of 19 ms instead of 12.
    "journal_size_limit=67108864",
)
_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)

Inode = tuple[int, int]


class SqliteDatabase:
    """One SQLite file. Every connection to it is durable: WAL, and fsync before COMMIT returns.

    Statements run on the event loop's thread, a few microseconds each. What waits runs on another thread:
    COMMIT, which waits for the disk, and requests for a lock that is held.
    """

    busy_timeout = BUSY_TIMEOUT

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.name = self._text = str(self.path)
        if not self.path.parent.is_dir():
            raise CannotOpen(f"the directory {self.path.parent} does not exist")
        # SQLAlchemy over the same connections, in autocommit: a transaction begins with an explicit BEGIN.
        self.engine = create_engine("sqlite://", creator=self.connect, poolclass=QueuePool)
        self.statements = Statements(self.engine.dialect)
        self._reading: sqlite3.Connection | None = None
        self._reading_inode: Inode | None = None
        self._checked_at = float("-inf")
        self._writing: sqlite3.Connection | None = None
        self._writing_inode: Inode | None = None
        self._thread = _Thread()
        self._closed = False

    def create(self) -> None:
        """Create the file, readable by its owner only, unless it exists.

        SQLite gives its -wal and -shm files the same mode.
        """
        with self.queueing():
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                return
            self.connect().close()
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)  # otherwise a power loss could take the whole file
            finally:
                os.close(directory)

    def connect(self, *, busy_timeout: int = BUSY_TIMEOUT) -> sqlite3.Connection:
        """Open a connection that begins no transaction by itself."""
        # mode=rw: a file that was moved away must fail, not be replaced by an empty one.
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in (f"busy_timeout={busy_timeout:d}", *_PRAGMAS):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        try:
            connection = self._reading_connection()
            return connection.execute(statement.text, statement.ordered(parameters)).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._stop_reading()  # the next read opens a new connection, and works when the cause is gone
            raise _unavailable(error) from error

    async def fetch_after_commits(
        self,
        realm: str,  # noqa: ARG002 - one lock for all
        statement: Statement,
        parameters: Mapping[str, Any],
    ) -> Rows:
        return await self.fetch(statement, parameters)

    @asynccontextmanager
    async def transaction(self, realm: str) -> AsyncIterator["SqliteTransaction"]:  # noqa: ARG002 - one lock for all
        lock = -1
        try:
            lock = await self._locked()
            connection = await self._begun()
            yield SqliteTransaction(connection, self._thread)
            if connection.in_transaction:
                connection.rollback()
        except asyncio.CancelledError:
            self._thread.call(self._stop_writing)  # on the thread, after a commit that may be running there
            raise
        except BaseException as error:
            self._stop_writing()  # rolls back before the lock is released to the next writer
            if isinstance(error, (sqlite3.Error, OSError)):
                raise _translated(error) from error
            raise
        finally:
            if lock >= 0:
                os.close(lock)

    async def record(
        self,
        transaction: Transaction,
        realm: str,
        appends: Sequence[Append],
        *,
        now: Callable[[], int],
        known_secrets: Sequence[str],
    ) -> list[Outcome]:
        position = await self._head(transaction, realm)
        recorded_at = now()
        versions = await self._versions(transaction, realm, appends)
        outcomes: list[Outcome] = []
        accepted: list[Append] = []
        for append in appends:
            refused = await self._refused(transaction, realm, append, versions, known_secrets)
            outcomes.append(refused)
            if refused is None:
                accepted.append(append)
        if accepted:
            await self._insert(transaction, realm, accepted, position, recorded_at)
        return outcomes

    async def _head(self, transaction: Transaction, realm: str) -> int:
        found = await transaction.fetch(self.statements.head, {"realm": realm})
        if found:
            return int(found[0][0])
        await transaction.fetch(self.statements.begin_head, {"realm": realm, "position": 0})
        return 0

    async def _versions(
        self, transaction: Transaction, realm: str, appends: Sequence[Append]
    ) -> dict[str, int]:
        streams = {stream_id: (realm, stream_id) for append in appends for stream_id, _ in append.expected}
        found = await transaction.fetch_by_rows(self.statements.versions, list(streams.values()))
        return {stream_id: version or 0 for stream_id, version in found}

    async def _refused(
        self,
        transaction: Transaction,
        realm: str,
        append: Append,
        versions: dict[str, int],
        known_secrets: Sequence[str],
    ) -> Conflict | Unavailable | None:
        """Return why the append is refused, or None. If it is not, set its new `versions`."""
        for stream_id, version in append.expected:
            if versions[stream_id] != version:
                return Conflict(stream_id)
        for row in append.private:
            try:
                await private_records.check_free(transaction, self.statements, realm, row, known_secrets)
            except (Conflict, Unavailable) as refused:
                return refused
        for event in append.events:
            versions[event.stream_id] = event.version
        return None

    async def _insert(
        self, transaction: Transaction, realm: str, appends: Sequence[Append], position: int, recorded_at: int
    ) -> None:
        lines: list[tuple[Any, ...]] = []
        rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for append in appends:
            for event in append.events:
                position += 1
                lines.append(event.row(realm, position, recorded_at, append.envelope))
            for row in append.rows:
                rows[row.category].append(row.values(realm))
        await transaction.fetch_by_rows(self.statements.insert_events, lines)
        for category, values in rows.items():
            await transaction.fetch_by_rows(self.statements.put[category], values)
        private = [row for append in appends for row in append.private]
        if private:
            await private_records.write(transaction, self.statements, realm, private)
        await transaction.fetch(self.statements.move_head, {"at": realm, "position": position})

    @contextmanager
    def queueing(self) -> Iterator[None]:
        """Hold the lock on which all writers queue, of this process and of others.

        SQLite's own lock goes to whichever writer happens to wake up: without a queue one saturating writer
        starved another (181,968 events against 16).
        """
        lock = self._lock_file()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.queueing(), self.engine.connect() as connection:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
            except BaseException:
                connection.invalidate()  # closes the connection, which rolls back whatever state it is in
                raise

    @contextmanager
    def rebuilding(self) -> Iterator[bool]:
        lock = os.open(f"{self._text}.rebuild.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    def why(self, error: Exception) -> str:
        if not self.path.exists():
            return "the file does not exist; `grantledger migrate` creates it, `--database` names another one"
        if not self.path.is_file():
            return "it is not a file; `--database` names another one"
        # The low byte of SQLite's code is the kind of error, the others give details.
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return "it is not a ledger, or it is damaged; `--database` names another one"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return "another program has locked it; try again when that program has ended"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                return "this user must be able to read and write it and its folder"
        return str(getattr(error, "strerror", None) or error)

    async def open(self) -> None:
        """Allow reads. May be called again after `close`."""
        self._closed = False

    async def close(self, patience: float) -> None:
        """Close every connection. Wait at most `patience` seconds for a commit, which may be stuck."""
        self._closed = True
        self._stop_reading()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._thread.call(self._stop_writing), patience)
        self._thread.stop()
        self.engine.dispose()

    def inode(self) -> Inode | None:
        """Return the inode of the file that is at the path now, None if there is none.

        A connection stays open when its file is moved away; what it writes then is lost.
        """
        try:
            found = os.stat(self._text)  # noqa: PTH116 - called often, and faster
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _reading_connection(self) -> sqlite3.Connection:
        now = time.monotonic()
        if self._reading is not None and now - self._checked_at < _INODE_CHECK:
            return self._reading
        inode = self.inode()
        if inode != self._reading_inode:
            self._stop_reading()
        if self._reading is None:
            if self._closed:
                raise Unavailable("the ledger is closed")
            self._reading, self._reading_inode = self.connect(busy_timeout=_READ_BUSY_TIMEOUT), inode
        self._checked_at = now
        return self._reading

    def _stop_reading(self) -> None:
        connection, self._reading = self._reading, None
        if connection is not None:
            connection.close()

    def _stop_writing(self) -> None:
        connection, self._writing = self._writing, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _lock_file(self) -> int:
        return os.open(f"{self._text}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def _locked(self) -> int:
        lock = self._lock_file()
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await self._thread.call(lambda: fcntl.flock(lock, fcntl.LOCK_EX))
        except BaseException:
            os.close(lock)
            raise
        return lock

    async def _begun(self) -> sqlite3.Connection:
        inode = self.inode()
        if inode != self._writing_inode:
            self._stop_writing()
            self._checked_at = float("-inf")  # the next read checks the inode too
        if self._writing is None:
            self._writing, self._writing_inode = self.connect(busy_timeout=0), inode
        connection = self._writing
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await self._thread.call(lambda: _begin_patiently(connection, self.busy_timeout))
        return connection


class SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection, thread: "_Thread") -> None:
        self._connection = connection
        self._thread = thread

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        return self._execute(statement.text, statement.ordered(parameters))

    async def fetch_by_rows(self, statement: ByRows, rows: Rows) -> Rows:
        found: list[Any] = []
        start = 0
        for size in CHUNKS:
            while len(rows) - start >= size:
                chunk = rows[start : start + size]
                found += self._execute(statement(size), [value for row in chunk for value in row])
                start += size
        return found

    async def commit(self) -> None:
        try:
            await self._thread.call(self._connection.commit)
        except Exception as error:
            raise CommitOutcomeUnknown(str(error)) from error

    def _execute(self, text: str, parameters: Any) -> Rows:
        # Closed at once, because sqlite3 cannot reuse the statement of an open cursor.
        with closing(self._connection.execute(text, parameters)) as cursor:
            return cursor.fetchall()


class _Thread:
    """Runs one call after the other on a thread of its own."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run `work` on the thread, and return the future of its result or exception."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._work,), name="ledger", daemon=True)
            self._thread.start()
        answer = asyncio.get_running_loop().create_future()
        self._work.put((work, answer))
        return answer

    def stop(self) -> None:
        """End the thread after the queued calls. The next call starts another one."""
        if self._thread is not None:
            self._work.put(None)
            self._thread, self._work = None, queue.SimpleQueue()

    @staticmethod
    def _run(asked: "queue.SimpleQueue[Any]") -> None:
        while (item := asked.get()) is not None:
            work, answer = item
            result, error = None, None
            try:
                result = work()
            except Exception as raised:  # noqa: BLE001 - passed on to the caller
                error = raised
            except BaseException as raised:  # noqa: BLE001 - the thread goes on, and no SystemExit ends the loop
                error = RuntimeError(f"{type(raised).__name__} on the ledger's thread")
                error.__cause__ = raised
            with suppress(RuntimeError):  # the event loop has ended: no caller waits
                answer.get_loop().call_soon_threadsafe(_answer, answer, result, error)
            del item, work, answer, result, error


def _answer(answer: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)


def _begin_patiently(connection: sqlite3.Connection, milliseconds: int) -> None:
    connection.execute(f"PRAGMA busy_timeout={milliseconds:d}")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute("PRAGMA busy_timeout=0")


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        # Only a violated unique key is a lost race. Retrying after any other violation would never end.
        return UniqueTaken(str(error)) if error.sqlite_errorcode in _UNIQUE else error
    if isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)):
        return error
    return _unavailable(error)


def _unavailable(cause: Exception) -> Unavailable:
    return Unavailable(str(cause))
