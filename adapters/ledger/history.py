"""The log for people: the events of a client, user or grant, and a stream as of a moment."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    func,
    literal,
    literal_column,
    select,
)

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import EventCodec
from grantledger.adapters.ledger.schema import events
from grantledger.domain.aggregate import Kind, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.consent import ConsentGiven
from grantledger.domain.kinds import tag_of
from grantledger.domain.token_grant import GRANT, GrantOpened

S = TypeVar("S")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The conditions of the indexes, as literals: a database does not use a partial index if they are parameters.
_ONE: ColumnElement[int] = literal_column("1")
_FIRST = events.alias("first")
_OF_A_USER = _FIRST.c.user_id != literal_column("''")


class RecordedEvent(Struct, frozen=True, kw_only=True):
    """One event with its envelope. `about` names the client, user and grant that its stream is about."""

    position: int
    stream_id: str
    version: int
    tag: str
    about: Mapping[str, str]
    event: Struct
    event_id: UUID
    append_id: UUID
    recorded_at: datetime
    actor_kind: str
    actor_id: str | None
    correlation_id: str
    trace_id: str | None
    address_digest: str | None


class Filter(Struct, frozen=True, kw_only=True):
    """Which events are wanted: those that match every field that is set.

    `client`: what happened to the client, and to its codes, grants and consents. `user`: what happened to the
    user's account, codes, grants, consents and browser sessions. `grant`: what happened to the grant and to
    the code that opened it. `since`: recorded then or later.
    """

    client: str | None = None
    user: str | None = None
    grant: str | None = None
    since: datetime | None = None


class Audit:
    """Reads the log alone, never the read model: its answers are evidence, also about the read model."""

    def __init__(self, database: Database, *, realm: str = "main", page: int = 500) -> None:
        self._database = database
        self._codec = EventCodec()
        self._realm = realm
        self._page = page
        self._is_first = and_(_FIRST.c.realm == realm, _FIRST.c.version == _ONE)

    def events(self, wanted: Filter) -> Iterator[RecordedEvent]:
        """Yield the matching events in the order of the log, up to its end at the first call."""
        with self._database.engine.connect() as connection:
            conditions = self._conditions(connection, wanted)
            # Each page is a statement of its own, so that a long audit delays no checkpoint.
            for positions in self._positions(connection, conditions, wanted):
                page = select(events).where(events.c.realm == self._realm, events.c.position.in_(positions))
                for found in connection.execute(page.order_by(events.c.position)).all():
                    yield self._event(found)

    def _positions(
        self, connection: Connection, conditions: list[ColumnElement[bool]], wanted: Filter
    ) -> Iterator[Sequence[int]]:
        """Yield the positions of the wanted events, a page at a time."""
        position = events.c.position
        named = select(position).where(*conditions)
        if (wanted.client, wanted.user, wanted.grant) != (None, None, None):
            yield from _chunks(sorted(connection.execute(named).scalars()), self._page)
            return
        end = (
            connection.execute(select(func.max(position)).where(events.c.realm == self._realm)).scalar() or 0
        )
        last = 0
        while (
            page := connection.execute(
                named.where(position > last, position <= end).order_by(position).limit(self._page)
            )
            .scalars()
            .all()
        ):
            yield page
            last = page[-1]

    def _conditions(self, connection: Connection, wanted: Filter) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [events.c.realm == self._realm]
        if wanted.client is not None:
            conditions.append(events.c.stream_id.in_(self._streams_of_client(wanted.client)))
        if wanted.user is not None:
            conditions.append(events.c.stream_id.in_(self._streams_of_user(wanted.user)))
        if wanted.grant is not None:
            conditions.append(events.c.stream_id.in_(self._streams_of_grant(connection, wanted.grant)))
        if wanted.since is not None:
            conditions.append(events.c.recorded_at >= (wanted.since - _EPOCH) // timedelta(microseconds=1))
        return conditions

    def _streams_of_user(self, user: str) -> Select[str]:
        """Select the streams whose first event is about the user."""
        return select(_FIRST.c.stream_id).where(self._is_first, _FIRST.c.user_id == user, _OF_A_USER)

    def _streams_of_client(self, client: str) -> CompoundSelect[str]:
        """Select the streams whose first event is about the client.

        Besides its own they are streams of users who consented to the client, because there is neither a code
        nor a grant without consent. So the log needs no index of all streams by client (ADR 0089).
        """
        consent = events.alias("consent")
        shared = select(_FIRST.c.stream_id).where(
            consent.c.realm == self._realm,
            consent.c.client_id == client,
            consent.c.version == _ONE,
            consent.c.tag == literal_column(f"'{tag_of(ConsentGiven)}'"),
            self._is_first,
            _FIRST.c.user_id == consent.c.user_id,
            _OF_A_USER,
            _FIRST.c.client_id == client,
        )
        return shared.union_all(select(literal(CLIENT.stream_id(client))))

    def _streams_of_grant(self, connection: Connection, grant: str) -> list[str]:
        stream = GRANT.stream_id(grant)
        rows = connection.execute(
            select(events.c.tag, events.c.data).where(
                events.c.realm == self._realm, events.c.stream_id == stream, events.c.version == 1
            )
        )
        opened = (self._codec.decode(tag, data) for tag, data in rows)
        return [
            stream,
            *(CODE.stream_id(event.code_key) for event in opened if isinstance(event, GrantOpened)),
        ]

    def _event(self, found: Row[Any]) -> RecordedEvent:
        return RecordedEvent(
            position=found.position,
            stream_id=found.stream_id,
            version=found.version,
            tag=found.tag,
            about=_about(found),
            event=self._codec.decode(found.tag, found.data),
            event_id=UUID(bytes=found.event_id),
            append_id=UUID(bytes=found.append_id),
            recorded_at=_EPOCH + timedelta(microseconds=found.recorded_at),
            actor_kind=found.actor_kind,
            actor_id=found.actor_id or None,
            correlation_id=found.correlation_id,
            trace_id=found.trace_id or None,
            address_digest=found.address_digest.hex() or None,
        )


class Past:
    """`PastReader` over the log of one realm.

    The clocks of servers differ, so the positions give the order of events, not the times of recording. As of
    a moment a stream holds its events up to the last one that was recorded then or before. The events before
    that one in the log count too, even if a fast clock gave them a later time.
    """

    def __init__(self, database: Database, realm: str = "main") -> None:
        self._database = database
        self._codec = EventCodec()
        self._realm = realm

    async def load_as_of(self, kind: Kind[S], key: str, moment: int) -> Versioned[S]:
        statement = select(events.c.recorded_at, events.c.tag, events.c.data).where(
            events.c.realm == self._realm, events.c.stream_id == kind.stream_id(key)
        )
        rows = await asyncio.to_thread(self._rows, statement.order_by(events.c.version))
        held = rows[: up_to([recorded_at for recorded_at, _, _ in rows], moment)]
        return Versioned(kind=kind, key=key).evolved(self._codec.decode(tag, data) for _, tag, data in held)

    def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        with self._database.engine.connect() as connection:
            return connection.execute(statement).all()


def up_to(times: Sequence[int], moment: int) -> int:
    """Return how many events a stream has as of the moment. `times` are the times of all its events."""
    there = [count for count, time in enumerate(times, start=1) if time <= moment]
    return there[-1] if there else 0


def _about(found: Row[Any]) -> dict[str, str]:
    category, _, key = found.stream_id.partition(":")
    grant = {"grant": key} if category == GRANT.category else {}
    parties = {"client": found.client_id, "user": found.user_id}
    return grant | {party: value for party, value in parties.items() if value}


def _chunks(positions: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (positions[start : start + size] for start in range(0, len(positions), size))
