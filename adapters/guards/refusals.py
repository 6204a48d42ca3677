"""How a guard refuses a request: a challenge for OAuth clients, a JSON-RPC error for MCP clients."""

from typing import Any

from grantledger.adapters.asgi_types import Headers
from grantledger.adapters.guards.challenge import challenge
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse, json_response

_WITHOUT_CHALLENGE = frozenset(
    {
        GuardRefusal.CALL_FORBIDDEN,
        GuardRefusal.BODY_TOO_LARGE,
        GuardRefusal.BODY_ENCODED,
        GuardRefusal.BODY_MALFORMED,
        GuardRefusal.HEADERS_DIFFER,
        GuardRefusal.ORIGIN_FOREIGN,
    }
)
"""Refusals that another access token would not change."""

RETRY_AFTER = 5
"""Seconds after which a client may try again when tokens could not be checked."""


def guard_challenge(refusal: GuardRefusal, resource_metadata_url: str, scopes: tuple[str, ...]) -> str:
    """Return the value of `WWW-Authenticate`. Raises `ValueError` for text that a header cannot hold.

    `scopes` are all that the operation needs.
    """
    return challenge(
        resource_metadata_url,
        scopes=scopes,
        error=refusal.value.error,
        error_description=refusal.value.description,
    )


def guard_response(
    refusal: GuardRefusal,
    resource_metadata_url: str,
    scopes: tuple[str, ...],
    request_id: float | str | None = None,
) -> PlainResponse:
    """Return the response, complete except for the CORS headers.

    `request_id` is that of the JSON-RPC request, None if it was not read or if there are several.

    Raises `ValueError` for text that a header cannot hold.
    """
    message = refusal.value.message.format(metadata_url=resource_metadata_url, scopes=" ".join(scopes))
    error: dict[str, Any] = {"code": refusal.value.code, "message": message}
    headers: Headers = [(b"cache-control", b"no-store")]
    match refusal:
        case GuardRefusal.UNAVAILABLE:
            headers.append((b"retry-after", b"%d" % RETRY_AFTER))
        case _ if refusal in _WITHOUT_CHALLENGE:
            pass
        case _:
            authenticate = guard_challenge(refusal, resource_metadata_url, scopes)
            # The challenge is in the body too, for scripts of pages that cannot read the header.
            error["www-authenticate"] = authenticate
            headers.append((b"www-authenticate", authenticate.encode("ascii")))
    return json_response(refusal.value.status, {"jsonrpc": "2.0", "id": request_id, "error": error}, headers)
