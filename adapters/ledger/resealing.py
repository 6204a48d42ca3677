"""Private records under the newest master secret, while others read and write them."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, func, select, update

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.schema import private_record
from grantledger.adapters.ledger.sealing import Sealer
from grantledger.adapters.ledger.statements import compiled
from grantledger.application.ports import Unavailable

_c = private_record.c
_COUNTS = compiled(
    select(_c.key_id, func.count()).where(_c.realm == bindparam("realm")).group_by(_c.key_id), "realm"
)
_UNDER = compiled(
    select(_c.subject, _c.name, _c.lookup, _c.sealed).where(
        _c.realm == bindparam("realm"), _c.key_id == bindparam("key_id")
    ),
    "realm",
    "key_id",
)
_SEAL = compiled(
    update(private_record)
    .where(_c.realm == bindparam("r"), _c.subject == bindparam("s"), _c.name == bindparam("n"))
    .values(lookup=bindparam("lookup"), key_id=bindparam("key_id"), sealed=bindparam("sealed")),
    "lookup",
    "key_id",
    "sealed",
    "r",
    "s",
    "n",
)


class Resealing:
    """Seals records anew, a batch in one transaction: what a crash leaves, the next run goes on with.

    A record is read and written in one transaction, so that no change of it meanwhile is lost; its keyed
    digest is made anew with it. No other process may be without the newest secret by then: it could not open
    what was sealed.
    """

    def __init__(self, database: Database, sealer: Sealer, realm: str, *, batch: int = 64) -> None:
        self._database = database
        self._sealer = sealer
        self._realm = realm
        self._batch = batch

    def counts(self) -> dict[str, int]:
        """Return by key id how many records are sealed under that secret."""
        with self._database.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.exec_driver_sql(_COUNTS, (self._realm,))}

    def run(self, newest: str) -> Iterator[int]:
        """Seal every record that is under another secret, and yield how many each batch was.

        Raises `Unavailable` at a record whose secret is not configured.
        """
        for key_id in [key_id for key_id in self.counts() if key_id != newest]:
            while done := self._sealed(key_id):
                yield done

    def _sealed(self, key_id: str) -> int:
        with self._database.writing() as cursor:
            found = cursor.execute(f"{_UNDER} LIMIT ?", (self._realm, key_id, self._batch)).fetchall()
            for row in found:
                cursor.execute(_SEAL, self._anew(key_id, *row))
        return len(found)

    def _anew(
        self, key_id: str, subject: str, name: str, lookup: bytes | None, sealed: bytes
    ) -> tuple[Any, ...]:
        """Return what `_SEAL` takes for a record."""
        value = self._sealer.open(key_id, subject, name, sealed)
        lookups = () if lookup is None else tuple(self._sealer.lookups(name, value))
        if lookup is not None and lookup not in lookups:
            raise Unavailable(f"the {name!r} of {subject!r} is not found by its own value")
        newest, anew = self._sealer.seal(subject, name, value)
        return (lookups[0] if lookups else None, newest, anew, self._realm, subject, name)
