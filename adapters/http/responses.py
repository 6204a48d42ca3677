"""Litestar responses of the endpoints that programs call."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException

from grantledger.adapters.http.errors import (
    NO_STORE,
    SERVER_FAULT,
    PlainResponse,
    error_response,
    refusal_response,
    status_response,
    unavailable_response,
)
from grantledger.application.ports import Unavailable
from grantledger.domain.refusal import Refusal

AnyRequest = Request[Any, Any, Any]

NOT_STORED = {name.decode(): value.decode() for name, value in NO_STORE}

_FRAMED = (b"content-type", b"content-length")

_log = logging.getLogger("grantledger.http")
_encode = msgspec.json.Encoder().encode


def json_answer(
    content: Any, *, status: int = 200, headers: Mapping[str, str] = NOT_STORED
) -> Response[bytes]:
    return Response(_encode(content), status_code=status, media_type=MediaType.JSON, headers=headers)


def litestar_response(plain: PlainResponse) -> Response[bytes]:
    """Return the response as one of Litestar, which adds the type and length of the body itself."""
    headers = {name.decode(): value.decode() for name, value in plain.headers if name not in _FRAMED}
    return Response(plain.body, status_code=plain.status, media_type=MediaType.JSON, headers=headers)


def error_answer(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Return the response to a program for an exception.

    It is JSON even if no route matches: clients fail on an HTML page under /.well-known.
    """
    match error:
        case Refusal():
            return litestar_response(
                refusal_response(error, sent_authorization="authorization" in request.headers)
            )
        case Unavailable():
            return litestar_response(unavailable_response())
        case HTTPException():  # a 405 has an Allow header
            headers = [(name.encode(), value.encode()) for name, value in (error.headers or {}).items()]
            return litestar_response(status_response(error.status_code, headers))
        case _:
            _log.error("unexpected error", exc_info=error)
            return litestar_response(error_response(SERVER_FAULT))
