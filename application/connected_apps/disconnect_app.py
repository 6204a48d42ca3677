from typing import Any

from grantledger.application.ports import Clock, Ledger, Listings
from grantledger.application.provenance import Caller, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Change
from grantledger.domain.consent import CONSENT, consent_key


class DisconnectApp:
    """Take back all that a user allowed a client: its tokens die at once, and it has to ask again.

    Revoking and withdrawing is one append, so that a client with up to 200 grants loses all or none.
    """

    def __init__(self, ledger: Ledger, listings: Listings, clock: Clock) -> None:
        self._ledger = ledger
        self._listings = listings
        self._clock = clock

    async def __call__(self, user_id: str, client_id: str, caller: Caller) -> None:
        """Return when nothing is left of it, also where there was nothing."""
        # Looked for once more when the withdrawal stands: whoever redeems a code at this moment reads the
        # consent after their grant is there, so either they see the withdrawal or this sees the grant.
        while await retry_on_conflict(lambda: self._disconnect(user_id, client_id, caller)):
            pass

    async def _disconnect(self, user_id: str, client_id: str, caller: Caller) -> bool:
        """Return whether there was anything to end."""
        consent = await self._ledger.load(CONSENT, consent_key(user_id, client_id))
        now = self._clock.now()
        changes: list[Change[Any]] = []
        if consent.state is not None:
            changes.append(consent.then(consent.state.withdraw(now=now)))
        by = by_user(user_id, caller, client_id=client_id)
        after: str | None = None
        ended = False
        while True:
            page = await self._listings.grants(client_id=client_id, user_id=user_id, after=after)
            changes += [
                grant.then(grant.state.revoke("revoked_by_user", now=now))
                for grant in page.items
                if grant.state is not None
            ]
            await self._ledger.record(changes, by)
            ended = ended or any(change.events for change in changes)
            if page.after is None:
                return ended
            after, changes = page.after, []


class DisconnectEveryApp:
    """Take back all that a user allowed anybody, whatever came of it."""

    def __init__(self, listings: Listings, disconnect: DisconnectApp) -> None:
        self._listings = listings
        self._disconnect = disconnect

    async def __call__(self, user_id: str, caller: Caller) -> None:
        after: str | None = None
        while True:
            page = await self._listings.consents(user_id, after=after)
            for consent in page.items:
                if consent.state is not None:
                    await self._disconnect(user_id, consent.state.client_id, caller)
            if page.after is None:
                return
            after = page.after
