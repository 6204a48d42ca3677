"""Resource indicators: which MCP server a token is for (RFC 8707).

A grant is for one resource. A request may name several, because the parameter may be repeated.
"""

import re

from msgspec import Struct

from grantledger.domain.absolute_uri import UriMalformed, parse
from grantledger.domain.refusal import Refusal

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([A-Za-z0-9.\-\[\]:]+)((?:[/?#].*)?)")


class ResourceForeign(Refusal):
    """The requested resource is not configured, or not the one that was granted."""


class Resource(Struct, frozen=True):
    """A protected MCP server: its identifier, its name for users, and its own scopes.

    `access_token_expires_in` shortens the lifetime of its access tokens, in seconds. `jwt` is the algorithm
    that signs its access tokens as JWTs (RFC 9068), or None if they are opaque.
    """

    identifier: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    access_token_expires_in: int | None = None
    jwt: str | None = None


def same(a: str, b: str) -> bool:
    """Whether two identifiers name the same resource.

    They are compared as strings, except for what URL libraries change: a lone slash after the host, the case
    of scheme and host, and a default port.
    """
    return _normal(a) == _normal(b)


def differ_by_a_slash(a: str, b: str) -> bool:
    """Whether two identifiers name different resources, but differ only by a slash at the end."""
    return not same(a, b) and same(a.removesuffix("/"), b.removesuffix("/"))


def checked_identifier(identifier: str) -> str:
    """Return a configured identifier as it is, or raise a ValueError with the reason: RFC 8707 section 2."""
    try:
        uri = parse(identifier)
    except UriMalformed as malformed:
        raise ValueError(f"resource {identifier!r} {malformed}") from None
    if uri.scheme != "https" and not uri.is_loopback:
        raise ValueError(f"resource {identifier!r} must be https, or http on loopback")
    if uri.userinfo is not None or uri.query is not None or uri.fragment is not None:
        raise ValueError(f"resource {identifier!r} must have no user name, query or fragment")
    return identifier


def resolve(presented: tuple[str, ...], *, configured: tuple[str, ...]) -> str:
    """Return the requested resource as it is configured, or the first configured one by default.

    Some clients append a slash to the identifier. The slash is ignored, unless both forms are configured.
    Raises `ResourceForeign`.
    """
    if not presented:
        return configured[0]
    for names in (presented, tuple(name.removesuffix("/") for name in presented)):
        for identifier in configured:
            if all(same(identifier, name) for name in names):
                return identifier
    raise ResourceForeign(f"requested: {presented[0][:200]!r}")


def narrowed(presented: tuple[str, ...], *, granted: str) -> str:
    """Return the granted resource if a token request names it or names no resource (RFC 8707 section 2.2).

    Raises `ResourceForeign`.
    """
    return resolve(presented, configured=(granted,))


def _normal(identifier: str) -> str:
    parts = _ORIGIN.fullmatch(identifier)
    if parts is None:
        return identifier
    scheme, authority, rest = parts[1].lower(), parts[2].lower(), parts[3]
    origin = f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"
    return origin if rest == "/" else origin + rest
