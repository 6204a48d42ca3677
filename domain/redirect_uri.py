"""Where an authorization response may be sent: OAuth 2.1 sections 2.3 and 8.4, RFC 8252 section 7."""

import enum
import re
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import known_clients
from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse
from grantledger.domain.limits import MAX_URI, is_longer
from grantledger.domain.refusal import Refusal

# A browser, or a program the browser starts, would run or read these instead of delivering a code.
_FORBIDDEN_SCHEMES = frozenset({"about", "blob", "data", "file", "javascript", "vbscript"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")


class RedirectUriForbidden(Refusal):
    """The redirect URI is dangerous, malformed or too long: the whole registration is refused."""


class RedirectUriMismatch(Refusal):
    """The presented redirect URI is not one that the client registered."""


class RedirectUriRequired(Refusal):
    """The client registered several redirect URIs and the request names none of them."""


class RedirectUriKind(enum.Enum):
    """What receives the response: a web site, a listener on this machine, or a program."""

    HTTPS = "https"
    LOOPBACK = "loopback"
    PRIVATE_USE = "private-use"


class RedirectUriPolicy(Struct, frozen=True):
    """What the operator adds to the rules."""

    # Exact URIs ("myapp://callback") or bare schemes ("myapp"), beside known clients and dotted schemes.
    private_use: tuple[str, ...] = ()
    # The server's own pages live under {issuer}/authorize.
    issuer: str = ""


def kind_of(uri: str, policy: RedirectUriPolicy) -> RedirectUriKind | None:
    """Say what a redirect URI to be registered leads to, or None when it is merely outside the policy.

    Raises `RedirectUriForbidden`. Private-use schemes belong to public clients only; the caller knows.
    """
    if is_longer(uri, MAX_URI):
        raise RedirectUriForbidden(f"is longer than {MAX_URI} bytes: {uri[:200]!r}")
    parts = _checked(uri)
    if policy.issuer and _is_own_page(parts, parse(policy.issuer)):
        raise RedirectUriForbidden(f"is one of this server's own pages: {uri!r}")
    if parts.scheme == "https":
        return RedirectUriKind.HTTPS
    if parts.scheme == "http":
        return RedirectUriKind.LOOPBACK if parts.is_loopback else None
    # RFC 8252 section 7.1: a scheme made from a domain name is its owner's, so no list is needed.
    if "." in parts.scheme or known_clients.answers_at(parts):
        return RedirectUriKind.PRIVATE_USE
    if uri in policy.private_use or parts.scheme in policy.private_use:
        return RedirectUriKind.PRIVATE_USE
    return None


def matches(registered: str, presented: str) -> bool:
    """Compare as exact strings, except for http on loopback (OAuth 2.1 sections 2.3.1 and 8.4.2).

    There the port is free, since a native app takes whichever it gets, and an empty path equals "/".
    Host and path still decide: `localhost` and `127.0.0.1` may lead to different listeners.
    """
    if registered == presented:
        return True
    try:
        ours, theirs = parse(registered), parse(presented)
    except UriMalformed:
        return False
    if ours.scheme != "http" or not ours.is_loopback:
        return False
    return _without_port(ours) == _without_port(theirs)


def choose(registered: tuple[str, ...], presented: str | None) -> str:
    """Return the URI to redirect to, as presented; the only registered one when none is presented.

    Raises `RedirectUriRequired` or `RedirectUriMismatch`: OAuth 2.1 section 2.3.2.
    """
    if presented is None:
        if len(registered) != 1:
            raise RedirectUriRequired
        return registered[0]
    if not any(matches(uri, presented) for uri in registered):
        raise RedirectUriMismatch(f"not registered: {presented[:200]!r}")
    return presented


def shown_host(uri: str) -> str:
    """Name the receiver for a person: "claude.ai", "[::1]", "cursor://anysphere.cursor-mcp", "com.example:".

    Raises `RedirectUriForbidden`.
    """
    parts = _checked(uri)
    if parts.is_web:
        return parts.host or ""
    if not parts.host:
        return f"{parts.scheme}:"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.host}{port}"


def is_loopback(uri: str) -> bool:
    """Whether any program on the user's machine could be the receiver, whatever the web scheme.

    Raises `RedirectUriForbidden`.
    """
    return _checked(uri).is_loopback


def checked_private_use(entry: str) -> str:
    """Return an operator's `RedirectUriPolicy.private_use` entry, or raise a ValueError that says why not."""
    if _SCHEME.fullmatch(entry):
        scheme = entry
    else:
        try:
            scheme = _checked(entry).scheme
        except RedirectUriForbidden as refusal:
            raise ValueError(f"a private-use redirect URI {refusal}") from None
    if scheme in _FORBIDDEN_SCHEMES or scheme in ("http", "https"):
        raise ValueError(f"a private-use redirect URI cannot have the scheme {scheme!r}")
    return entry


def _checked(uri: str) -> AbsoluteUri:
    quoted = repr(uri[:200])
    try:
        parts = parse(uri)
    except UriMalformed as malformed:
        raise RedirectUriForbidden(f"{malformed}: {quoted}") from None
    if parts.scheme in _FORBIDDEN_SCHEMES:
        raise RedirectUriForbidden(f"has a forbidden scheme: {quoted}")
    if parts.fragment is not None:
        raise RedirectUriForbidden(f"has a fragment: {quoted}")
    if parts.userinfo is not None:
        # https://claude.ai@evil.example/ reads like claude.ai.
        raise RedirectUriForbidden(f"has a user name: {quoted}")
    if parts.host != (parts.host and parts.host.lower()):
        raise RedirectUriForbidden(f"has a host in capitals: {quoted}")
    return parts


def _without_port(uri: AbsoluteUri) -> AbsoluteUri:
    return replace(uri, port=None, path=uri.path or "/")


def _is_own_page(uri: AbsoluteUri, issuer: AbsoluteUri) -> bool:
    # Host, not origin: cookies know no ports. On http loopback the ones of a sign-in would reach the
    # client's own listener on another port of this host, which could then approve itself.
    # All names of loopback are one machine, and the browser can be sent to the pages by any of them.
    same_host = uri.host == (issuer.host or "").lower() or (uri.is_loopback and issuer.is_loopback)
    if not uri.is_web or not same_host:
        return False
    pages = issuer.path.rstrip("/") + "/authorize/"
    return (re.sub("/+", "/", unquote(uri.path)) + "/").startswith(pages)
