"""Streams as they were: folded from the log alone, up to a moment."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import TypeVar

from sqlalchemy import bindparam, select

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import compiled
from grantledger.domain.aggregate import Kind, Versioned

S = TypeVar("S")

_STREAM = compiled(
    select(events.c.position, events.c.recorded_at, events.c.tag, events.c.data)
    .where(events.c.realm == bindparam("realm"), events.c.stream_id == bindparam("stream_id"))
    .order_by(events.c.version),
    "realm",
    "stream_id",
)
_BEFORE = compiled(
    select(events.c.recorded_at)
    .where(events.c.position < bindparam("position"), events.c.recorded_at.is_not(None))
    .order_by(events.c.position.desc()),
    "position",
)
_TIME_BEFORE = f"{_BEFORE} LIMIT 1"


class SqlitePast:
    """`PastReader` over the log of one realm.

    Clocks of several servers differ, so recorded-at says nothing about order and the log does. As of a moment
    a stream holds all its events up to the last one that was recorded then or before: what stands before
    that one in the log had happened, whatever its own server's clock said. An event without an envelope,
    which a tool of the library wrote, counts from when the event before it in the log was recorded.
    """

    def __init__(self, database: Database, mapper: TagMapper, realm: str = "main") -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm

    async def load_as_of(self, kind: Kind[S], key: str, moment: int) -> Versioned[S]:
        with closing(self._database.connect()) as connection:
            lines = connection.execute(_STREAM, (self._realm, kind.stream_id(key))).fetchall()
            times = [
                recorded_at if recorded_at is not None else _time_before(connection, position)
                for position, recorded_at, _, _ in lines
            ]
        held = lines[: up_to(times, moment)]
        return Versioned(kind=kind, key=key).evolved(self._mapper.event(tag, data) for *_, tag, data in held)


def up_to(times: Sequence[int], moment: int) -> int:
    """Return how many of a stream's events, recorded at these times, it holds as of the moment."""
    there = [count for count, time in enumerate(times, start=1) if time <= moment]
    return there[-1] if there else 0


def _time_before(connection: sqlite3.Connection, position: int) -> int:
    found = connection.execute(_TIME_BEFORE, (position,)).fetchone()
    return int(found[0]) if found else 0
