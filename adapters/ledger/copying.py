"""Copying a whole database to another one, from SQLite or PostgreSQL to either, while no server uses them."""

import hashlib
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, insert, literal, select

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.schema import heads, metadata, tracking
from grantledger.adapters.ledger.sqlite import SqliteDatabase

_ROWS = 1_000
"""Rows in memory at a time."""

_LOOKS, _PAUSE = 10, 0.1
"""PostgreSQL may need a moment to end the sessions of a server that was just stopped."""

_OTHER_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
    " AND coalesce(backend_type, 'client backend') = 'client backend'"
)
"""PostgreSQL hides the type of other roles' sessions. Its own workers, such as autovacuum, have no role."""

_MAY_IDLE = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""The source waits in its transaction while the target is compared, however long that takes."""


class LedgerInUse(Exception):  # noqa: N818 - a sentence for the operator
    """Another program has the source open, and may write to it."""


class TargetNotEmpty(Exception):  # noqa: N818 - a sentence for the operator
    """The target holds rows already."""


class CopyDiffers(Exception):  # noqa: N818 - a sentence for the operator
    """A table of the target does not hold what the source holds."""


class CopyProgress(NamedTuple):
    """The number of rows copied and compared so far, and the total."""

    done: int
    rows: int


class Copy:
    """A copy of every realm: the log, the read model, the private records, and how far followers have read.

    The counts of throttles are copied too, although no event holds them and they expire.
    """

    def __init__(self, source: Database, target: Database) -> None:
        self._source = source
        self._target = target

    def steps(self) -> Generator[CopyProgress]:
        """Copy in one transaction of the target, then read it again, and yield the progress after each page.

        If it is interrupted, the target stays empty: begin again. Raises `LedgerInUse`, `TargetNotEmpty`,
        `CopyDiffers`, `CannotOpen` and `SchemaMismatch`.
        """
        migrations.check(self._source)
        self._check_unused()
        migrations.migrate(self._target)
        with self._source.writing() as source:  # so that no server that starts now can write
            if not isinstance(self._source, SqliteDatabase):
                source.exec_driver_sql(_MAY_IDLE)
            rows = sum(_count(source, table) for table in metadata.sorted_tables)
            done = 0
            sums: dict[Table, int] = {}
            with self._target.writing() as target:
                self._check_empty(target)
                for table in metadata.sorted_tables:
                    sums[table] = 0
                    for page in _pages(source, table):
                        target.execute(insert(table), [dict(row._mapping) for row in page])  # noqa: SLF001 - its public API
                        sums[table] += _sum(page)
                        done += len(page)
                        yield CopyProgress(done, 2 * rows)
            for table in metadata.sorted_tables:
                found = 0
                with self._target.reading() as target:
                    for page in _pages(target, table):
                        found += _sum(page)
                        done += len(page)
                        yield CopyProgress(done, 2 * rows)
                if found != sums[table]:
                    raise CopyDiffers(
                        f"the table {table.name} of {self._target.name} differs from the source"
                    )

    def realms(self) -> list[str]:
        """Return the realms of the target."""
        with self._target.reading() as connection:
            return list(connection.execute(select(heads.c.realm).order_by(heads.c.realm)).scalars())

    def _check_unused(self) -> None:
        self._source.engine.dispose()  # our own connections would be found
        tries = _LOOKS
        while self._is_in_use():
            tries -= 1
            if not tries:
                sentence = "is in use: stop every server, and close every other session"
                raise LedgerInUse(f"{self._source.name} {sentence}")
            time.sleep(_PAUSE)

    def _is_in_use(self) -> bool:
        if isinstance(self._source, SqliteDatabase):
            return _is_open_elsewhere(self._source)
        with self._source.engine.connect() as connection:
            return bool(connection.exec_driver_sql(_OTHER_SESSIONS).scalar_one())

    def _check_empty(self, target: Connection) -> None:
        for table in metadata.sorted_tables:
            rows = select(literal(1)).select_from(table).limit(1)
            if table is tracking:
                rows = rows.where(tracking.c.realm != "")  # the lock of rebuilds
            if target.execute(rows).first() is not None:
                raise TargetNotEmpty(f"{self._target.name} is not empty: copy to a database without rows")


def _is_open_elsewhere(database: SqliteDatabase) -> bool:
    """Whether another connection is open: in WAL mode each one holds a shared lock for as long as it is."""
    # Not by `connect`: the mode must be set before the first access.
    plain = sqlite3.connect(f"{database.path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)
    with closing(plain) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            raise
        connection.rollback()
    return False


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(_copied(table).subquery())).scalar_one()


def _copied(table: Table) -> Any:
    # The row on which rebuilds queue belongs to its database.
    return select(table).where(tracking.c.realm != "") if table is tracking else select(table)


def _pages(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    streaming = connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
    with streaming.execute(_copied(table)) as result:
        yield from result.partitions(_ROWS)


def _sum(rows: Sequence[Any]) -> int:
    """Return a checksum of the rows that does not depend on their order, which may differ."""
    return sum(int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest()) for row in rows)
