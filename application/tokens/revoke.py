from msgspec import Struct

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.ports import Clock, Ledger
from grantledger.application.provenance import Caller, by_client, by_operator
from grantledger.application.retry import retry_on_conflict
from grantledger.application.tokens.find_token import FindToken
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
        find_token: FindToken,
        authenticate: AuthenticateClient,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._find_token = find_token
        self._authenticate = authenticate
        self._clock = clock

    async def __call__(self, request: Revocation) -> None:
        """Return once the token is refused everywhere. For an unknown token nothing needs to be done.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `TokenBelongsToAnotherClient`.
        """
        await retry_on_conflict(lambda: self._revoke(request))

    async def _revoke(self, request: Revocation) -> None:
        found = await self._find_token(request.token)
        loaded = None if found is None else found.facts.client.state
        client = await self._authenticate(request.credentials, request.caller, loaded)
        if found is None:
            return
        found.grant.check_belongs_to(client.client_id, client.registration)
        now = self._clock.now()
        if found.is_refresh_token:
            events = found.grant.revoke("revoked_by_client", now=now)
        else:
            events = found.grant.revoke_access(generation=found.generation, now=now)
        if events:
            await self._ledger.record(
                [found.facts.grant.then(events)], by_client(client.client_id, request.caller)
            )


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
