from msgspec import Struct
from msgspec.structs import replace

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.ports import Clock, Ledger, TokenSealer
from grantledger.application.provenance import Caller, Provenance, by_client
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.token_grant import GRANT, GrantUnknown


class Revocation(Struct, frozen=True, kw_only=True):
    """A revocation request (RFC 7009 section 2.1). Tokens tell their own kind: a hint is not needed."""

    credentials: ClientCredentials
    token: str
    caller: Caller


class RevokeToken:
    """Refuse a token: a refresh token with its whole grant, an access token with the older ones."""

    def __init__(
        self, ledger: Ledger, authenticate: AuthenticateClient, sealer: TokenSealer, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._authenticate = authenticate
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, request: Revocation) -> None:
        """Return when the token is refused everywhere; one that we do not know is that already.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `TokenBelongsToAnotherClient`.
        """
        await retry_on_conflict(lambda: self._revoke(request))

    async def _revoke(self, request: Revocation) -> None:
        client = await self._authenticate(request.credentials, request.caller)
        sealed = self._sealer.read(request.token)
        if sealed is None:
            return
        grant = await self._ledger.load(GRANT, sealed.claims.grant_id)
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
        await retry_on_conflict(lambda: self._revoke(grant_id, by))

    async def _revoke(self, grant_id: str, by: Provenance) -> None:
        grant = await self._ledger.load(GRANT, grant_id)
        if grant.state is None or (by.actor_kind == "user" and by.actor_id != grant.state.user_id):
            raise GrantUnknown(grant_id)
        events = grant.state.revoke(_REASONS[by.actor_kind], now=self._clock.now())
        if events:
            # Of the grant's client, whoever acts: so that the client's audit shows it.
            await self._ledger.record([grant.then(events)], replace(by, client_id=grant.state.client_id))
