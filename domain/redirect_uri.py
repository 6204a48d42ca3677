"""Where an authorization response may be sent: OAuth 2.1 sections 2.3 and 8.4, RFC 8252 section 7.

A client may register (`kind_of`):

- `https` with any host, and `http` on loopback with any port;
- private-use schemes that contain a dot, such as `com.example.app:/callback`;
- the private-use URIs of well-known MCP clients, listed in this module;
- the private-use URIs and schemes that the operator adds.

If one URI is dangerous, malformed or a page of this server, the whole registration is refused. A host with a
capital letter or an underscore is legal, but browsers write hosts in lower case, and public certificates have
no names with an underscore. Such a URI is left out of the registration.
"""

import enum
import re
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse
from grantledger.domain.limits import MAX_URI, is_longer
from grantledger.domain.refusal import Refusal

# A browser, or a program that it starts, would run or read these instead of delivering a code.
_FORBIDDEN_SCHEMES = frozenset({"about", "blob", "data", "file", "javascript", "vbscript"})
# Well-known MCP clients. These editors pass `scheme://publisher.extension/path` to that extension. The path
# differs by extension and MCP server (Cline ends it with a digest of the server's URL, older Cursors put a
# user's name in it), so a list of exact URIs would not last. Cursor's own is
# cursor://anysphere.cursor-mcp/oauth/callback.
_EDITORS = frozenset({"cursor", "vscode", "vscode-insiders", "vscodium", "windsurf"})
# Where well-known clients receive responses. These addresses belong to their makers, so a response may be
# redirected there before the user has clicked. For VS Code and for Cursor, one of the addresses is a page
# that opens the editor.
_WELL_KNOWN = frozenset(
    {
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "zed://oauth/callback",
    }
)
_CHATGPT_CONNECTOR = re.compile(r"https://chatgpt\.com/connector/oauth/[A-Za-z0-9_-]{1,128}")
# Zed receives responses on loopback today; this is the URI that servers list for it.
_EXACT_CALLBACKS = frozenset({("zed", "oauth", "/callback")})
# RFC 8252 section 7.1: the scheme of an app is a domain name of its maker, from the top level down. Schemes
# of operating systems and programs do not begin with a top-level domain (`x-apple.systempreferences:`).
_DOMAIN_SCHEME = re.compile(r"(?:[a-z]{2,63}|xn--[a-z0-9\-]{1,59})(?:\.[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?)+")
_UNUSUAL_IN_HOST = re.compile(r"[A-Z_]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")


class RedirectUriForbidden(Refusal):
    """The redirect URI is dangerous, malformed or too long. The whole registration is refused."""


class RedirectUriMismatch(Refusal):
    """The redirect URI of the request is not registered for the client."""


class RedirectUriRequired(Refusal):
    """The request names no redirect URI, and the client registered several, or one with a variable port."""


class RedirectUriKind(enum.Enum):
    """What receives the response: a web site, a listener on the user's machine, or a native app."""

    HTTPS = "https"
    LOOPBACK = "loopback"
    PRIVATE_USE = "private-use"


class RedirectUriPolicy(Struct, frozen=True):
    """What the settings add to the rules."""

    # Exact URIs ("myapp://callback") or whole schemes ("myapp").
    private_use: tuple[str, ...] = ()
    # The server's own pages live under {issuer}/authorize.
    issuer: str = ""


def kind_of(uri: str, policy: RedirectUriPolicy) -> RedirectUriKind | None:
    """Return the kind of a redirect URI to be registered, or None if no rule allows the URI or its host.

    The caller must refuse private-use URIs to confidential clients. Raises `RedirectUriForbidden`.
    """
    if is_longer(uri, MAX_URI):
        raise RedirectUriForbidden(f"is longer than {MAX_URI} bytes: {uri[:200]!r}")
    parts = _checked(uri)
    if policy.issuer and _is_own_page(parts, parse(policy.issuer)):
        raise RedirectUriForbidden(f"is one of this server's own pages: {uri!r}")
    if _UNUSUAL_IN_HOST.search(parts.host or ""):
        return None
    if parts.scheme == "https":
        return RedirectUriKind.HTTPS
    if parts.scheme == "http":
        return RedirectUriKind.LOOPBACK if parts.is_loopback else None
    # A scheme made from a domain name belongs to the owner of the domain, so no list of these schemes is
    # needed.
    if _is_domain_scheme(parts.scheme) or _is_of_known_client(parts):
        return RedirectUriKind.PRIVATE_USE
    if uri in policy.private_use or parts.scheme in policy.private_use:
        return RedirectUriKind.PRIVATE_USE
    return None


def is_of_well_known_client(uri: str) -> bool:
    """Whether a well-known client receives responses at exactly this address."""
    return uri in _WELL_KNOWN or _CHATGPT_CONNECTOR.fullmatch(uri) is not None


def matches(registered: str, presented: str) -> bool:
    """Whether a presented URI is the registered one: equal strings, except for http on loopback.

    On loopback any port matches, because a native app listens on a free port, and an empty path equals "/".
    Host and path must be equal: `localhost` and `127.0.0.1` may be different listeners. OAuth 2.1 sections
    2.3.1 and 8.4.2.
    """
    if registered == presented:
        return True
    try:
        ours, theirs = parse(registered), parse(presented)
    except UriMalformed:
        return False
    if not _has_any_port(ours):
        return False
    return _without_port(ours) == _without_port(theirs)


def without_variable_port(uri: str) -> str:
    """Return what two redirect URIs have in common if `matches` accepts one for the other.

    That is the URI itself, except for http on loopback: there without the port, and "/" for an empty path.
    """
    parts = parse(uri)
    if not _has_any_port(parts):
        return uri
    query = "" if parts.query is None else f"?{parts.query}"
    return f"http://{parts.host}{parts.path or '/'}{query}"


def choose(registered: tuple[str, ...], presented: str | None) -> str:
    """Return the URI to redirect to: the presented one, or the only registered one if none is presented.

    If the registered URI is on loopback, the request must present one: registrations that differ only in the
    port are one client, and another program may listen on the registered port now.

    Raises `RedirectUriRequired` or `RedirectUriMismatch`: OAuth 2.1 section 2.3.2.
    """
    if presented is None:
        if len(registered) != 1 or _has_any_port(parse(registered[0])):
            raise RedirectUriRequired
        return registered[0]
    if not any(matches(uri, presented) for uri in registered):
        raise RedirectUriMismatch(f"not registered: {presented[:200]!r}")
    return presented


def shown_host(uri: str) -> str:
    """Return the receiver as users see it, such as "claude.ai", "[::1]", "cursor://anysphere.cursor-mcp".

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
    """Whether any program on the user's machine could receive the response: http or https on loopback.

    This includes every name and address of the machine, not only those that a client may register with http.
    Raises `RedirectUriForbidden`.
    """
    parts = _checked(uri)
    return parts.is_web and parts.is_this_machine


def is_private_use(uri: str) -> bool:
    """Whether the response opens an app, not a web site or a listener. Schemes may have capital letters.

    Raises `RedirectUriForbidden`.
    """
    return not _checked(uri).is_web


def checked_private_use(entry: str) -> str:
    """Return an entry of `RedirectUriPolicy.private_use` as it is, or raise a ValueError with the reason."""
    if _SCHEME.fullmatch(entry):
        scheme = entry
    else:
        try:
            uri = _checked(entry)
        except RedirectUriForbidden as refusal:
            raise ValueError(f"a private-use redirect URI {refusal}") from None
        if _UNUSUAL_IN_HOST.search(uri.host or ""):
            raise ValueError(f"a private-use redirect URI has a capital letter or _ in its host: {entry!r}")
        scheme = uri.scheme
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
        # https://claude.ai@evil.example/ looks like claude.ai.
        raise RedirectUriForbidden(f"has a user name: {quoted}")
    return parts


def _is_domain_scheme(scheme: str) -> bool:
    # A browser does not run "javascript.x" as a script, but the scheme is made to look like one that is run.
    top_level = scheme.partition(".")[0]
    return _DOMAIN_SCHEME.fullmatch(scheme) is not None and top_level not in _FORBIDDEN_SCHEMES


def _is_of_known_client(uri: AbsoluteUri) -> bool:
    """Whether a well-known client receives authorization responses at this URI.

    An editor's scheme also carries commands (`vscode:mcp/install?...`, `vscode://file/...`,
    `cursor://.../prompt?text=...`). A malicious registration must not make this server send such a command,
    least of all in an error response, which needs no consent. A command has a query, or a host that is not an
    extension id, so both are refused.
    """
    if uri.query is not None:
        return False
    if uri.scheme in _EDITORS:
        return "." in (uri.host or "")
    return (uri.scheme, uri.host, uri.path) in _EXACT_CALLBACKS


def _has_any_port(uri: AbsoluteUri) -> bool:
    return uri.scheme == "http" and uri.is_loopback


def _without_port(uri: AbsoluteUri) -> AbsoluteUri:
    return replace(uri, port=None, path=uri.path or "/")


def _is_own_page(uri: AbsoluteUri, issuer: AbsoluteUri) -> bool:
    # Compare hosts, not origins: browsers send cookies to every port of a host. A client listening on another
    # port of the issuer's loopback host, at the path of our pages, would receive the sign-in cookies and
    # could consent for the user. All loopback names are one machine.
    same_host = (uri.host or "").lower() == (issuer.host or "").lower() or (
        uri.is_loopback and issuer.is_loopback
    )
    if not uri.is_web or not same_host:
        return False
    pages = issuer.path.rstrip("/") + "/authorize/"
    return (re.sub("/+", "/", unquote(uri.path)) + "/").startswith(pages)
