"""A ledger that remembers only as long as the test runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from grantledger.application.ports import (
    MAX_PAGE,
    AppFacts,
    AuthorizationFacts,
    BrowserSessionFacts,
    CodeFacts,
    Conflict,
    GrantFacts,
    ListPage,
    PrivateRecord,
    Unavailable,
)
from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.consent import CONSENT, Consent, consent_key
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

    def forget(self, kind: Kind[Any], key: str) -> None:
        """Delete the state of a stream that can never be used again; its events stay."""
        stream = self._streams[kind.stream_id(key)]
        self._streams[kind.stream_id(key)] = Versioned(kind=kind, key=key, version=stream.version)

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        self._check()
        return self._streams.get(kind.stream_id(key), Versioned(kind=kind, key=key))

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        self._check()
        changing = [change for change in changes if change.events]
        assert changing or not private, "private records are kept with the event that names their subject"
        if not changing:
            return
        after = dict(self._streams)
        log = []
        for change in changes:
            stream_id = change.kind.stream_id(change.key)
            before = after.get(stream_id, Versioned(kind=change.kind, key=change.key))
            if before.version != change.version:
                raise Conflict(stream_id)
            if not change.events:
                continue
            after[stream_id] = before.evolved(change.events)
            versions = range(change.version + 1, change.version + 1 + len(change.events))
            log += [Recorded(stream_id, *of, by) for of in zip(versions, change.events, strict=True)]
        kept = self._private | {(record.subject, record.name): record for record in private}
        kept = {name: record for name, record in kept.items() if record.value is not None}
        _check_unique((found.name, found.lookup) for found in kept.values() if found.lookup is not None)
        self._streams, self._private = after, kept
        self.log += log

    async def grant_facts(self, grant_id: str) -> GrantFacts | None:
        grant = await self.load(GRANT, grant_id)
        if grant.state is None:
            return None
        return GrantFacts(
            grant=grant,
            client=await self.load(CLIENT, grant.state.client_id),
            user=await self.load(USER, grant.state.user_id),
        )

    async def code_facts(self, transaction_id: str) -> CodeFacts:
        code = await self.load(CODE, transaction_id)
        client_id, user_id = (code.state.client_id, code.state.user_id) if code.state else ("", "")
        return CodeFacts(
            code=code,
            client=await self.load(CLIENT, client_id),
            user=await self.load(USER, user_id),
            consent=await self.load(CONSENT, consent_key(user_id, client_id)),
        )

    async def authorization_facts(
        self, *, client_id: str, user_id: str, session_id: str, transaction_id: str
    ) -> AuthorizationFacts:
        session = await self.load(SIGNIN, session_id)
        if not user_id and session.state is not None:
            user_id = session.state.user_id
        return AuthorizationFacts(
            client=await self.load(CLIENT, client_id),
            user=await self.load(USER, user_id),
            session=session,
            consent=await self.load(CONSENT, consent_key(user_id, client_id)),
            code=await self.load(CODE, transaction_id),
        )

    async def browser_session_facts(self, session_id: str) -> BrowserSessionFacts | None:
        session = (await self.load(SIGNIN, session_id)).state
        if session is None:
            return None
        email = await self.value(session.user_id, "email")
        user = (await self.load(USER, session.user_id)).state
        return BrowserSessionFacts(session=session, user=user, email=lambda: email)

    async def connected_apps(self, user_id: str, *, now: int) -> Sequence[AppFacts]:
        found = []
        for consent in (await self.consents(user_id)).items:
            assert consent.state is not None
            client = (await self.load(CLIENT, consent.state.client_id)).state
            assert client is not None
            grants = await self.grants(client_id=client.client_id, user_id=user_id)
            alive = [
                grant.state
                for grant in grants.items
                if grant.state is not None
                and grant.state.client_registration == client.registration
                and grant.state.is_usable(now=now)
            ]
            refreshed = [grant.issued_at for grant in alive if grant.generation]
            app = AppFacts(
                client=client,
                consent=consent.state,
                connections=len(alive),
                since=min((grant.opened_at for grant in alive), default=None),
                last_refresh=max(refreshed, default=None),
            )
            latest = max((grant.opened_at for grant in alive), default=0)
            found.append((-latest, client.client_id, app))
        return [app for _, _, app in sorted(found, key=lambda found: found[:2])]

    async def clients(
        self, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[ClientRegistration]:
        return self._page(CLIENT, lambda client: client.registered_at, after, limit)

    async def unused_clients(self, before: int) -> Sequence[Versioned[ClientRegistration]]:
        self._check()
        used = {of.state.client_id for of in self._streams.values() if of.kind is CONSENT and of.state}
        clients = (await self.clients(limit=len(self._streams))).items
        unused = [
            client
            for client in clients
            if client.state is not None
            and client.state.may_be_pruned
            and client.state.registered_at <= before
            and client.key not in used
        ]
        return unused[::-1][:MAX_PAGE]

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> ListPage[UserAccount]:
        return self._page(USER, lambda user: user.opened_at, after, limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> ListPage[TokenGrant]:
        def wanted(grant: TokenGrant) -> bool:
            return client_id in (None, grant.client_id) and user_id in (None, grant.user_id)

        return self._page(GRANT, lambda grant: grant.opened_at, after, limit, wanted)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[Consent]:
        return self._page(CONSENT, lambda _: 0, after, limit, lambda consent: consent.user_id == user_id)

    def _page(
        self,
        kind: Kind[S],
        began: Callable[[Any], int],
        after: str | None,
        limit: int,
        wanted: Callable[[Any], bool] = lambda _: True,
    ) -> ListPage[S]:
        self._check()
        there = [stream for stream in self._streams.values() if stream.kind is kind and stream.state]
        newest_first = sorted(there, key=lambda stream: (began(stream.state), stream.key), reverse=True)
        if after is not None:
            keys = [stream.key for stream in newest_first]
            newest_first = newest_first[keys.index(after) + 1 :] if after in keys else []
        found = [stream for stream in newest_first if wanted(stream.state)]
        more = len(found) > limit
        return ListPage(items=tuple(found[:limit]), after=found[limit - 1].key if more else None)

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

    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        found = {name: await self.value(subject, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def _check(self) -> None:
        if self.outage:
            raise Unavailable("the test says so")


def _check_unique(values: Any) -> None:
    values = list(values)
    if len(set(values)) != len(values):
        raise Conflict("a unique value is taken")
