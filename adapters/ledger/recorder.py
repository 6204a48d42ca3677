"""The log as a recorder of the `eventsourcing` library: its tools read and write the server's events.

A tool follows the log like this, whichever process writes it:

    mapper, recorder = TagMapper(), Recorder(database)
    for notification in recorder.subscribe(gt=last_seen):
        event = mapper.to_domain_event(notification).event

`Recorder` also serves the library's notification log, `ProjectionRunner` and `EventStore`: it passes the
library's published tests for recorders. What a tool writes is folded into the rows like what the server
writes.
"""

import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    DataError,
    IntegrityError,
    Mapper,
    MapperDeserialisationError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
)
from msgspec import Struct
from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as SqlIntegrityError
from sqlalchemy.exc import InterfaceError as SqlInterfaceError
from sqlalchemy.exc import ProgrammingError as SqlProgrammingError

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import Appended, Envelope, EventCodec, EventUnreadable, Parties, uuid7
from grantledger.adapters.ledger.ledger import microseconds_now
from grantledger.adapters.ledger.read_model import parties_of, row_of
from grantledger.adapters.ledger.schema import ROWS, events, heads
from grantledger.adapters.ledger.schema import tracking as tracked
from grantledger.domain.aggregate import Versioned
from grantledger.domain.kinds import EVENTS, KINDS

_STORED = (events.c.stream_id, events.c.version, events.c.tag, events.c.data)
_URN = "urn:uuid:"
_PAGE = 500
_POLL = 0.02


class Entry(Struct, frozen=True):
    """One event of a stream; by shape the library's `DomainEventProtocol`."""

    originator_id: str
    originator_version: int
    event: Struct


class TagMapper(Mapper[str]):
    """The library's mapper over `EventCodec`. Raises `MapperDeserialisationError` for what is unreadable."""

    def __init__(self, events: Mapping[str, type[Struct]] = EVENTS) -> None:
        self._codec = EventCodec(events)

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        assert isinstance(domain_event, Entry)
        tag, data = self._codec.encode(domain_event.event)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, tag, data)

    def to_domain_event(self, stored_event: StoredEvent) -> Entry:
        try:
            event = self._codec.decode(stored_event.topic, stored_event.state)
        except EventUnreadable as error:
            raise MapperDeserialisationError(str(error)) from error
        return Entry(str(stored_event.originator_id), stored_event.originator_version, event)


class Recorder(ProcessRecorder):
    """One realm of the log. It raises the library's errors."""

    def __init__(self, database: Database, realm: str = "main") -> None:
        self._database = database
        self._codec = EventCodec()
        self.realm = realm

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, tracking: Tracking | None = None, **_: Any
    ) -> Sequence[int]:
        """Append the events, fold them into their rows, and return their positions; all or nothing."""
        with _library_errors(), self._database.writing() as connection:
            first = self._head(connection) + 1
            parties = self._put_rows(connection, stored_events)
            now = microseconds_now()
            envelope = Envelope(uuid7(now, random.getrandbits(62)), "tool", "", "", "", b"")
            lines = [
                Appended(
                    _stream_id(stored.originator_id),
                    stored.originator_version,
                    stored.topic,
                    uuid7(now, random.getrandbits(62)),
                    parties.get(_stream_id(stored.originator_id), Parties()),
                    stored.state,
                ).row(self.realm, position, now, envelope)
                for position, stored in enumerate(stored_events, first)
            ]
            if lines:
                names = [each.name for each in events.c]
                connection.execute(insert(events), [dict(zip(names, line, strict=True)) for line in lines])
                head = update(heads).where(heads.c.realm == self.realm)
                connection.execute(head.values(position=first + len(lines) - 1))
            if tracking is not None:
                self._track(connection, tracking)
        return list(range(first, first + len(lines)))

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
            events.c.realm == self.realm, events.c.stream_id == _stream_id(originator_id)
        )
        if gt is not None:
            statement = statement.where(version > gt)
        if lte is not None:
            statement = statement.where(version <= lte)
        statement = statement.order_by(version.desc() if desc else version).limit(limit)
        return [StoredEvent(_originator_id(stream), *rest) for stream, *rest in self._read(statement)]

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
        return [Notification(_originator_id(stream), *rest) for stream, *rest in self._read(statement)]

    def max_notification_id(self) -> int | None:
        statement = select(func.max(events.c.position)).where(events.c.realm == self.realm)
        return next((found for (found,) in self._read(statement)), None)

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return PollingSubscription(self, gt, topics)

    def insert_tracking(self, tracking: Tracking) -> None:
        with _library_errors(), self._database.writing() as connection:
            self._track(connection, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        statement = select(tracked.c.notification_id).where(
            tracked.c.realm == self.realm, tracked.c.application_name == application_name
        )
        return next((found for (found,) in self._read(statement)), None)

    def _head(self, connection: Connection) -> int:
        """Lock the realm's head and return its position."""
        statement = select(heads.c.position).where(heads.c.realm == self.realm).with_for_update()
        found = connection.execute(statement).first()
        if found is None:
            connection.execute(insert(heads).values(realm=self.realm, position=0))
        return 0 if found is None else int(found[0])

    def _put_rows(self, connection: Connection, stored_events: Sequence[StoredEvent]) -> dict[str, Parties]:
        """Fold the events into the rows of our streams, and return the parties of each stream."""
        streams: dict[str, Versioned[Any]] = {}
        for stored in stored_events:
            stream_id = _stream_id(stored.originator_id)
            category, _, key = stream_id.partition(":")
            if category not in KINDS:
                continue
            if stream_id not in streams:
                streams[stream_id] = self._folded(connection, category, key)
            if stored.originator_version != streams[stream_id].version + 1:
                raise IntegrityError(f"{stream_id} is at version {streams[stream_id].version}")
            streams[stream_id] = streams[stream_id].evolved((self._codec.decode(stored.topic, stored.state),))
        statements = self._database.statements
        for now in streams.values():
            row = row_of(now.kind, now.key, now.version, now.state)
            table = ROWS[row.category]
            values = zip((f"{each.name}_0" for each in table.c), row.values(self.realm), strict=True)
            connection.execute(statements.putting(table, 1), dict(values))
        return {stream_id: parties_of(now.kind, now.state) for stream_id, now in streams.items()}

    def _folded(self, connection: Connection, category: str, key: str) -> Versioned[Any]:
        kind = KINDS[category]
        statement = select(events.c.tag, events.c.data).where(
            events.c.realm == self.realm, events.c.stream_id == kind.stream_id(key)
        )
        rows = connection.execute(statement.order_by(events.c.version)).all()
        return Versioned(kind=kind, key=key).evolved(self._codec.decode(tag, data) for tag, data in rows)

    def _track(self, connection: Connection, tracking: Tracking) -> None:
        where = {
            "realm": self.realm,
            "application_name": tracking.application_name,
            "notification_id": tracking.notification_id,
        }
        statement = self._database.statements.tracking()
        # SQLAlchemy keeps the row count of an INSERT only on request.
        if connection.execute(statement, where, execution_options={"preserve_rowcount": True}).rowcount != 1:
            raise IntegrityError(f"{tracking.application_name} is past {tracking.notification_id} already")

    def _read(self, statement: Select[Any]) -> Sequence[Any]:
        with _library_errors(), self._database.engine.connect() as connection:
            return connection.execute(statement).all()


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Yields what is recorded after `gt`, in order, and waits for more until it is stopped.

    It polls every 20 ms, so that it also finds the events of other processes. A poll takes 20 us.
    """

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._read: deque[Notification] = deque()
        self._stopped = Event()

    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if self._read:
                return self._read.popleft()
            page = self._recorder.select_notifications(
                self._last_notification_id, _PAGE, topics=self._topics, inclusive_of_start=False
            )
            self._read.extend(page)
            if page:
                self._last_notification_id = page[-1].id
            else:
                self._stopped.wait(_POLL)
        raise StopIteration


def _stream_id(originator_id: UUID | str) -> str:
    """Return the stream's id. The library also names streams by UUID: these become URNs."""
    return originator_id.urn if isinstance(originator_id, UUID) else originator_id


def _originator_id(stream_id: str) -> UUID | str:
    return UUID(stream_id) if stream_id.startswith(_URN) else stream_id


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raise `IntegrityError` for a version that is recorded already, `OperationalError` in an outage."""
    try:
        yield
    except SqlIntegrityError as error:
        # Only a violated unique key is a lost race. Retrying after any other violation would never end.
        taken = "UNIQUE" in str(error.orig).upper()
        raise (IntegrityError if taken else DataError)(error) from error
    except (SqlInterfaceError, SqlProgrammingError) as error:
        raise ProgrammingError(error) from error
    except (DBAPIError, OSError) as error:
        raise OperationalError(error) from error
