"""The current tokens of a grant: derived from the grant, never stored."""

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import AccessTokenClaims, AccessTokenSigner, TokenClaims, TokenSealer
from grantledger.domain.token_grant import TokenGrant
from grantledger.domain.user_account import UserAccount


class Tokens(Struct, frozen=True, kw_only=True):
    """A successful token response (OAuth 2.1 section 3.2.3). `expires_in` is the remaining seconds.

    `retried_elsewhere` is for the log alone: a retry from another network was recorded.
    """

    access_token: str
    refresh_token: str | None
    expires_in: int
    scopes: tuple[str, ...]
    resource: str
    id_token: str | None = None
    retried_elsewhere: bool = False


class CurrentTokens:
    """Return the newest tokens of a grant. The access token is opaque, or a JWT if the grant says so."""

    def __init__(self, sealer: TokenSealer, signer: AccessTokenSigner, policy: ServerPolicy) -> None:
        self._sealer = sealer
        self._signer = signer
        self._issuer = policy.issuer
        self._roles = policy.roles

    async def __call__(self, grant_id: str, grant: TokenGrant, user: UserAccount, *, now: int) -> Tokens:
        """Parallel and retried requests get the same tokens. Raises `Unavailable`.

        But the roles in a JWT are the user's present roles (ADR 0070).
        """
        if grant.signing_key is None:
            return current_tokens(self._sealer, grant_id, grant, now=now)
        held = self._roles.held(user.roles)
        claims = AccessTokenClaims(
            iss=self._issuer,
            sub=grant.user_id,
            aud=grant.current.resource,
            client_id=grant.client_id,
            iat=grant.issued_at,
            exp=grant.access_expires_at,
            jti=f"{grant_id}.{grant.generation}",
            scope=" ".join(grant.current.scopes),
            grant_id=grant_id,
            generation=grant.generation,
            roles=held.names,
            permissions=held.permissions,
        )
        signed = await self._signer.sign(claims, grant.signing_key)
        return current_tokens(self._sealer, grant_id, grant, signed=signed, now=now)


def current_tokens(
    sealer: TokenSealer, grant_id: str, grant: TokenGrant, *, signed: str | None = None, now: int
) -> Tokens:
    """Return the newest tokens of the grant, with the access token that was `signed` or an opaque one."""
    if signed is None:
        access = TokenClaims(
            key_id=grant.key_id,
            grant_id=grant_id,
            generation=grant.generation,
            expires_at=grant.access_expires_at,
            pair=grant.pair,
        )
        signed = sealer.access_token(access, grant.nonce)
    refresh_token = None
    if grant.refresh_expires_at is not None:
        refresh = TokenClaims(
            key_id=grant.key_id,
            grant_id=grant_id,
            generation=grant.generation,
            expires_at=grant.refresh_expires_at,
        )
        refresh_token = sealer.refresh_token(refresh, grant.nonce)
    return Tokens(
        access_token=signed,
        refresh_token=refresh_token,
        expires_in=max(0, grant.access_expires_at - now),
        scopes=grant.current.scopes,
        resource=grant.current.resource,
    )
