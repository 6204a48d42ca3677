"""The log as an `eventsourcing` recorder: the library's tools write and read what the server does."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    DataError,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
)
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from grantledger.adapters.ledger import private_rows, rows
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.envelope import Envelope
from grantledger.adapters.ledger.mapper import CODEC, TagMapper
from grantledger.adapters.ledger.private_rows import PrivateRow
from grantledger.adapters.ledger.projection import RowChange
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.schema import tracking as tracked
from grantledger.adapters.ledger.statements import compiled, insertion
from grantledger.adapters.ledger.subscription import PollingSubscription

_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
_BARE = (None,) * 11
_INSERT_EVENT = insertion(events)
_LAST_POSITION = compiled(select(func.max(events.c.position)))
_track = insert(tracked)
_TRACK = compiled(
    _track.on_conflict_do_update(
        index_elements=(tracked.c.realm, tracked.c.application_name),
        set_={"notification_id": _track.excluded.notification_id},
        where=tracked.c.notification_id < _track.excluded.notification_id,
    ),
    "realm",
    "application_name",
    "notification_id",
)
_STORED = (events.c.stream_id, events.c.version, events.c.tag, events.c.data)


class Recorder(ProcessRecorder):
    """One realm of the log. What it raises are the library's errors."""

    def __init__(self, database: Database, mapper: TagMapper, realm: str = "main") -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm

    def insert_events(  # type: ignore[override] # the library's tools pass nothing but `tracking`
        self,
        stored_events: Sequence[StoredEvent],
        *,
        envelope: Envelope | None = None,
        rows: Sequence[RowChange] | None = None,
        private: Sequence[PrivateRow] = (),
        tracking: Tracking | None = None,
        within: sqlite3.Cursor | None = None,
    ) -> Sequence[int] | None:
        """Append the events with all that goes with them, or nothing; return their positions.

        `rows` None: they are folded here, so that the read model holds what the library's tools write.
        `within` a transaction of the caller, it is a savepoint there.
        """
        with _library_errors():
            if within is not None:
                with _savepoint(within):
                    return self._insert(within, stored_events, envelope, rows, private, tracking)
            with self._database.writing() as cursor:
                return self._insert(cursor, stored_events, envelope, rows, private, tracking)

    def _insert(
        self,
        cursor: sqlite3.Cursor,
        stored_events: Sequence[StoredEvent],
        envelope: Envelope | None,
        changes: Sequence[RowChange] | None,
        private: Sequence[PrivateRow],
        tracking: Tracking | None,
    ) -> Sequence[int]:
        if changes is None:
            changes = rows.derived(cursor, self._realm, stored_events, self._mapper)
        ((last,),) = cursor.execute(_LAST_POSITION).fetchall()
        positions = range((last or 0) + 1, (last or 0) + 1 + len(stored_events))
        lines = [
            self._line(position, stored, envelope, index)
            for index, (position, stored) in enumerate(zip(positions, stored_events, strict=True))
        ]
        cursor.executemany(_INSERT_EVENT, lines)
        for change in changes:
            rows.write(cursor, self._realm, change)
        for row in private:
            private_rows.write(cursor, self._realm, row)
        if tracking is not None:
            self._track(cursor, tracking)
        return positions

    def _line(
        self, position: int, stored: StoredEvent, envelope: Envelope | None, index: int
    ) -> tuple[Any, ...]:
        stream_id = _text(stored.originator_id)
        category, colon, _ = stream_id.partition(":")
        beside = _BARE if envelope is None else _beside(envelope, index)
        return (
            position,
            self._realm,
            category if colon else None,
            stream_id,
            stored.originator_version,
            stored.topic,
            *beside,
            stored.state,
        )

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        version = events.c.version
        statement = select(*_STORED).where(
            events.c.realm == self._realm, events.c.stream_id == _text(originator_id)
        )
        if gt is not None:
            statement = statement.where(version > gt)
        if lte is not None:
            statement = statement.where(version <= lte)
        statement = statement.order_by(version.desc() if desc else version).limit(limit)
        return [StoredEvent(_id(stream), *rest) for stream, *rest in self._read(statement)]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        position = events.c.position
        statement = select(*_STORED, position).where(events.c.realm == self._realm)
        if start is not None:
            statement = statement.where(position >= start if inclusive_of_start else position > start)
        if stop is not None:
            statement = statement.where(position <= stop)
        if topics:
            statement = statement.where(events.c.tag.in_(topics))
        statement = statement.order_by(position).limit(limit)
        return [Notification(_id(stream), *rest) for stream, *rest in self._read(statement)]

    def max_notification_id(self) -> int | None:
        position = events.c.position
        statement = select(position).where(events.c.realm == self._realm).order_by(position.desc()).limit(1)
        return next((found for (found,) in self._read(statement)), None)

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return PollingSubscription(self, gt, topics)

    def insert_tracking(self, tracking: Tracking) -> None:
        with _library_errors(), self._database.writing() as cursor:
            self._track(cursor, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        statement = select(tracked.c.notification_id).where(
            tracked.c.realm == self._realm, tracked.c.application_name == application_name
        )
        return next((found for (found,) in self._read(statement)), None)

    def _track(self, cursor: sqlite3.Cursor, tracking: Tracking) -> None:
        cursor.execute(_TRACK, (self._realm, tracking.application_name, tracking.notification_id))
        if cursor.rowcount != 1:
            raise IntegrityError(f"{tracking.application_name} is past {tracking.notification_id} already")

    def _read(self, statement: Select[Any]) -> Sequence[Any]:
        with _library_errors(), self._database.engine.connect() as connection:
            return connection.execute(statement).all()


def _beside(envelope: Envelope, index: int) -> tuple[Any, ...]:
    return (
        envelope.event_ids[index],
        envelope.append_id,
        envelope.event_ids[0] if index else None,
        envelope.recorded_at,
        envelope.actor_kind,
        envelope.actor_id,
        envelope.client_id,
        envelope.correlation_id,
        envelope.trace_id,
        envelope.address_digest,
        CODEC,
    )


_URN = "urn:uuid:"


def _text(originator_id: UUID | str) -> str:
    """The library also names streams by UUID; as a URN one comes back as what it was."""
    return originator_id.urn if isinstance(originator_id, UUID) else originator_id


def _id(stream_id: str) -> UUID | str:
    return UUID(stream_id) if stream_id.startswith(_URN) else stream_id


@contextmanager
def _savepoint(cursor: sqlite3.Cursor) -> Iterator[None]:
    cursor.execute("SAVEPOINT append")
    try:
        yield
    except BaseException:
        # A full disk ends the whole transaction, and no savepoint is left to return to.
        if cursor.connection.in_transaction:
            cursor.execute("ROLLBACK TO append")
            cursor.execute("RELEASE append")
        raise
    cursor.execute("RELEASE append")


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise (IntegrityError if error.sqlite_errorcode in _UNIQUE else DataError)(error) from error
    except (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError) as error:
        raise ProgrammingError(error) from error
    except (sqlite3.Error, DBAPIError, OSError) as error:
        raise OperationalError(error) from error
