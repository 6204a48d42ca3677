"""What a guard answers itself: status, challenge, and a sentence that says what to do.

The body is a JSON-RPC error without an id, which the MCP transport allows beside any error status: clients
show its message to their user, where they would otherwise say "server returned an error response". Clients
that log in by themselves act on status and challenge. A few that sit behind a proxy of their own see only the
message, and know a 401 by the word "Unauthorized": MCP Inspector 0.15, the one that npm picks on Node.js 20.
"""

from typing import Any

import msgspec
from msgspec import Struct

from grantledger.adapters.guards.challenge import challenge
from grantledger.adapters.web.asgi_types import Headers, Message, Send
from grantledger.adapters.web.cors import response_headers

# JSON-RPC 2.0 section 5.1
_INVALID_REQUEST = -32600
_INTERNAL_ERROR = -32603

RETRY_AFTER = 5
"""Seconds after which a client may ask again when tokens could not be checked."""


class Answer(Struct, frozen=True):
    status: int
    headers: Headers
    body: bytes = b""

    @property
    def challenge(self) -> str | None:
        """The value of `WWW-Authenticate`."""
        return next((value.decode() for name, value in self.headers if name == b"www-authenticate"), None)

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        start: Message = {"type": "http.response.start", "status": self.status, "headers": list(self.headers)}
        await send(start)
        await send({"type": "http.response.body", "body": self.body if with_body else b""})


class Answers:
    """All refusals of one guard, made once: text that no header can carry stops the start."""

    def __init__(self, resource_metadata_url: str, scopes: tuple[str, ...]) -> None:
        url = resource_metadata_url
        self.token_missing = _refusal(
            401,
            f"Unauthorized. Send an access token in the Authorization header. {url} says where to get one.",
            challenge(url, scopes=scopes),
        )
        self.token_invalid = _refusal(
            401,
            f"Unauthorized. The access token is not valid here or no longer valid. {url} says where to get a "
            "new one.",
            challenge(
                url,
                scopes=scopes,
                error="invalid_token",
                # RFC 6750 section 3.1 in its own words: which of these it was is nobody's business.
                error_description="The access token is expired or revoked or not one for this server",
            ),
        )
        self.request_malformed = _refusal(
            400,
            "Send exactly one Authorization header: Bearer, a space, and the access token.",
            challenge(
                url,
                scopes=scopes,
                error="invalid_request",
                error_description="The Authorization header is not one Bearer token",
            ),
        )
        self.unavailable = _answer(
            503,
            "Access tokens cannot be checked at the moment. Keep the token and try again in a few seconds.",
            [(b"retry-after", str(RETRY_AFTER).encode())],
            code=_INTERNAL_ERROR,
        )


def _refusal(status: int, message: str, www_authenticate: str) -> Answer:
    return _answer(status, message, [(b"www-authenticate", www_authenticate.encode("ascii"))])


def _answer(status: int, message: str, headers: Headers, *, code: int = _INVALID_REQUEST) -> Answer:
    error: dict[str, Any] = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    body = msgspec.json.encode(error)
    return Answer(
        status,
        [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *headers,
            *response_headers(),
        ],
        body,
    )
