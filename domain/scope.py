"""What a token may be used for: RFC 6749 section 3.3."""

import re
from collections.abc import Collection, Iterable

from grantledger.domain.limits import MAX_SCOPE, is_longer
from grantledger.domain.refusal import Refusal

OPENID = "openid"
"""What earns an ID token (OpenID Connect Core section 3.1.2.1)."""

EMAIL = "email"

_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class ScopeInvalid(Refusal):
    """None of the requested scopes is known here."""


class ScopeTooLong(ScopeInvalid):
    """The scopes together are longer than 1024 bytes."""


class ScopeWidened(ScopeInvalid):
    """A scope is requested that the grant does not hold."""


def split(scope: str | None) -> tuple[str, ...]:
    """Return the scope tokens in order, each once.

    Any whitespace separates: clients send leading and doubled spaces. What cannot be a token drops out.
    """
    return tuple(dict.fromkeys(filter(_TOKEN.fullmatch, (scope or "").split())))


def checked_token(token: str) -> str:
    """Return a configured scope token as it is, or raise a ValueError with a sentence."""
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"scope {token!r} must be ASCII without space, quote and backslash")
    return token


def join(scopes: Iterable[str]) -> str:
    """Write scope tokens as one `scope` parameter."""
    return " ".join(scopes)


def requested(scope: str | None, *, known: Collection[str], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to ask the user for: the known part of the request, or the default if it names nothing.

    Unknown scopes drop out, since clients guess them; the answer's `scope` says what was granted.
    Raises `ScopeTooLong`, and `ScopeInvalid` when none is left.
    """
    if _is_blank(scope):
        return default
    _check_length(scope)
    kept = tuple(token for token in split(scope) if token in known)
    if not kept:
        raise ScopeInvalid
    return kept


def narrowed(scope: str | None, *, granted: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    """Return the part of a grant that a refresh asks for, in the grant's order: RFC 6749 section 6.

    Raises `ScopeTooLong`, `ScopeWidened` for a known scope that was not granted, and `ScopeInvalid` when
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
