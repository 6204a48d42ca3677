"""The log for people: who did what to whom, in the order in which it became true."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.schema import events
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.consent import CONSENT
from grantledger.domain.token_grant import GRANT, GrantOpened
from grantledger.domain.user_account import USER

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ITSELF = {CLIENT.category: "client", USER.category: "user", GRANT.category: "grant"}
_OF_PARTIES = {CONSENT.category, SIGNIN.category}
"""Their keys are digests or random: only the event that opened the stream says whose it is."""


class Line(Struct, frozen=True, kw_only=True):
    """One event with its envelope. What the library's own tools wrote has no envelope.

    `about` names the client, user or grant whose stream it is in, where the stream is of one.
    """

    position: int
    stream_id: str
    version: int
    tag: str
    about: Mapping[str, str]
    event: Struct
    event_id: UUID | None
    append_id: UUID | None
    causation_id: UUID | None
    recorded_at: datetime | None
    actor_kind: str | None
    actor_id: str | None
    client_id: str | None
    correlation_id: str | None
    trace_id: str | None
    address_digest: str | None


class Filter(Struct, frozen=True, kw_only=True):
    """Which lines are wanted: those for which everything that is asked for holds.

    `client`: what happened to the client or for it, and to its codes, grants and consents. `user`: what
    happened to the user's account, codes, grants, consents and browser sessions. `grant`: what happened to
    the grant and the code that opened it.
    `since`: recorded then or later.
    """

    client: str | None = None
    user: str | None = None
    grant: str | None = None
    since: datetime | None = None


class Audit:
    """Asks the log alone, never the read model: its answers are evidence, also about the read model."""

    def __init__(
        self, database: Database, mapper: TagMapper, *, realm: str = "main", page: int = 500
    ) -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm
        self._page = page

    def lines(self, wanted: Filter) -> Iterator[Line]:
        """Yield what was recorded when the first line is asked for, a page at a time."""
        with self._database.engine.connect() as connection:
            (end,) = connection.execute(select(func.coalesce(func.max(events.c.position), 0))).one()
            condition = self._condition(connection, wanted)
            last = 0
            while page := self._rows(connection, condition, last, end):
                for found in page:
                    yield self._line(connection, found)
                last = page[-1].position

    def _rows(
        self, connection: Connection, condition: ColumnElement[bool], last: int, end: int
    ) -> list[Row[Any]]:
        between = (events.c.position > last, events.c.position <= end)
        statement = select(events).where(*between, condition).order_by(events.c.position).limit(self._page)
        # Each page is a statement of its own, so that a long audit keeps no checkpoint waiting.
        return list(connection.execute(statement))

    def _condition(self, connection: Connection, wanted: Filter) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = [events.c.realm == self._realm]
        if wanted.client is not None:
            own = {CLIENT.stream_id(wanted.client)} | self._streams_naming(
                connection, "client_id", wanted.client
            )
            conditions.append(or_(events.c.client_id == wanted.client, _one_of(own)))
        if wanted.user is not None:
            own = {USER.stream_id(wanted.user)} | self._streams_naming(connection, "user_id", wanted.user)
            conditions.append(_one_of(own))
        if wanted.grant is not None:
            conditions.append(_one_of(self._streams_of_grant(connection, wanted.grant)))
        if wanted.since is not None:
            conditions.append(events.c.recorded_at >= (wanted.since - _EPOCH) // timedelta(microseconds=1))
        return and_(*conditions)

    def _streams_naming(self, connection: Connection, field: str, value: str) -> set[str]:
        """The events that open a stream say whose it is; the bytes only tell which are worth decoding."""
        named = func.instr(events.c.data, msgspec.json.encode(value)) > 0
        return {
            stream_id
            for stream_id, event in self._events(connection, named)
            if getattr(event, field, None) == value
        }

    def _streams_of_grant(self, connection: Connection, grant: str) -> set[str]:
        stream = GRANT.stream_id(grant)
        opened = (event for _, event in self._events(connection, events.c.stream_id == stream))
        return {stream} | {
            CODE.stream_id(event.code_key) for event in opened if isinstance(event, GrantOpened)
        }

    def _events(self, connection: Connection, where: ColumnElement[bool]) -> Iterator[tuple[str, Struct]]:
        statement = select(events.c.stream_id, events.c.tag, events.c.data)
        for stream_id, tag, data in connection.execute(statement.where(events.c.realm == self._realm, where)):
            yield stream_id, self._mapper.event(tag, data)

    def _about(self, connection: Connection, stream_id: str, event: Struct) -> dict[str, str]:
        category, _, key = stream_id.partition(":")
        if category in _ITSELF:
            return {_ITSELF[category]: key}
        if category not in _OF_PARTIES:
            return {}
        named = _parties(event)
        if named:
            return named
        opening = and_(events.c.stream_id == stream_id, events.c.version == 1)
        return next((_parties(opened) for _, opened in self._events(connection, opening)), {})

    def _line(self, connection: Connection, found: Row[Any]) -> Line:
        event = self._mapper.event(found.tag, found.data)
        return Line(
            position=found.position,
            stream_id=found.stream_id,
            version=found.version,
            tag=found.tag,
            about=self._about(connection, found.stream_id, event),
            event=event,
            event_id=_uuid(found.event_id),
            append_id=_uuid(found.append_id),
            causation_id=_uuid(found.causation_id),
            recorded_at=_time(found.recorded_at),
            actor_kind=found.actor_kind,
            actor_id=found.actor_id,
            client_id=found.client_id,
            correlation_id=found.correlation_id,
            trace_id=found.trace_id,
            address_digest=None if found.address_digest is None else found.address_digest.hex(),
        )


def _parties(event: Struct) -> dict[str, str]:
    named = {"client": getattr(event, "client_id", None), "user": getattr(event, "user_id", None)}
    return {party: value for party, value in named.items() if value is not None}


def _one_of(streams: set[str]) -> ColumnElement[bool]:
    # One JSON text: there may be more streams than a statement has parameters.
    listed = func.json_each(msgspec.json.encode(sorted(streams)).decode()).table_valued("value")
    return events.c.stream_id.in_(select(listed.c.value))


def _uuid(stored: bytes | None) -> UUID | None:
    return None if stored is None else UUID(bytes=stored)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
