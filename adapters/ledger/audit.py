"""The log for people: who did what to whom, in the order in which it became true."""

from collections.abc import Iterator
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
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT
from grantledger.domain.token_grant_events import GrantOpened
from grantledger.domain.user_account import USER

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(Struct, frozen=True, kw_only=True):
    """One event with its envelope. What the library's own tools wrote has no envelope."""

    position: int
    stream_id: str
    version: int
    tag: str
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

    `client`: what happened to the client, or for it. `user`: what happened to the user's account, codes,
    grants, consents and browser sessions. `grant`: what happened to the grant and the code that opened it.
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
                    yield self._line(found)
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
            own = events.c.stream_id == CLIENT.stream_id(wanted.client)
            conditions.append(or_(events.c.client_id == wanted.client, own))
        if wanted.user is not None:
            conditions.append(_one_of(self._streams_of_user(connection, wanted.user)))
        if wanted.grant is not None:
            conditions.append(_one_of(self._streams_of_grant(connection, wanted.grant)))
        if wanted.since is not None:
            conditions.append(events.c.recorded_at >= (wanted.since - _EPOCH) // timedelta(microseconds=1))
        return and_(*conditions)

    def _streams_of_user(self, connection: Connection, user: str) -> set[str]:
        """The events that open a stream say whose it is; the bytes only tell which are worth decoding."""
        named = func.instr(events.c.data, msgspec.json.encode(user)) > 0
        return {USER.stream_id(user)} | {
            stream_id
            for stream_id, event in self._events(connection, named)
            if getattr(event, "user_id", None) == user
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

    def _line(self, found: Row[Any]) -> Line:
        return Line(
            position=found.position,
            stream_id=found.stream_id,
            version=found.version,
            tag=found.tag,
            event=self._mapper.event(found.tag, found.data),
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


def _one_of(streams: set[str]) -> ColumnElement[bool]:
    # One JSON text: there may be more streams than a statement has parameters.
    listed = func.json_each(msgspec.json.encode(sorted(streams)).decode()).table_valued("value")
    return events.c.stream_id.in_(select(listed.c.value))


def _uuid(stored: bytes | None) -> UUID | None:
    return None if stored is None else UUID(bytes=stored)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
