"""JSON answers of the endpoints that programs call."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response
from litestar.enums import MediaType

from grantledger.adapters.http.errors import WireError, wire_error
from grantledger.application.throttling import TooManyRequests

# OAuth 2.1 section 3.2.3: "MUST include the HTTP Cache-Control response header field [...] no-store".
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}

UNAVAILABLE = WireError("temporarily_unavailable", "The server cannot answer now. Try again.")

_encoder = msgspec.json.Encoder()


def json_answer(content: Any, *, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response[bytes]:
    return Response(_encoder.encode(content), status_code=status, media_type=MediaType.JSON, headers=headers)


def error_answer(error: WireError, *, status: int, headers: Mapping[str, str] = NO_STORE) -> Response[bytes]:
    """An error response in the form that RFC 6749, RFC 7009 and RFC 7591 share."""
    return json_answer(
        {"error": error.code, "error_description": error.description}, status=status, headers=headers
    )


def too_many_requests_answer(refusal: TooManyRequests) -> Response[bytes]:
    """429 (RFC 6585 section 4)."""
    headers = {**NO_STORE, "retry-after": str(refusal.retry_after)}
    return error_answer(wire_error(refusal), status=429, headers=headers)


def unavailable_answer() -> Response[bytes]:
    """503, never 401: a client that cannot be checked now keeps its tokens and comes back."""
    return error_answer(UNAVAILABLE, status=503, headers={**NO_STORE, "retry-after": "1"})
