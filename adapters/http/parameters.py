"""Headers, and parameters by OAuth 2.1 sections 3.1 and 3.2: no repetitions, and empty means absent."""

from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from litestar import Request
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState
from msgspec import Struct

from grantledger.adapters.asgi_types import Message, Scope
from grantledger.adapters.http.errors import ParameterMissing, ParametersMalformed, RequestTooLarge
from grantledger.adapters.http.limits import (
    MAX_BODY,
    MAX_FORM_QUERY,
    MAX_PARAMETER,
    MAX_PARAMETERS,
    MAX_RESOURCES,
)
from grantledger.domain.authorization_request import ParameterRepeated
from grantledger.domain.limits import is_longer


class Parameters(Struct, frozen=True):
    """Single values by name. RFC 8707 allows several `resources`."""

    values: dict[str, str]
    resources: tuple[str, ...]
    repeated: frozenset[str]

    def get(self, name: str) -> str | None:
        return self.values.get(name)


def parsed(raw: bytes) -> Parameters:
    """Parse a query or a body in `application/x-www-form-urlencoded`. Raises `ParametersMalformed`."""
    values: dict[str, str] = {}
    resources: list[str] = []
    repeated: set[str] = set()
    for name, value in _pairs(raw):
        if is_longer(name, MAX_PARAMETER) or is_longer(value, MAX_PARAMETER):
            raise ParametersMalformed("too long")
        if name == "resource":
            resources.append(value)
        elif name in values:
            repeated.add(name)
        else:
            values[name] = value
    if len(resources) > MAX_RESOURCES:
        raise ParametersMalformed("too many resources")
    return Parameters(
        values={name: value for name, value in values.items() if value},
        resources=tuple(resource for resource in resources if resource),
        repeated=frozenset(repeated),
    )


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    """Return what `urllib.parse.parse_qsl` returns with `keep_blank_values`, in half the time."""
    # No parameter of OAuth may hold a NUL (RFC 6749 appendix A), and PostgreSQL cannot store a text with a
    # NUL.
    if b"%00" in raw or b"\0" in raw:
        raise ParametersMalformed("a NUL character")
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise ParametersMalformed("too many")
    try:
        pairs = [pair.partition("=") for pair in raw.decode("ascii").split("&") if pair]
        return [(_decoded(name), _decoded(value)) for name, _, value in pairs]
    except UnicodeDecodeError as error:
        raise ParametersMalformed("undecodable") from error


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode()


async def form_as_query(request: Request[Any, Any, Any], names: Collection[str]) -> str:
    """Return, as a query, the parameters of the body that have one of the names. Repetitions are kept.

    Raises `ParametersMalformed`, and `RequestTooLarge` for a query longer than `MAX_FORM_QUERY`.
    """
    if not is_form(request):
        raise ParametersMalformed("not a form")
    pairs = [(name, value) for name, value in _pairs(await read_body(request)) if name in names]
    query = urlencode(pairs)
    if len(query) > MAX_FORM_QUERY:
        raise RequestTooLarge(max(pairs, key=lambda pair: len(urlencode([pair])))[0])
    return query


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the body, in a fifth of the time of `Request.body`. Raises `RequestEntityTooLarge`."""
    known = ScopeState.from_scope(request.scope).body
    if known is not Empty:  # the middleware of a Litestar host has read it
        return known
    if any(map(_is_too_large, header_values(request.scope, b"content-length"))):
        raise RequestEntityTooLarge
    body, is_complete = b"", False
    while not is_complete:
        message: Message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InternalServerException("client disconnected prematurely")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise RequestEntityTooLarge
        is_complete = not message.get("more_body", False)
    return body


def _is_too_large(length: str) -> bool:
    """Whether a Content-Length is above `MAX_BODY`. Its syntax is for the HTTP server to check."""
    return length.isdecimal() and (len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY)


def header_values(scope: Scope, wanted: bytes) -> list[str]:
    """Return the values of every header with the name `wanted`, given in lower case."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def header_value(scope: Scope, wanted: bytes) -> str | None:
    """Return the first value of a header with this name in lower case, or None.

    Litestar takes 2 us to make `Request.headers`.
    """
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


def is_form(request: Request[Any, Any, Any]) -> bool:
    media_type = (header_value(request.scope, b"content-type") or "").partition(";")[0]
    return media_type.strip().lower() == "application/x-www-form-urlencoded"


async def read_form(request: Request[Any, Any, Any]) -> Parameters:
    """Return the parameters of the body. Raises `ParametersMalformed` or `ParameterRepeated`."""
    if not is_form(request):
        raise ParametersMalformed("not a form")
    form = parsed(await read_body(request))
    # OAuth 2.1 section 3.2: "Request [...] parameters MUST NOT be included more than once".
    if form.repeated:
        raise ParameterRepeated(", ".join(sorted(form.repeated)))
    return form


def required(form: Parameters, name: str) -> str:
    """Return a required parameter. Raises `ParameterMissing`."""
    value = form.get(name)
    if value is None:
        raise ParameterMissing(name)
    return value
