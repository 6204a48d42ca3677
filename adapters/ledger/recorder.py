"""The log as an `eventsourcing` recorder: the library's tools write and read what the server does."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
)
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.sqlite import insert

from grantledger.adapters.ledger import bulk, private_rows, read_model
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.driver_errors import library_errors
from grantledger.adapters.ledger.envelope import Beside
from grantledger.adapters.ledger.event_lines import INSERT_EVENT, line, originator_id_of, stream_id_of
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.private_rows import PrivateRow
from grantledger.adapters.ledger.projection import RowChange
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.schema import tracking as tracked
from grantledger.adapters.ledger.statements import compiled
from grantledger.adapters.ledger.subscription import PollingSubscription

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
        self.realm = realm

    def insert_events(  # type: ignore[override] # the library's tools pass nothing but `tracking`
        self,
        stored_events: Sequence[StoredEvent],
        *,
        envelope: Sequence[Beside] | None = None,
        rows: Sequence[RowChange] | None = None,
        private: Sequence[PrivateRow] = (),
        tracking: Tracking | None = None,
        within: sqlite3.Cursor | None = None,
    ) -> Sequence[int]:
        """Append the events with all that goes with them, or nothing; return their positions.

        `envelope` has what is kept beside each event, or is None where nothing is known.
        `rows` None: they are folded here, so that the read model holds what the library's tools write.
        `within` a transaction of the caller, it is a savepoint there.
        """
        with library_errors(), self._transaction(within) as cursor:
            if rows is None:
                rows = read_model.derived(cursor, self.realm, stored_events, self._mapper)
            ((last,),) = cursor.execute(_LAST_POSITION).fetchall()
            first = (last or 0) + 1
            lines = [
                line(first + index, self.realm, stored, envelope[index] if envelope else None)
                for index, stored in enumerate(stored_events)
            ]
            bulk.execute(cursor, INSERT_EVENT, lines)
            read_model.write(cursor, self.realm, rows)
            for row in private:
                private_rows.write(cursor, self.realm, row)
            if tracking is not None:
                self._track(cursor, tracking)
        return list(range(first, first + len(lines)))

    def _transaction(self, within: sqlite3.Cursor | None) -> AbstractContextManager[sqlite3.Cursor]:
        return self._database.writing() if within is None else _savepoint(within)

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
            events.c.realm == self.realm, events.c.stream_id == stream_id_of(originator_id)
        )
        if gt is not None:
            statement = statement.where(version > gt)
        if lte is not None:
            statement = statement.where(version <= lte)
        statement = statement.order_by(version.desc() if desc else version).limit(limit)
        return [StoredEvent(originator_id_of(stream), *rest) for stream, *rest in self._read(statement)]

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
        statement = select(*_STORED, position).where(events.c.realm == self.realm)
        if start is not None:
            statement = statement.where(position >= start if inclusive_of_start else position > start)
        if stop is not None:
            statement = statement.where(position <= stop)
        if topics:
            statement = statement.where(events.c.tag.in_(topics))
        statement = statement.order_by(position).limit(limit)
        return [Notification(originator_id_of(stream), *rest) for stream, *rest in self._read(statement)]

    def max_notification_id(self) -> int | None:
        position = events.c.position
        statement = select(position).where(events.c.realm == self.realm).order_by(position.desc()).limit(1)
        return next((found for (found,) in self._read(statement)), None)

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return PollingSubscription(self, gt, topics)

    def insert_tracking(self, tracking: Tracking) -> None:
        with library_errors(), self._database.writing() as cursor:
            self._track(cursor, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        statement = select(tracked.c.notification_id).where(
            tracked.c.realm == self.realm, tracked.c.application_name == application_name
        )
        return next((found for (found,) in self._read(statement)), None)

    def _track(self, cursor: sqlite3.Cursor, tracking: Tracking) -> None:
        cursor.execute(_TRACK, (self.realm, tracking.application_name, tracking.notification_id))
        if cursor.rowcount != 1:
            raise IntegrityError(f"{tracking.application_name} is past {tracking.notification_id} already")

    def _read(self, statement: Select[Any]) -> Sequence[Any]:
        with library_errors(), self._database.engine.connect() as connection:
            return connection.execute(statement).all()


@contextmanager
def _savepoint(cursor: sqlite3.Cursor) -> Iterator[sqlite3.Cursor]:
    cursor.execute("SAVEPOINT append")
    try:
        yield cursor
    except BaseException:
        # A full disk ends the whole transaction, and no savepoint is left to return to.
        if cursor.connection.in_transaction:
            cursor.execute("ROLLBACK TO append")
            cursor.execute("RELEASE append")
        raise
    cursor.execute("RELEASE append")
