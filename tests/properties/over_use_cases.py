"""What all machines share over the use cases: one client and one user, on a separate ledger."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from grantledger.adapters.http.errors import wire_error
from grantledger.application.policy import ServerPolicy
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.refusal import Refusal
from support.many_ledgers import Storages
from support.storage import CountingLedger
from support.story import CALLER, EMAIL, PASSWORD, Story
from support.use_cases import Outside

T = TypeVar("T")

FOREVER = 10**9


class OverUseCases:
    """Parallel requests interleave at every read and write."""

    email = EMAIL

    def __init__(self, storages: Storages, policy: ServerPolicy, **members: Any) -> None:
        """`members` are the metadata in which the client differs from the usual one."""
        self._runner = asyncio.Runner()
        self._outside = Outside()
        self._storage = storages(self._outside.clock.now)
        self._policy = replace(policy, browser_session_lifetime=FOREVER)
        self._members = members
        self.run(self._begin())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def advance(self, seconds: int) -> None:
        self.story.clock.advance(seconds)

    def disable_client(self) -> None:
        self.run(self.story.disable_client(self.client.client_id, CALLER))

    def delete_client_and_register_again(self) -> None:
        self.run(self._register_again())

    def disable_user(self) -> None:
        self.run(self.story.disable_user(self.session.user_id, CALLER))

    def recorded(self, tag: str) -> int:
        """Count the events with that tag."""
        return self._ledger.tags[tag]

    def close(self) -> None:
        self.run(self._storage.__aexit__(None, None, None))
        self._runner.close()

    async def _begin(self) -> None:
        self._ledger = CountingLedger(await self._storage.__aenter__())
        self.story = Story(self._ledger, self._policy, self._outside)
        self.client: ClientRegistration = (await self.story.registers(**self._members)).client
        await self.story.open_account(self.email, PASSWORD, CALLER)
        self.session = await self.story.signs_in(self.email)

    async def _register_again(self) -> None:
        await self.story.delete_client(self.client.client_id, CALLER)
        self.client = (await self.story.registers(**self._members)).client


def error_code(refusal: Refusal) -> str:
    """Return the error code that a client gets."""
    return wire_error(refusal).code
