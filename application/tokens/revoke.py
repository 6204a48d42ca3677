from msgspec import Struct

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.ports import Clock, DecisionReader, Ledger, TokenSealer
from grantledger.application.provenance import Caller, by_client, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.token_grant import GRANT, GrantUnknown


class Revocation(Struct, frozen=True, kw_only=True):
    """A revocation request (RFC 7009 section 2.1). A token shows its own type, so no hint is needed."""

    credentials: ClientCredentials
    token: str
    caller: Caller


class RevokeToken:
    """Revoke a refresh token with its whole grant, or an access token with the older ones of its grant."""

    def __init__(
        self,
        ledger: Ledger,
        facts: DecisionReader,
        authenticate: AuthenticateClient,
        sealer: TokenSealer,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._facts = facts
        self._authenticate = authenticate
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, request: Revocation) -> None:
        """Return once the token is refused everywhere. An unknown token needs no change.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `TokenBelongsToAnotherClient`.
        """
        await retry_on_conflict(lambda: self._revoke(request))

    async def _revoke(self, request: Revocation) -> None:
        sealed = self._sealer.read(request.token)
        facts = None if sealed is None else await self._facts.grant_facts(sealed.claims.grant_id)
        loaded = None if facts is None else facts.client.state
        client = await self._authenticate(request.credentials, request.caller, loaded)
        if sealed is None or facts is None:
            return
        grant = facts.grant
        if grant.state is None or not sealed.is_genuine(grant.state.nonce):
            return
        grant.state.check_belongs_to(client.client_id, client.registration)
        now = self._clock.now()
        if sealed.is_refresh_token:
            events = grant.state.revoke("revoked_by_client", now=now)
        else:
            events = grant.state.revoke_access(generation=sealed.claims.generation, now=now)
        if events:
            await self._ledger.record([grant.then(events)], by_client(client.client_id, request.caller))


class RevokeGrant:
    """Revoke a grant as an operator: every token of it is refused from now on."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, grant_id: str, caller: Caller) -> None:
        """Raises `GrantUnknown`."""
        await retry_on_conflict(lambda: self._revoke(grant_id, caller))

    async def _revoke(self, grant_id: str, caller: Caller) -> None:
        grant = await self._ledger.load(GRANT, grant_id)
        if grant.state is None:
            raise GrantUnknown(grant_id)
        events = grant.state.revoke("revoked_by_operator", now=self._clock.now())
        if events:
            await self._ledger.record([grant.then(events)], by_operator(caller))
