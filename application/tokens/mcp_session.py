"""What a guard learns from an access token, and passes to the code behind it."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct


class SessionUser(Struct, frozen=True, kw_only=True):
    """The personal data that the scopes `email` and `profile` grant. What is unknown or erased is None."""

    email: str | None = None
    email_verified: bool | None = None
    name: str | None = None


class McpSession(Struct, frozen=True, kw_only=True):
    """A verified access token.

    `expires_at` is in seconds since 1970, UTC. `user_id` is None for a machine, whose token is for the client
    itself. `user` is None if no scope grants personal data. `roles` and `permissions` are empty if the issuer
    names none. `claims` are what the issuer says about the token, named as in RFC 7519 and RFC 9068. There is
    no refresh token, and `repr` omits the access token.
    """

    access_token: str
    expires_at: int
    client_id: str
    user_id: str | None
    user: SessionUser | None = None
    scopes: tuple[str, ...]
    resource: str
    claims: Mapping[str, Any] = {}
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    subject_type: Literal["user", "machine"] = "user"
    # None if the issuer does not say.
    grant_id: str | None = None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"McpSession({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Name the fields for `rich`, whose tracebacks show local variables."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name != "access_token"]


def token_claims(
    *,
    issuer: str,
    subject: str,
    resource: str,
    client_id: str,
    scopes: tuple[str, ...],
    expires_at: int,
    issued_at: int | None = None,
    roles: tuple[str, ...] = (),
    permissions: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the claims that every session has, however its token was verified. `iat` may be unknown."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": subject,
        "aud": resource,
        "client_id": client_id,
        "scope": " ".join(scopes),
        "exp": expires_at,
    }
    if issued_at is not None:
        claims["iat"] = issued_at
    if roles:
        claims["roles"] = list(roles)
    if permissions:
        claims["permissions"] = list(permissions)
    return claims
