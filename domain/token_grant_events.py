"""What can happen to a token grant."""

from msgspec import Struct


class GrantOpened(Struct, frozen=True, kw_only=True, tag="token_grant.opened.v1"):
    """A code was redeemed, and the first tokens issued.

    `nonce` and `key_id` are what all tokens of the grant are derived with, beside the master secret.
    """

    client_id: str
    client_registration: int
    user_id: str
    code_key: str
    resource: str
    scopes: tuple[str, ...]
    nonce: str
    key_id: str
    opened_at: int
    access_expires_at: int
    refresh_expires_at: int | None = None
    expires_at: int | None = None


class GrantRefreshed(Struct, frozen=True, kw_only=True, tag="token_grant.refreshed.v1"):
    """A refresh token was traded for the next `generation`, with all that was consented to or less."""

    generation: int
    resource: str
    scopes: tuple[str, ...]
    key_id: str
    refreshed_at: int
    access_expires_at: int
    refresh_expires_at: int


class RefreshTokenReused(Struct, frozen=True, kw_only=True, tag="token_grant.refresh_token_reused.v1"):
    """A refresh token of an older `generation` came back too late to be a retry.

    The grant is revoked with it.
    """

    generation: int
    reused_at: int


class AccessTokensRevoked(Struct, frozen=True, kw_only=True, tag="token_grant.access_tokens_revoked.v1"):
    """The access tokens of this generation and of all before it are refused. The refresh token is not."""

    through_generation: int
    revoked_at: int


class GrantRevoked(Struct, frozen=True, kw_only=True, tag="token_grant.revoked.v1"):
    """Every token of the grant is refused from now on.

    `reason` is a word of ours, such as `code_replayed`.
    """

    reason: str
    revoked_at: int


Event = GrantOpened | GrantRefreshed | RefreshTokenReused | AccessTokensRevoked | GrantRevoked
