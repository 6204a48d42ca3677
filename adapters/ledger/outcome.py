"""What became of an append whose answer was lost: it is found again by its id, or it did not happen."""

import sqlite3

from sqlalchemy import bindparam, select

from grantledger.adapters.ledger.append import Append
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import compiled

_APPEND_AT = compiled(
    select(events.c.append_id)
    .where(events.c.realm == bindparam("realm"), events.c.stream_id == bindparam("stream_id"))
    .where(events.c.version == bindparam("version")),
    "realm",
    "stream_id",
    "version",
)


def stands(cursor: sqlite3.Cursor, realm: str, append: Append) -> bool:
    """Whether the append's first event stands where it was to stand, with this append's id."""
    first = append.stored[0]
    found = cursor.execute(_APPEND_AT, (realm, first.originator_id, first.originator_version)).fetchall()
    return found == [(append.envelope.append_id,)]
