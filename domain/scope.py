"""Scopes: RFC 6749 section 3.3."""

import re
from collections.abc import Collection, Iterable

from grantledger.domain.limits import MAX_SCOPE, is_longer
from grantledger.domain.refusal import Refusal

OPENID = "openid"
"""The scope that asks for an ID token (OpenID Connect Core section 3.1.2.1)."""

OFFLINE_ACCESS = "offline_access"
"""The scope that asks for a refresh token (OpenID Connect Core section 11)."""

PROFILE = "profile"
"""The scope that gives the claim `name`."""

EMAIL = "email"
"""The scope that gives the claims `email` and `email_verified`."""

ROLES = "roles"
"""The scope that gives the claims `roles` and `permissions` in the ID token and UserInfo."""

_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class ScopeInvalid(Refusal):
    """None of the requested scopes can be granted."""


class ScopeTooLong(ScopeInvalid):
    """The scope parameter is longer than 1024 bytes."""


class ScopeWidened(ScopeInvalid):
    """A requested scope was not granted."""


def split(scope: str | None) -> tuple[str, ...]:
    """Return the scope tokens in order, without duplicates and malformed tokens.

    Any whitespace separates tokens, because clients send leading and doubled spaces.
    """
    return tuple(dict.fromkeys(filter(_TOKEN.fullmatch, (scope or "").split())))


def checked_token(token: str) -> str:
    """Return a configured scope token as it is, or raise a ValueError with the reason."""
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"scope {token!r} must be ASCII without space, quote and backslash")
    return token


def join(scopes: Iterable[str]) -> str:
    """Return the scope tokens as one `scope` parameter."""
    return " ".join(scopes)


def requested(scope: str | None, *, known: Collection[str], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes to ask the user for: the known ones of the request, or the default ones.

    The default is for a request that names no scope. Unknown scopes are dropped, because clients guess
    scopes; the token response says which were granted.
    Raises `ScopeTooLong`, and `ScopeInvalid` if none is left.
    """
    _check_length(scope)
    wanted = default if _is_blank(scope) else split(scope)
    kept = tuple(token for token in wanted if token in known)
    if not kept:
        raise ScopeInvalid
    return kept


def narrowed(scope: str | None, *, granted: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    """Return the granted scopes that a refresh asks for, in the grant's order: RFC 6749 section 6.

    Raises `ScopeTooLong`, `ScopeWidened` for a known scope that was not granted, and `ScopeInvalid` if
    none is left.
    """
    if _is_blank(scope):
        return granted
    _check_length(scope)
    wanted = split(scope)
    for token in wanted:
        if token in known and token not in granted:
            raise ScopeWidened(f"not granted: {token[:200]!r}")
    kept = tuple(token for token in granted if token in wanted)
    if not kept:
        raise ScopeInvalid
    return kept


def _check_length(scope: str | None) -> None:
    """Raises `ScopeTooLong`."""
    if scope is not None and is_longer(scope, MAX_SCOPE):
        raise ScopeTooLong


def _is_blank(scope: str | None) -> bool:
    return scope is None or not scope.strip()
