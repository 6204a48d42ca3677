from typing import Any

from grantledger.application.ports import Clock, Ledger, Listings
from grantledger.application.provenance import Caller, Provenance, by_operator, by_user
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Change
from grantledger.domain.consent import CONSENT, consent_key


class DisconnectApp:
    """Withdraw a user's consent for a client and revoke its grants of this user.

    Both are one append, so that either all grants are revoked or none, for up to 200 grants.
    """

    def __init__(self, ledger: Ledger, listings: Listings, clock: Clock) -> None:
        self._ledger = ledger
        self._listings = listings
        self._clock = clock

    async def __call__(self, user_id: str, client_id: str, caller: Caller) -> None:
        """Return once the consent is withdrawn and every grant of the user to the client is revoked."""
        await self.disconnect(user_id, client_id, by_user(user_id, caller))

    async def disconnect(self, user_id: str, client_id: str, by: Provenance) -> None:
        """Disconnect the app. `by` names the user or an operator as the actor of the events."""
        # List again after the commit: a parallel redemption may have opened a grant after the first listing.
        # A redemption asserts the version of the consent, so none can open a grant after the withdrawal is
        # committed.
        while await retry_on_conflict(lambda: self._disconnect(user_id, client_id, by)):
            pass

    async def _disconnect(self, user_id: str, client_id: str, by: Provenance) -> bool:
        """Return whether anything was withdrawn or revoked."""
        consent = await self._ledger.load(CONSENT, consent_key(user_id, client_id))
        now = self._clock.now()
        changes: list[Change[Any]] = []
        if consent.state is not None:
            changes.append(consent.then(consent.state.withdraw(now=now)))
        reason = "revoked_by_operator" if by.actor_kind == "operator" else "revoked_by_user"
        after: str | None = None
        ended = False
        while True:
            page = await self._listings.grants(client_id=client_id, user_id=user_id, after=after)
            changes += [
                grant.then(grant.state.revoke(reason, now=now))
                for grant in page.items
                if grant.state is not None
            ]
            await self._ledger.record(changes, by)
            ended = ended or any(change.events for change in changes)
            if page.after is None:
                return ended
            after, changes = page.after, []


class DisconnectEveryApp:
    """Withdraw a user's consent for every client and revoke all grants of this user."""

    def __init__(self, listings: Listings, disconnect: DisconnectApp) -> None:
        self._listings = listings
        self._disconnect = disconnect

    async def __call__(self, user_id: str, caller: Caller) -> None:
        await self._every(user_id, by_user(user_id, caller))

    async def as_operator(self, user_id: str, caller: Caller) -> None:
        """Disconnect every app of the user. The events name the operator as the actor."""
        await self._every(user_id, by_operator(caller))

    async def _every(self, user_id: str, by: Provenance) -> None:
        after: str | None = None
        while True:
            page = await self._listings.consents(user_id, after=after)
            for consent in page.items:
                if consent.state is not None:
                    client_id = consent.state.client_id
                    await self._disconnect.disconnect(user_id, client_id, by)
            if page.after is None:
                return
            after = page.after
