"""A ledger that remembers only as long as the test runs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from grantledger.application.ports import MAX_PAGE, Conflict, Page, PrivateRecord, Standing, Unavailable
from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.consent import CONSENT, Consent
from grantledger.domain.token_grant import GRANT, TokenGrant
from grantledger.domain.user_account import USER, UserAccount

S = TypeVar("S")


class Recorded(NamedTuple):
    stream_id: str
    version: int
    event: Struct
    by: Provenance


class MemoryLedger:
    """Implements all storage ports. `log` is everything recorded, in order.

    While `outage` is true every method raises `Unavailable`.
    """

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.outage = False
        self._streams: dict[str, Versioned[Any]] = {}
        self._private: dict[tuple[str, str], PrivateRecord] = {}

    @property
    def events(self) -> list[Struct]:
        return [recorded.event for recorded in self.log]

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        self._check()
        return self._streams.get(kind.stream_id(key), Versioned(kind=kind, key=key))

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        self._check()
        changes = [change for change in changes if change.events]
        assert changes or not private, "private records are kept with the event that names their subject"
        after = dict(self._streams)
        log = []
        for change in changes:
            stream_id = change.kind.stream_id(change.key)
            before = after.get(stream_id, Versioned(kind=change.kind, key=change.key))
            if before.version != change.version:
                raise Conflict(stream_id)
            after[stream_id] = before.evolved(change.events)
            versions = range(change.version + 1, change.version + 1 + len(change.events))
            log += [Recorded(stream_id, *of, by) for of in zip(versions, change.events, strict=True)]
        kept = self._private | {(record.subject, record.name): record for record in private}
        beside = {place: record for place, record in kept.items() if record.value is not None}
        _check_unique(state.transaction_id for state in _states(after, CODE))
        _check_unique((found.name, found.lookup) for found in beside.values() if found.lookup is not None)
        self._streams, self._private = after, beside
        self.log += log

    async def standing(self, grant_id: str) -> Standing | None:
        grant = await self.load(GRANT, grant_id)
        if grant.state is None:
            return None
        client = await self.load(CLIENT, grant.state.client_id)
        user = await self.load(USER, grant.state.user_id)
        return Standing(grant=grant, client=client.state, user=user.state)

    async def is_spent(self, transaction_id: str) -> bool:
        self._check()
        return any(code.transaction_id == transaction_id for code in _states(self._streams, CODE))

    async def clients(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[ClientRegistration]:
        return self._page(CLIENT, lambda client: client.registered_at, after, limit)

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[UserAccount]:
        return self._page(USER, lambda user: user.opened_at, after, limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[TokenGrant]:
        def wanted(grant: TokenGrant) -> bool:
            return client_id in (None, grant.client_id) and user_id in (None, grant.user_id)

        return self._page(GRANT, lambda grant: grant.opened_at, after, limit, wanted)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> Page[Consent]:
        return self._page(CONSENT, lambda _: 0, after, limit, lambda consent: consent.user_id == user_id)

    def _page(
        self,
        kind: Kind[S],
        began: Callable[[Any], int],
        after: str | None,
        limit: int,
        wanted: Callable[[Any], bool] = lambda _: True,
    ) -> Page[S]:
        self._check()
        there = [stream for stream in self._streams.values() if stream.kind is kind]
        newest_first = sorted(there, key=lambda stream: (began(stream.state), stream.key), reverse=True)
        if after is not None:
            keys = [stream.key for stream in newest_first]
            newest_first = newest_first[keys.index(after) + 1 :] if after in keys else []
        found = [stream for stream in newest_first if wanted(stream.state)]
        more = len(found) > limit
        return Page(items=tuple(found[:limit]), after=found[limit - 1].key if more else None)

    async def find(self, name: str, lookup: str) -> str | None:
        self._check()
        return next(
            (
                found.subject
                for found in self._private.values()
                if (found.name, found.lookup) == (name, lookup)
            ),
            None,
        )

    async def value(self, subject: str, name: str) -> str | None:
        self._check()
        found = self._private.get((subject, name))
        return None if found is None else found.value

    def _check(self) -> None:
        if self.outage:
            raise Unavailable("the test says so")


def _states(streams: dict[str, Versioned[Any]], kind: Kind[S]) -> list[S]:
    return [stream.state for stream in streams.values() if stream.kind is kind and stream.state is not None]


def _check_unique(values: Any) -> None:
    values = list(values)
    if len(set(values)) != len(values):
        raise Conflict("a unique value is taken")
