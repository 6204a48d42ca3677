"""Private records under the newest master secret, while others read and write them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

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


class SealerOfMany(Sealer, Protocol):
    def under(self, key_id: str) -> Sealer:
        """Return one that seals under that key, and opens what this one opens."""
        ...


class Resealing:
    """`SealedRecords`: a batch in one transaction. What a crash leaves, the next run goes on with.

    A record is read and written in one transaction, so that no change of it meanwhile is lost; its keyed
    digest is made anew with it. No other process may be without the newest secret by then: it could not open
    what was sealed.
    """

    def __init__(self, database: Database, sealer: SealerOfMany, realm: str, *, batch: int = 64) -> None:
        self._database = database
        self._sealer = sealer
        self._realm = realm
        self._batch = batch

    async def counts(self) -> Mapping[str, int]:
        return await asyncio.to_thread(self._counts)

    def seal_anew(self, key_id: str) -> AsyncIterator[int]:
        return self._batches(key_id, self._sealer.under(key_id))

    async def _batches(self, key_id: str, sealer: Sealer) -> AsyncIterator[int]:
        for other in [other for other in await self.counts() if other != key_id]:
            while done := await asyncio.to_thread(self._sealed, other, sealer):
                yield done

    def _counts(self) -> dict[str, int]:
        with self._database.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.exec_driver_sql(_COUNTS, (self._realm,))}

    def _sealed(self, key_id: str, sealer: Sealer) -> int:
        with self._database.writing() as cursor:
            found = cursor.execute(f"{_UNDER} LIMIT ?", (self._realm, key_id, self._batch)).fetchall()
            for row in found:
                cursor.execute(_SEAL, _anew(sealer, key_id, self._realm, row))
        return len(found)


def _anew(sealer: Sealer, key_id: str, realm: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what `_SEAL` takes for a row of `_UNDER`."""
    subject, name, lookup, sealed = row
    value = sealer.open(key_id, subject, name, sealed)
    lookups = () if lookup is None else tuple(sealer.lookups(name, value))
    if lookup is not None and lookup not in lookups:
        raise Unavailable(f"the {name!r} of {subject!r} is not found by its own value")
    newest, anew = sealer.seal(subject, name, value)
    if newest == key_id:
        raise Unavailable(f"the {name!r} of {subject!r} is sealed as before, which would have no end")
    return (lookups[0] if lookups else None, newest, anew, realm, subject, name)
