"""What is sealed under each master secret: private records, which can be resealed, and live tokens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct
from sqlalchemy import func, select, update

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import EventCodec
from grantledger.adapters.ledger.private_records import Sealer
from grantledger.adapters.ledger.schema import events, private_record
from grantledger.application.keys.master_secrets import LiveTokens
from grantledger.application.ports import Unavailable
from grantledger.domain.kinds import tag_of
from grantledger.domain.token_grant import MAX_REUSE_WINDOW, GrantOpened, GrantRefreshed, GrantRevoked

_PAGE = 1_000
_TAGS = tuple(tag_of(event) for event in (GrantOpened, GrantRefreshed, GrantRevoked))
_c = private_record.c


class SealerOfMany(Sealer, Protocol):
    def under(self, key_id: str) -> Sealer:
        """Return a sealer that seals under this key id, and opens what this one opens."""
        ...


class Resealing:
    """`SealedRecords`: each batch in one transaction. The next run continues what a crash interrupted.

    A record is read and written in one transaction, so that no parallel change of it is lost. Its lookup
    digest is computed again too. Every other process must already have the new secret: otherwise it could not
    open the resealed records.
    """

    def __init__(self, database: Database, sealer: SealerOfMany, realm: str, *, batch: int = 64) -> None:
        self._database = database
        self._sealer = sealer
        self._realm = realm
        self._batch = batch

    async def counts(self) -> Mapping[str, int]:
        return await asyncio.to_thread(self._counts)

    def reseal(self, key_id: str) -> AsyncIterator[int]:
        return self._batches(key_id, self._sealer.under(key_id))

    async def _batches(self, key_id: str, sealer: Sealer) -> AsyncIterator[int]:
        for other in [other for other in await self.counts() if other != key_id]:
            while done := await asyncio.to_thread(self._sealed, other, sealer):
                yield done

    def _counts(self) -> dict[str, int]:
        statement = select(_c.key_id, func.count()).where(_c.realm == self._realm).group_by(_c.key_id)
        with self._database.engine.connect() as connection:
            return dict(connection.execute(statement).all())

    def _sealed(self, key_id: str, sealer: Sealer) -> int:
        some = select(_c.subject, _c.name, _c.lookup, _c.sealed)
        some = some.where(_c.realm == self._realm, _c.key_id == key_id).limit(self._batch)
        with self._database.writing() as connection:
            found = connection.execute(some).all()
            for row in found:
                one = (_c.realm == self._realm, _c.subject == row.subject, _c.name == row.name)
                connection.execute(update(private_record).where(*one).values(**_again(sealer, key_id, row)))
        return len(found)


def _again(sealer: Sealer, key_id: str, row: Any) -> dict[str, Any]:
    """Return the columns of the resealed record."""
    value = sealer.open(key_id, row.subject, row.name, row.sealed)
    lookups = () if row.lookup is None else tuple(sealer.lookups(row.name, value))
    if row.lookup is not None and row.lookup not in lookups:
        raise Unavailable(f"the {row.name!r} of {row.subject!r} has a lookup that does not fit its value")
    newest, sealed = sealer.seal(row.subject, row.name, value)
    if newest == key_id:
        raise Unavailable(f"the {row.name!r} of {row.subject!r} would be sealed under the same secret again")
    return {"lookup": lookups[0] if lookups else None, "key_id": newest, "sealed": sealed}


class _Issued(NamedTuple):
    """The tokens of a grant: the secret of the newest ones, and when they all expire.

    `access_until` is the end of its access tokens, `until` the end of all its tokens by secret.
    """

    newest: str
    access_until: int
    until: dict[str, int]


class SecretUse:
    """`IssuedTokens`, computed from the log, which has an event for all tokens that were issued.

    Older access tokens live until they expire, superseded refresh tokens until their reuse window ends.
    """

    def __init__(self, database: Database, realm: str) -> None:
        self._database = database
        self._codec = EventCodec()
        self._realm = realm

    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        found: dict[str, LiveTokens] = {}
        for issued in (await asyncio.to_thread(self._grants, now, progress)).values():
            for key_id, until in issued.until.items():
                if until > now:
                    before = found.get(key_id, LiveTokens(0, 0))
                    found[key_id] = LiveTokens(before.grants + 1, max(before.until, until))
        return found

    def _grants(self, now: int, progress: Callable[[int, int], None]) -> dict[str, _Issued]:
        grants: dict[str, _Issued] = {}
        last, end = 0, self._end()
        while page := self._page(last):
            for _, stream_id, tag, data in page:
                issued = _after(grants.pop(stream_id, None), self._codec.decode(tag, data))
                if issued is not None and max(issued.until.values()) > now:
                    grants[stream_id] = issued
            last = page[-1][0]
            progress(last, max(last, end))
        return grants

    def _end(self) -> int:
        with self._database.engine.connect() as connection:
            statement = select(func.max(events.c.position)).where(events.c.realm == self._realm)
            return connection.execute(statement).scalar() or 0

    def _page(self, last: int) -> Sequence[Any]:
        statement = select(events.c.position, events.c.stream_id, events.c.tag, events.c.data).where(
            events.c.realm == self._realm, events.c.position > last, events.c.tag.in_(_TAGS)
        )
        with self._database.engine.connect() as connection:
            return connection.execute(statement.order_by(events.c.position).limit(_PAGE)).all()


def _after(before: _Issued | None, event: Struct) -> _Issued | None:
    if not isinstance(event, GrantOpened | GrantRefreshed):
        return None
    until = dict(before.until) if before else {}
    if before and isinstance(event, GrantRefreshed):
        # The earlier refresh token is superseded: its secret still serves access tokens and retries.
        until[before.newest] = max(before.access_until, event.refreshed_at + MAX_REUSE_WINDOW)
    access_until = max(event.access_expires_at, before.access_until if before else 0)
    until[event.key_id] = max(event.access_expires_at, event.refresh_expires_at or 0)
    return _Issued(event.key_id, access_until, until)
