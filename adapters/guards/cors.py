"""Cross-origin access for browser-based clients: anyone may ask, no cookie is ever read for it."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_EXPOSED = b"WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id"


def response_headers() -> Headers:
    """Return what every answer carries, so that a script may read the challenge and the session id."""
    return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]


def preflight_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the answer to a preflight request: the headers asked for are the headers allowed.

    `Access-Control-Allow-Headers: *` would not cover Authorization, and MCP adds open-ended `Mcp-Param-*`.
    """
    asked = next((value for name, value in request_headers if name == b"access-control-request-headers"), b"")
    allowed = [(b"access-control-allow-headers", asked)] if asked else []
    return [
        *response_headers(),
        (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE, OPTIONS"),
        *allowed,
        (b"access-control-max-age", b"7200"),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
