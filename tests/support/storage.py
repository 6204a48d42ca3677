"""A ledger that lets parallel requests conflict, and a check that nothing was recorded."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fakes.memory_ledger import MemoryLedger
from grantledger.application.ports import MAX_PAGE, Conflict, Page, PrivateRecord, Standing
from grantledger.application.provenance import Provenance
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.consent import Consent
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

    async def standing(self, grant_id: str) -> Standing | None:
        await asyncio.sleep(0)
        return await self._inner.standing(grant_id)

    async def is_spent(self, transaction_id: str) -> bool:
        await asyncio.sleep(0)
        return await self._inner.is_spent(transaction_id)

    async def clients(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[ClientRegistration]:
        await asyncio.sleep(0)
        return await self._inner.clients(after=after, limit=limit)

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[UserAccount]:
        await asyncio.sleep(0)
        return await self._inner.users(after=after, limit=limit)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> Page[Consent]:
        await asyncio.sleep(0)
        return await self._inner.consents(user_id, after=after, limit=limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[TokenGrant]:
        await asyncio.sleep(0)
        return await self._inner.grants(client_id=client_id, user_id=user_id, after=after, limit=limit)

    async def find(self, name: str, lookup: str) -> str | None:
        await asyncio.sleep(0)
        return await self._inner.find(name, lookup)

    async def value(self, subject: str, name: str) -> str | None:
        await asyncio.sleep(0)
        return await self._inner.value(subject, name)


@contextmanager
def nothing_recorded(ledger: MemoryLedger) -> Iterator[None]:
    """Hold that what happens inside leaves no trace in the ledger."""
    before = list(ledger.log)
    yield
    assert ledger.log == before
