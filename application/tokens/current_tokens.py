"""The current tokens of a grant: derived from the grant, never stored."""

from msgspec import Struct

from grantledger.application.ports import TokenClaims, TokenSealer
from grantledger.domain.token_grant import TokenGrant


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


def current_tokens(sealer: TokenSealer, grant_id: str, grant: TokenGrant, *, now: int) -> Tokens:
    """Return the newest tokens of the grant. Parallel and retried requests get the same ones."""
    access = TokenClaims(
        key_id=grant.key_id,
        grant_id=grant_id,
        generation=grant.generation,
        expires_at=grant.access_expires_at,
        pair=grant.pair,
    )
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
        access_token=sealer.access_token(access, grant.nonce),
        refresh_token=refresh_token,
        expires_in=max(0, grant.access_expires_at - now),
        scopes=grant.current.scopes,
        resource=grant.current.resource,
    )
