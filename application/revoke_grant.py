from msgspec.structs import replace

from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Provenance
from grantledger.application.races import settle
from grantledger.domain.token_grant import GRANT, GrantUnknown

_REASONS = {"user": "revoked_by_user", "operator": "revoked_by_operator"}


class RevokeGrant:
    """Refuse every token of a grant from now on, because its user or an operator says so."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, grant_id: str, by: Provenance) -> None:
        """Revoke it; one that is revoked already stays as it is.

        `by` is an operator, or the user whose grant it is: to others it is as unknown as one that never was.
        Raises `GrantUnknown`.
        """
        await settle(lambda: self._revoke(grant_id, by))

    async def _revoke(self, grant_id: str, by: Provenance) -> None:
        grant = await self._ledger.load(GRANT, grant_id)
        if grant.state is None or (by.actor_kind == "user" and by.actor_id != grant.state.user_id):
            raise GrantUnknown(grant_id)
        events = grant.state.revoke(_REASONS[by.actor_kind], now=self._clock.now())
        if events:
            # Of the grant's client, whoever acts: so that the client's audit shows it.
            await self._ledger.record([grant.then(events)], replace(by, client_id=grant.state.client_id))
