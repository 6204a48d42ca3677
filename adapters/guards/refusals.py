"""How a guard refuses a request: a challenge for OAuth clients, a JSON-RPC error for MCP clients."""

from grantledger.adapters.asgi_types import Headers
from grantledger.adapters.guards.challenge import challenge
from grantledger.adapters.guards.cors import response_headers
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse, json_response

# JSON-RPC 2.0 section 5.1
_INVALID_REQUEST = -32600
_INTERNAL_ERROR = -32603

RETRY_AFTER = 5
"""Seconds after which a client may try again when tokens could not be checked."""


def guard_challenge(refusal: GuardRefusal, resource_metadata_url: str, scopes: tuple[str, ...]) -> str:
    """Return the value of `WWW-Authenticate`. Raises `ValueError` for text that a header cannot hold."""
    return challenge(
        resource_metadata_url,
        scopes=scopes,
        error=refusal.value.error,
        error_description=refusal.value.description,
    )


def guard_response(
    refusal: GuardRefusal, resource_metadata_url: str, scopes: tuple[str, ...]
) -> PlainResponse:
    """Return the whole response. Raises `ValueError` for text that a header cannot hold."""
    if refusal is GuardRefusal.UNAVAILABLE:
        code, header = _INTERNAL_ERROR, (b"retry-after", b"%d" % RETRY_AFTER)
    else:
        authenticate = guard_challenge(refusal, resource_metadata_url, scopes)
        code, header = _INVALID_REQUEST, (b"www-authenticate", authenticate.encode("ascii"))
    message = refusal.value.message.format(metadata_url=resource_metadata_url)
    content = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    headers: Headers = [(b"cache-control", b"no-store"), header, *response_headers()]
    return json_response(refusal.value.status, content, headers)
