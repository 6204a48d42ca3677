"""The challenge of a resource server (RFC 6750 section 3, RFC 9728 section 5.1), written in one place."""

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from grantledger.adapters.asgi_types import Headers, Message, Send
from grantledger.adapters.guards.cors import response_headers

BearerError = Literal["invalid_request", "invalid_token", "insufficient_scope"]

# What RFC 6750 section 3 allows in a quoted string that needs no escapes.
_QUOTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")

# Clients look for `error=` or `scope=` anywhere in the header, inside of quotes too.
_LOOKS_LIKE_PARAMETER = re.compile(r"(?:error|error_description|scope|resource_metadata)=")


def challenge(
    resource_metadata_url: str | None,
    *,
    scopes: Iterable[str] = (),
    error: BearerError | None = None,
    error_description: str | None = None,
) -> str:
    """Return the value of one `WWW-Authenticate` header line, without metadata where there is none to tell.

    `error` and `error_description` are for requests that brought a token: without one "the resource server
    SHOULD NOT include an error code or other error information" (RFC 6750 section 3.1). Raises `ValueError`
    for text that a client's parser would misread.
    """
    if error_description is not None and error is None:
        raise ValueError("a description needs the error that it describes")
    parameters = {
        "error": error,
        "error_description": error_description,
        "scope": " ".join(scopes) or None,
        "resource_metadata": resource_metadata_url,
    }
    said = {name: value for name, value in parameters.items() if value is not None}
    parts = ", ".join(f'{name}="{_plain(name, value)}"' for name, value in said.items())
    return f"Bearer {parts}" if parts else "Bearer"


def _plain(name: str, value: str) -> str:
    if not _QUOTABLE.fullmatch(value) or _LOOKS_LIKE_PARAMETER.search(value):
        raise ValueError(f"{name} cannot be said in a challenge: {value!r}")
    return value


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
