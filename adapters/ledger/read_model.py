"""The read model on a cursor: one row per stream, found by its key."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from eventsourcing.persistence import IntegrityError, StoredEvent
from sqlalchemy import bindparam, select

from grantledger.adapters.ledger import bulk
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.projection import FOLDS, RowChange, row, state_of
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import INSERT_ROW, REPLACE_ROW, SELECT_ROW, compiled
from grantledger.domain.aggregate import Kind, Versioned
from grantledger.domain.kinds import KINDS

S = TypeVar("S")

_STREAM = compiled(
    select(events.c.version, events.c.tag, events.c.data)
    .where(events.c.realm == bindparam("realm"), events.c.stream_id == bindparam("stream_id"))
    .order_by(events.c.version),
    "realm",
    "stream_id",
)


def write(cursor: sqlite3.Cursor, realm: str, changes: Sequence[RowChange]) -> None:
    """Put each row in the place of the version it replaces; `IntegrityError` when that is not there."""
    new: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    replacing: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for now, replaces in changes:
        values = (realm, now.key, now.version, now.fold, *now.columns, now.state)
        if replaces == 0:
            new[now.category].append(values)
        else:
            replacing[now.category].append((*values, replaces))
    for category, rows in new.items():
        bulk.execute(cursor, INSERT_ROW[category], rows)
    for category, rows in replacing.items():
        if bulk.execute(cursor, REPLACE_ROW[category], rows) != len(rows):
            raise IntegrityError(f"a row of {category} is not at the version that was read")


def load(cursor: sqlite3.Cursor, realm: str, kind: Kind[S], key: str, mapper: TagMapper) -> Versioned[S]:
    """Return the aggregate from its row, or from its events where another release folded the row."""
    found = cursor.execute(SELECT_ROW[kind.category], (realm, key)).fetchall()
    if not found:
        return Versioned(kind=kind, key=key)
    version, fold, state = found[0]
    if fold == FOLDS[kind.category]:
        return Versioned(kind=kind, key=key, version=version, state=state_of(kind.category, state))
    return refold(cursor, realm, kind, key, mapper)


def refold(cursor: sqlite3.Cursor, realm: str, kind: Kind[S], key: str, mapper: TagMapper) -> Versioned[S]:
    """Return the aggregate as its events tell it; raises `UnknownTag`."""
    state: S | None = None
    version = 0
    for version, tag, data in cursor.execute(_STREAM, (realm, kind.stream_id(key))).fetchall():  # noqa: B007
        state = kind.evolve(state, mapper.event(tag, data))
    return Versioned(kind=kind, key=key, version=version, state=state)


def derived(
    cursor: sqlite3.Cursor, realm: str, stored: Sequence[StoredEvent], mapper: TagMapper
) -> list[RowChange]:
    """Return what events that came without rows do to the rows of the streams that are ours."""
    before: dict[str, Versioned[Any]] = {}
    after: dict[str, Versioned[Any]] = {}
    for event in stored:
        stream_id = str(event.originator_id)
        category, _, key = stream_id.partition(":")
        if category not in KINDS:
            continue
        if stream_id not in after:
            after[stream_id] = before[stream_id] = load(cursor, realm, KINDS[category], key, mapper)
        if event.originator_version != after[stream_id].version + 1:
            raise IntegrityError(f"{stream_id} is at version {after[stream_id].version}")
        after[stream_id] = after[stream_id].evolved((mapper.event(event.topic, event.state),))
    return [
        RowChange(row(now.kind, now.key, now.version, now.state), before[stream_id].version)
        for stream_id, now in after.items()
    ]
