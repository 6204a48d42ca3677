"""Deletion of clients that were never used."""

import asyncio
from contextlib import suppress

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Listings, Unavailable
from grantledger.application.provenance import Caller, Provenance, by_operator, by_system
from grantledger.application.retry import retry_on_conflict

FIRST_AFTER = 60.0
PAUSE = 3_600.0
"""Seconds from the start of a server to the first deletion, and from one deletion to the next."""


class PruneClients:
    """Delete clients that were never used: they registered long ago, and no user has given them access.

    Registration is open, so such clients pile up. Clients that an operator has approved or disabled are kept.
    A deleted client may register again.
    """

    def __init__(self, ledger: Ledger, listings: Listings, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._listings = listings
        self._clock = clock
        self._unused_for = policy.unused_client_lifetime

    async def __call__(self, caller: Caller, *, unused_for: int) -> list[str]:
        """Delete clients that registered over `unused_for` seconds ago, for an operator. Return their ids."""
        return await self._prune(unused_for, by_operator(caller))

    async def run(self) -> None:
        """Delete them every hour until the task is cancelled, unless the setting is off."""
        if self._unused_for is None:
            return
        await asyncio.sleep(FIRST_AFTER)
        while True:
            with suppress(Unavailable):  # in an outage, try again at the next run
                await self._prune(self._unused_for, by_system(Caller(correlation_id="prune-clients")))
            await asyncio.sleep(PAUSE)

    async def _prune(self, unused_for: int, by: Provenance) -> list[str]:
        before = self._clock.now() - unused_for
        deleted: list[str] = []
        while some := await retry_on_conflict(lambda: self._delete_some(before, by)):
            deleted += some
        return deleted

    async def _delete_some(self, before: int, by: Provenance) -> list[str]:
        now = self._clock.now()
        changes = [
            client.then(client.state.delete(now=now))
            for client in await self._listings.unused_clients(before)
            if client.state is not None
        ]
        await self._ledger.record(changes, by)
        return [change.key for change in changes]
