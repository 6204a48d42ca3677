from msgspec import Struct

from grantledger.application.ports import Clock, GrantReader, TokenSealer
from grantledger.domain import resource_indicator
from grantledger.domain.client_registration import ClientUnknown
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import UserIsDisabled


class AccessTokenUnknown(Refusal):
    """The token is not an access token of this server."""


class AccessTokenForAnotherResource(Refusal):
    """The access token is for another resource."""


class McpSession(Struct, frozen=True, kw_only=True):
    """What a resource server learns from an access token. `expires_at` is in seconds since 1970, UTC."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    resource: str
    expires_at: int
    grant_id: str


class LookUpSession:
    """Find the user, client and scopes of an access token. Revocations and disabling count at once."""

    def __init__(self, grants: GrantReader, sealer: TokenSealer, clock: Clock) -> None:
        self._grants = grants
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        """Return the session; with `resource`, only if the token is for it (RFC 8707).

        Raises `AccessTokenUnknown`, `AccessTokenForAnotherResource`, `ClientUnknown`, `ClientIsDisabled`,
        `UserIsDisabled` and the refusals of `TokenGrant.check_access`.
        """
        sealed = self._sealer.read(access_token)
        if sealed is None or sealed.is_refresh_token:
            raise AccessTokenUnknown
        claims = sealed.claims
        standing = await self._grants.standing(claims.grant_id)
        if (
            standing is None
            or standing.grant.state is None
            or not sealed.is_genuine(standing.grant.state.nonce)
        ):
            raise AccessTokenUnknown
        grant = standing.grant.state
        access = grant.check_access(
            generation=claims.generation,
            pair=claims.pair,
            expires_at=claims.expires_at,
            now=self._clock.now(),
        )
        if standing.client is None:
            raise ClientUnknown(grant.client_id)
        standing.client.check_usable(grant.client_registration)
        if standing.user is None:
            raise UserIsDisabled(grant.user_id)
        standing.user.check_usable()
        if resource is not None and not resource_indicator.same(resource, access.resource):
            raise AccessTokenForAnotherResource
        return McpSession(
            user_id=grant.user_id,
            client_id=grant.client_id,
            scopes=access.scopes,
            resource=access.resource,
            expires_at=claims.expires_at,
            grant_id=claims.grant_id,
        )
