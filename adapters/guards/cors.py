"""CORS for clients that run in a browser: every origin is allowed, and no cookie is read."""

from collections.abc import Iterable

from grantledger.adapters.asgi_types import Headers

_EXPOSED = b"WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id"


def response_headers() -> Headers:
    """Return the headers of every response that other origins may read, which is never a page.

    A script can then read the challenge and the session id, too.
    """
    return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]


def preflight_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of a preflight response: every header that the request names is allowed.

    `Access-Control-Allow-Headers: *` does not cover Authorization, and MCP has headers with any name
    (`Mcp-Param-*`).
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
