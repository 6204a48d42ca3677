"""Sealed values beside the log: what may be erased, or sealed anew, while history stays."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from eventsourcing.persistence import IntegrityError
from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from grantledger.adapters.ledger.schema import private_record
from grantledger.adapters.ledger.statements import compiled
from grantledger.application.ports import MasterSecretMissing


class PrivateRow(NamedTuple):
    """`lookups` are the keyed digests that find it, under every live master secret, newest first."""

    subject: str
    name: str
    lookups: tuple[bytes, ...]
    key_id: str
    sealed: bytes | None
    """None erases the row."""
    known: tuple[str, ...] = ()
    """The ids of the master secrets that this process has."""


_c = private_record.c
_upsert = insert(private_record)
_UPSERT = compiled(
    _upsert.on_conflict_do_update(
        index_elements=(_c.realm, _c.subject, _c.name),
        set_={name: _upsert.excluded[name] for name in ("lookup", "key_id", "sealed")},
    ),
    *(column.name for column in _c),
)
_ERASURE = compiled(
    delete(private_record).where(
        _c.realm == bindparam("realm"), _c.subject == bindparam("subject"), _c.name == bindparam("name")
    ),
    "realm",
    "subject",
    "name",
)
_OWNER = compiled(
    select(_c.subject).where(
        _c.realm == bindparam("realm"), _c.name == bindparam("name"), _c.lookup == bindparam("lookup")
    ),
    "realm",
    "name",
    "lookup",
)
_NEXT_KEY_ID = compiled(
    select(func.min(_c.key_id)).where(_c.realm == bindparam("realm"), _c.key_id > bindparam("key_id")),
    "realm",
    "key_id",
)
_SEALED = compiled(
    select(_c.key_id, _c.sealed).where(
        _c.realm == bindparam("realm"), _c.subject == bindparam("subject"), _c.name == bindparam("name")
    ),
    "realm",
    "subject",
    "name",
)


def write(cursor: sqlite3.Cursor, realm: str, row: PrivateRow) -> None:
    """Keep the row in place of the subject's earlier one of that name.

    Raises `IntegrityError` when another subject's record of that name is found by the same value, also
    where that was kept under an older master secret and so under another digest. Raises `MasterSecretMissing`
    where that cannot be told.
    """
    if row.sealed is None:
        cursor.execute(_ERASURE, (realm, row.subject, row.name))
        return
    if row.lookups:
        check_secrets(cursor, realm, row.known)
    for older in row.lookups[1:]:
        if owner(cursor, realm, row.name, older) not in (None, row.subject):
            raise IntegrityError(f"another subject's {row.name} has the same lookup")
    newest = row.lookups[0] if row.lookups else None
    cursor.execute(_UPSERT, (realm, row.subject, row.name, newest, row.key_id, row.sealed))


def check_secrets(cursor: sqlite3.Cursor, realm: str, known: Sequence[str]) -> None:
    """Raise `MasterSecretMissing` where a record is sealed under a secret that is not among these.

    It is found by a digest that this process cannot make, so that nothing can be said to be missing.
    """
    key_id = ""
    while key_id := cursor.execute(_NEXT_KEY_ID, (realm, key_id)).fetchone()[0]:
        if key_id not in known:
            raise MasterSecretMissing(key_id)


def owner(cursor: sqlite3.Cursor, realm: str, name: str, lookup: bytes) -> str | None:
    found = cursor.execute(_OWNER, (realm, name, lookup)).fetchall()
    return found[0][0] if found else None


def sealed(cursor: sqlite3.Cursor, realm: str, subject: str, name: str) -> tuple[str, bytes] | None:
    """Return the key id and the sealed bytes."""
    found = cursor.execute(_SEALED, (realm, subject, name)).fetchall()
    return found[0] if found else None
