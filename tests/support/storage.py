"""A ledger that lets parallel requests conflict, and a check that nothing was recorded."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fakes.memory_ledger import MemoryLedger
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
)
from grantledger.application.provenance import Provenance
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import Consent
from grantledger.domain.kinds import tag_of
from grantledger.domain.token_grant import TokenGrant
from grantledger.domain.user_account import UserAccount

S = TypeVar("S")


class InterleavingLedger:
    """Lets every other request run before each read and each write, as a database does.

    `conflicts` counts the races that were lost.
    """

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.conflicts = 0

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        await asyncio.sleep(0)
        return await self._inner.load(kind, key)

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        await asyncio.sleep(0)
        try:
            await self._inner.record(changes, by, private)
        except Conflict:
            self.conflicts += 1
            raise

    async def grant_facts(self, grant_id: str) -> GrantFacts | None:
        await asyncio.sleep(0)
        return await self._inner.grant_facts(grant_id)

    async def code_facts(self, transaction_id: str) -> CodeFacts:
        await asyncio.sleep(0)
        return await self._inner.code_facts(transaction_id)

    async def authorization_facts(self, **keys: str) -> AuthorizationFacts:
        await asyncio.sleep(0)
        return await self._inner.authorization_facts(**keys)

    async def browser_session_facts(self, session_id: str) -> BrowserSessionFacts | None:
        await asyncio.sleep(0)
        return await self._inner.browser_session_facts(session_id)

    async def connected_apps(self, user_id: str, *, now: int) -> Sequence[AppFacts]:
        await asyncio.sleep(0)
        return await self._inner.connected_apps(user_id, now=now)

    async def clients(
        self, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[ClientRegistration]:
        await asyncio.sleep(0)
        return await self._inner.clients(after=after, limit=limit)

    async def unused_clients(self, before: int) -> Sequence[Versioned[ClientRegistration]]:
        await asyncio.sleep(0)
        return await self._inner.unused_clients(before)

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> ListPage[UserAccount]:
        await asyncio.sleep(0)
        return await self._inner.users(after=after, limit=limit)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[Consent]:
        await asyncio.sleep(0)
        return await self._inner.consents(user_id, after=after, limit=limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> ListPage[TokenGrant]:
        await asyncio.sleep(0)
        return await self._inner.grants(client_id=client_id, user_id=user_id, after=after, limit=limit)

    async def find(self, name: str, lookup: str) -> str | None:
        await asyncio.sleep(0)
        return await self._inner.find(name, lookup)

    async def value(self, subject: str, name: str) -> str | None:
        await asyncio.sleep(0)
        return await self._inner.value(subject, name)

    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        await asyncio.sleep(0)
        return await self._inner.values(subject, names)


class CountingLedger(InterleavingLedger):
    """Counts the events that were recorded, by their tags."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.tags: Counter[str] = Counter()

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        await super().record(changes, by, private)
        self.tags.update(tag_of(happened) for change in changes for happened in change.events)


class InterruptedLedger(InterleavingLedger):
    """Lets `action` happen once, after everything was read and just before the first write."""

    def __init__(self, inner: Storage, action: Callable[[], Awaitable[object]]) -> None:
        super().__init__(inner)
        self._action: Callable[[], Awaitable[object]] | None = action

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        action, self._action = self._action, None
        if action is not None:
            await action()
        await super().record(changes, by, private)


@contextmanager
def nothing_recorded(ledger: MemoryLedger) -> Iterator[None]:
    """Assert that the block records nothing in the ledger."""
    before = list(ledger.log)
    yield
    assert ledger.log == before
