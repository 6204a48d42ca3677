"""Make a session from the claims of a token (RFC 7662 section 2.2, RFC 9068 section 2.2)."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from grantledger.adapters.guards.token_cache import TokenRefused
from grantledger.application.tokens.mcp_session import McpSession, SessionUser
from grantledger.domain.resource_indicator import same
from grantledger.domain.scope import EMAIL, PROFILE

LEEWAY = 30
"""Seconds by which the clocks of the issuer and of this machine may differ."""

_END_OF_TIME = 1e15
"""Seconds since 1970. A number beyond it is no time, and arithmetic with it may overflow."""


def session_of_claims(claims: Mapping[str, Any], *, issuer: str, resource: str, now: float) -> McpSession:
    """Return the session, without its token. Raises `TokenRefused`.

    A token must name this issuer, this resource as its audience, a client and an expiry. It must not be bound
    to a key (`cnf`, RFC 7800).
    """
    if claims.get("iss") != issuer:
        raise TokenRefused("of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(one, str) and same(one, resource) for one in audiences):
        raise TokenRefused("for another audience")
    expires_at, not_before = claims.get("exp"), claims.get("nbf", 0)
    if not _is_time(expires_at) or now >= expires_at + LEEWAY:
        raise TokenRefused("expired")
    if not _is_time(not_before) or now < not_before - LEEWAY:
        raise TokenRefused("not yet valid")
    # RFC 9449 section 7.2: the thief of such a token must not be able to use it as a Bearer token.
    if claims.get("cnf") is not None:
        raise TokenRefused("bound to a key, which no guard checks")
    client_id, subject = claims.get("client_id"), claims.get("sub")
    if not isinstance(client_id, str) or not client_id:
        raise TokenRefused("without a client")
    if subject is not None and (not isinstance(subject, str) or not subject):
        raise TokenRefused("with a malformed subject")
    # RFC 9068 section 2.2: the subject is the client if no user is involved.
    is_machine = subject is None or subject == client_id
    scopes = scopes_of(claims.get("scope", ""))
    grant_id = claims.get("grant_id")
    return McpSession(
        access_token="",
        expires_at=int(expires_at),
        client_id=client_id,
        user_id=None if is_machine else subject,
        user=user_of(claims, scopes),
        scopes=scopes,
        resource=resource,
        claims=claims,
        roles=_names(claims, "roles"),
        permissions=_names(claims, "permissions"),
        subject_type="machine" if is_machine else "user",
        grant_id=grant_id if isinstance(grant_id, str) else None,
    )


def scopes_of(scope: Any) -> tuple[str, ...]:
    """Return the scopes of a claim that is a string or a list of strings. Raises `TokenRefused`."""
    scopes = scope.split() if isinstance(scope, str) else scope
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes):
        raise TokenRefused("with a malformed scope")
    return tuple(scopes)


def user_of(claims: Mapping[str, Any], scopes: tuple[str, ...]) -> SessionUser | None:
    """Return the personal data that the scopes grant, None if they grant none."""
    if EMAIL not in scopes and PROFILE not in scopes:
        return None
    email = _text(claims, "email") if EMAIL in scopes else None
    verified = claims.get("email_verified")
    return SessionUser(
        email=email,
        email_verified=verified if email is not None and isinstance(verified, bool) else None,
        name=_text(claims, "name") if PROFILE in scopes else None,
    )


def _names(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the strings of a claim. A claim in another form must allow nothing, so it gives none."""
    names = claims.get(name)
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        return ()
    return tuple(names)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _is_time(value: Any) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < _END_OF_TIME  # false for NaN and infinity
