"""Rebuilding the read model in new tables while servers run, and swapping them in."""

import secrets
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from time import sleep
from typing import Any, NamedTuple

from sqlalchemy import Connection, MetaData, Table, delete, inspect, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import quoted_name

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import EventCodec
from grantledger.adapters.ledger.read_model import RETENTION, Retention, row_of, state_of
from grantledger.adapters.ledger.schema import ROWS, events, heads, tracking
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import KINDS

_REVISION = "SELECT version_num FROM alembic_version"
_NEW, _OLD = "rebuilt_", "replaced_"


def _rebuilt(table: Table) -> Table:
    """Return the table that replaces this one, with new names for it and its indexes."""
    made = table.to_metadata(MetaData(), name=_NEW + table.name)
    for index in made.indexes:
        index.name = quoted_name(f"{_NEW}{index.name}", None)
    return made


REBUILT = {category: _rebuilt(table) for category, table in ROWS.items()}

_TOKEN = {"realm": "", "application_name": "rebuilding"}
"""The row whose number is the token of the rebuild that is running."""


_SWAP_TIMEOUT = 2_000
"""Milliseconds for which a swap in PostgreSQL waits for each table. Meanwhile every request waits too.

It is longer than the second after which PostgreSQL ends a vacuum that is in the way.
"""

_SWAPS, _PAUSE = 5, 1.0
"""How often the swap is tried, and the seconds between two tries, in which requests are answered."""

_IN_USE = ("55P03", "40P01")
"""The SQLSTATEs of a lock that was not got in time, and of a deadlock."""


class RebuildRunning(Exception):  # noqa: N818 - a sentence for the operator
    """Another process is rebuilding the same database."""


class _Overtaken(RebuildRunning):
    """Another rebuild has begun since, and the new tables belong to it."""


class MigratedMeanwhile(Exception):  # noqa: N818 - a sentence for the operator
    """The database was migrated during the rebuild."""


class TablesInUse(Exception):  # noqa: N818 - a sentence for the operator
    """Long transactions of other programs keep the tables from being swapped."""


class RebuildProgress(NamedTuple):
    """The number of events folded so far, and the total, which may grow while servers write."""

    folded: int
    events: int


class Rebuild:
    """A rebuild of all realms of a database, because they share its tables.

    The log is folded into the new tables page by page, each page in its own transaction, and servers write in
    between. The last page is folded, and the tables are swapped, in one transaction under the writers' lock.
    So the new tables miss no event, and no request reads a half-built read model.

    A database server that restarts forgets who holds the lock for rebuilds, so another rebuild may begin.
    Therefore each transaction first checks that the token in the database is still its own.
    """

    def __init__(
        self, database: Database, *, now: int, retention: Retention = RETENTION, page: int = 1_000
    ) -> None:
        self._database = database
        self._codec = EventCodec()
        self._now = now
        self._retention = retention
        self._page = page
        self._token = secrets.randbits(62)

    def steps(self) -> Generator[RebuildProgress]:
        """Rebuild and swap, and yield the progress after each page; after the last one the swap is done.

        If it is closed or killed before that, nothing has changed; the next rebuild drops its tables.
        Raises `RebuildRunning`, `MigratedMeanwhile`, `TablesInUse`, and `EventUnreadable` for an event of a
        later release.
        """
        with self._database.rebuilding() as alone:
            if not alone:
                raise RebuildRunning(f"{self._database.name} is being rebuilt already")
            self._begin()
            self._discard()
            try:
                with self._writing() as connection:
                    for table in REBUILT.values():
                        connection.execute(CreateTable(table))
                        if _renames_indexes(connection):
                            for index in table.indexes:
                                connection.execute(CreateIndex(index))
                yield from self._folding()
            except _Overtaken:
                raise
            except BaseException:
                self._discard()
                raise
            self._discard()

    def _folding(self) -> Generator[RebuildProgress]:
        folded: dict[str, int] = {}
        with self._database.engine.connect() as connection:
            revision = connection.exec_driver_sql(_REVISION).scalar()
            there = sum(self._heads(connection).values())
        tries = _SWAPS
        while True:
            further = dict(folded)
            try:
                if not self._fold_or_swap(further, revision):
                    break
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _IN_USE:
                    raise
                tries -= 1
                if not tries:
                    sentence = (
                        "is read by a long transaction, such as a backup: rebuild again when it has ended"
                    )
                    raise TablesInUse(f"{self._database.name} {sentence}") from error
                sleep(_PAUSE)
                continue
            folded = further
            done = sum(folded.values())
            yield RebuildProgress(done, max(done, there))
        done = sum(further.values())
        yield RebuildProgress(done, done)

    def _fold_or_swap(self, folded: dict[str, int], revision: str | None) -> bool:
        """Fold a page and return True; or fold the rest, swap the tables and return False."""
        with self._writing() as connection:
            if self._fold_a_page(connection, folded):
                return True
            if connection.exec_driver_sql(_REVISION).scalar() != revision:
                raise MigratedMeanwhile(f"{self._database.name} was migrated meanwhile: rebuild it again")
            _swap(connection)
            return False

    def _begin(self) -> None:
        statement = self._database.statements.upserting(tracking).values(
            **_TOKEN, notification_id=self._token
        )
        with self._database.writing() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(tracking.primary_key.columns),
                    set_={"notification_id": statement.excluded.notification_id},
                )
            )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Write under the writers' lock, unless another rebuild has begun."""
        mine = select(literal(1)).where(
            *(tracking.c[name] == value for name, value in _TOKEN.items()),
            tracking.c.notification_id == self._token,
        )
        with self._database.writing() as connection:
            if connection.execute(mine).first() is None:
                raise _Overtaken(f"{self._database.name} is being rebuilt by another process now")
            yield connection

    def _heads(self, connection: Connection) -> dict[str, int]:
        return dict(connection.execute(select(heads.c.realm, heads.c.position)).all())

    def _fold_a_page(self, connection: Connection, folded: dict[str, int]) -> bool:
        """Fold realm after realm, up to a full page. Return False if every realm is folded to its head."""
        for realm, head in self._heads(connection).items():
            after = folded.get(realm, 0)
            if after < head:
                statement = (
                    select(
                        events.c.position, events.c.stream_id, events.c.version, events.c.tag, events.c.data
                    )
                    .where(events.c.realm == realm, events.c.position > after)
                    .order_by(events.c.position)
                    .limit(self._page)
                )
                lines = connection.execute(statement).all()
                self._write(connection, realm, lines)
                folded[realm] = lines[-1].position
                if len(lines) == self._page:
                    return True
                # A page that is not full ends at the head: no other writer moves it in this transaction.
        return False

    def _write(self, connection: Connection, realm: str, lines: Sequence[Any]) -> None:
        """Apply these events of the log to the new tables."""
        streams: dict[str, Versioned[Any]] = {}
        for _, stream_id, version, tag, data in lines:
            category, _, key = stream_id.partition(":")
            if category not in KINDS:
                continue
            before = streams.get(stream_id) or self._before(connection, realm, category, key, version)
            streams[stream_id] = before.evolved((self._codec.decode(tag, data),))
        rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        replaced: defaultdict[str, list[str]] = defaultdict(list)
        for now in streams.values():
            category = now.kind.category
            replaced[category].append(now.key)
            # Rows that can never be used again are not made: the log may have millions of them.
            if not self._retention.is_over(category, now.state, now=self._now):
                rows[category].append(row_of(now.kind, now.key, now.version, now.state).values(realm))
        for category, keys in replaced.items():
            table = REBUILT[category]
            connection.execute(delete(table).where(table.c.realm == realm, table.c.key.in_(keys)))
            names = [column.name for column in table.c]
            values = [dict(zip(names, row, strict=True)) for row in rows[category]]
            if values:
                connection.execute(table.insert(), values)

    def _before(
        self, connection: Connection, realm: str, category: str, key: str, version: int
    ) -> Versioned[Any]:
        """Return the stream as it was before its event of that version."""
        kind, table = KINDS[category], REBUILT[category]
        if version == 1:
            return Versioned(kind=kind, key=key)
        statement = select(table.c.version, table.c.state).where(table.c.realm == realm, table.c.key == key)
        found = connection.execute(statement).first()
        if found is not None:
            return Versioned(kind=kind, key=key, version=found.version, state=state_of(category, found.state))
        # Its row was not made because the stream looked finished, but more events follow.
        earlier = select(events.c.tag, events.c.data).where(
            events.c.realm == realm, events.c.stream_id == kind.stream_id(key), events.c.version < version
        )
        rows = connection.execute(earlier.order_by(events.c.version)).all()
        return Versioned(kind=kind, key=key).evolved(self._codec.decode(tag, data) for tag, data in rows)

    def _discard(self) -> None:
        """Drop the tables that are not live, in steps between which servers write."""
        for table in ROWS.values():
            for name in (_NEW + table.name, _OLD + table.name):
                self._drop(table.to_metadata(MetaData(), name=name))

    def _drop(self, table: Table) -> None:
        while self._is_there(table.name):
            with self._writing() as connection:
                some = connection.execute(select(table.c.realm, table.c.key).limit(self._page)).all()
                for realm in {realm for realm, _ in some}:
                    keys = [key for of, key in some if of == realm]
                    connection.execute(delete(table).where(table.c.realm == realm, table.c.key.in_(keys)))
                if not some:
                    table.drop(connection)

    def _is_there(self, name: str) -> bool:
        with self._database.engine.connect() as connection:
            return inspect(connection).has_table(name)


def _renames_indexes(connection: Connection) -> bool:
    """Whether the names of indexes and keys can change. SQLite's cannot: there the swap makes the indexes."""
    return connection.dialect.name == "postgresql"


def _swap(connection: Connection) -> None:
    """Give the rebuilt tables the names of the live ones. Readers prepare their statements again."""
    if connection.dialect.name == "postgresql":
        _execute(connection, f"SET LOCAL lock_timeout = {_SWAP_TIMEOUT}")
    for live in ROWS.values():
        old, new = _OLD + live.name, _NEW + live.name
        _execute(connection, f"ALTER TABLE {live.name} RENAME TO {old}")
        _execute(connection, f"ALTER TABLE {new} RENAME TO {live.name}")
        if not _renames_indexes(connection):
            for index in live.indexes:  # an index name is unique in the database
                _execute(connection, f"DROP INDEX {index.name}")
                connection.execute(CreateIndex(index))
            continue
        key = f"{live.name}_pkey"
        _execute(connection, f"ALTER TABLE {old} RENAME CONSTRAINT {key} TO {_OLD}{key}")
        _execute(connection, f"ALTER TABLE {live.name} RENAME CONSTRAINT {_NEW}{key} TO {key}")
        for index in live.indexes:
            _execute(connection, f"ALTER INDEX {index.name} RENAME TO {_OLD}{index.name}")
            _execute(connection, f"ALTER INDEX {_NEW}{index.name} RENAME TO {index.name}")


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
