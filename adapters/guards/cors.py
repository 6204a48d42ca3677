"""CORS for clients that run in a browser. No cookie is read, so by default every origin is allowed."""

from collections.abc import Iterable

from grantledger.adapters.asgi_types import Headers

_EXPOSED = b"WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id"

CORS_NAMES = frozenset(
    (
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        # An application may send it for origins of its own. It must not apply to the origins of the guard.
        b"access-control-allow-credentials",
    )
)
"""The headers of an application that a guard removes."""


def response_headers(origin: bytes = b"*") -> Headers:
    """Return the CORS headers of a response that scripts of `origin` may read. Never send them with a page.

    They also let the scripts read the challenge and the MCP session id.
    """
    return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]


def preflight_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of a preflight response: every header that the request names is allowed.

    `Access-Control-Allow-Headers: *` does not cover Authorization, and MCP has headers with any name
    (`Mcp-Param-*`).
    """
    return [*response_headers(), *_preflight(request_headers), (b"vary", b"Access-Control-Request-Headers")]


def _preflight(request_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    asked = next((value for name, value in request_headers if name == b"access-control-request-headers"), b"")
    allowed = [(b"access-control-allow-headers", asked)] if asked else []
    return [
        (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE, OPTIONS"),
        *allowed,
        (b"access-control-max-age", b"7200"),
    ]


AllowedOrigin = str | Iterable[str]
"""`*`, or the origins whose web pages may send requests, such as `https://inspector.example`."""


class Cors:
    """The CORS headers of a guard. With a list, the pages of all other origins are refused."""

    def __init__(self, allowed: AllowedOrigin, *, own_origin: str) -> None:
        """The resource's own origin is always allowed. Raises `ValueError` for a text that is no origin."""
        origins = (allowed,) if isinstance(allowed, str) else tuple(allowed)
        for origin in origins:
            if origin != "*" and (not origin.isascii() or "://" not in origin or origin.count("/") != 2):  # noqa: PLR2004
                raise ValueError(f"allowed_origin {origin!r} is not `*` or an origin like https://a.example")
        self._any = "*" in origins
        self._known = frozenset(origin.lower().encode() for origin in (*origins, own_origin))
        self._of_any = response_headers()

    def refuses(self, headers: Headers) -> bool:
        """Whether this request comes from a web page whose origin is not allowed."""
        if self._any:
            return False
        return any(name == b"origin" and value.lower() not in self._known for name, value in headers)

    def headers(self, headers: Headers) -> Headers:
        """Return the headers of the response to a request with these `headers`."""
        if self._any:
            return self._of_any
        vary = (b"vary", b"Origin")
        if self.refuses(headers):
            return [vary]
        origin = next((value for name, value in headers if name == b"origin"), None)
        return [vary] if origin is None else [*response_headers(origin), vary]

    def preflight(self, headers: Headers) -> Headers:
        """Return the headers of the response to OPTIONS."""
        if self._any:
            return preflight_headers(headers)
        return [*self.headers(headers), *_preflight(headers)]
