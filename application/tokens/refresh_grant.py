from msgspec import Struct

from grantledger.application.clients.authenticate_client import (
    AuthenticateClient,
    ClientCredentials,
)
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, GrantReader, Ledger, TokenSealer
from grantledger.application.provenance import Caller, by_client
from grantledger.application.retry import retry_on_conflict
from grantledger.application.tokens.current_tokens import Tokens, current_tokens
from grantledger.domain.token_grant import (
    Narrowing,
    RefreshTokenAlreadyUsed,
    RefreshTokenReused,
    RefreshTokenUnknown,
)
from grantledger.domain.user_account import UserIsDisabled


class Refresh(Struct, frozen=True, kw_only=True):
    """A token request with `grant_type=refresh_token` (OAuth 2.1 section 4.3.1)."""

    credentials: ClientCredentials
    refresh_token: str
    scope: str | None
    resources: tuple[str, ...]
    caller: Caller


class RefreshGrant:
    """Exchange a refresh token for the next tokens of its grant.

    Parallel and retried requests with one refresh token all get the same tokens, within the reuse window.
    After the window, the refresh token is refused as a reuse and its grant is revoked.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        grants: GrantReader,
        authenticate: AuthenticateClient,
        sealer: TokenSealer,
        clock: Clock,
        policy: ServerPolicy,
    ) -> None:
        self._ledger = ledger
        self._grants = grants
        self._authenticate = authenticate
        self._sealer = sealer
        self._clock = clock
        self._lifetimes = policy.lifetimes
        self._known_scopes = frozenset(policy.known_scopes)

    async def __call__(self, request: Refresh) -> Tokens:
        """Return the current tokens of the grant.

        Raises `ClientUnknown`, `ClientAuthenticationFailed`, `ClientIsDisabled`, `UserIsDisabled`,
        `RefreshTokenAlreadyUsed` and the refusals of `TokenGrant.refresh`.
        """
        return await retry_on_conflict(lambda: self._refresh(request))

    async def _refresh(self, request: Refresh) -> Tokens:
        client = await self._authenticate(request.credentials, request.caller)
        sealed = self._sealer.read(request.refresh_token)
        if sealed is None or not sealed.is_refresh_token:
            raise RefreshTokenUnknown
        standing = await self._grants.standing(sealed.claims.grant_id)
        if (
            standing is None
            or standing.grant.state is None
            or not sealed.is_genuine(standing.grant.state.nonce)
        ):
            raise RefreshTokenUnknown
        grant = standing.grant.state
        grant.check_belongs_to(client.client_id, client.registration)
        client.check_usable()
        if standing.user is None:
            raise UserIsDisabled
        standing.user.check_usable()
        now = self._clock.now()
        events = grant.refresh(
            client_id=client.client_id,
            client_registration=client.registration,
            generation=sealed.claims.generation,
            asked=Narrowing(
                scope=request.scope, resources=request.resources, known_scopes=self._known_scopes
            ),
            key_id=self._sealer.key_id,
            lifetimes=self._lifetimes,
            now=now,
        )
        if events:
            await self._ledger.record(
                [standing.grant.then(events)], by_client(client.client_id, request.caller)
            )
        if any(isinstance(event, RefreshTokenReused) for event in events):
            raise RefreshTokenAlreadyUsed
        after = standing.grant.evolved(events).state
        assert after is not None
        return current_tokens(self._sealer, standing.grant.key, after, now=now)
