"""Read the JSON-RPC messages of a request body. Refuse a body that other parsers could read differently."""

import base64
import binascii
import json
import math
import re
from typing import Any

from msgspec import Struct

from grantledger.adapters.asgi_types import Headers, Receive
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.adapters.http.limits import MAX_CALL_BODY, MAX_CALL_NAME, MAX_CALLS

NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}
"""For methods on one tool, prompt or resource: the parameter that names it."""

METHODS = (
    *NAMED_BY,
    "completion/complete",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/list",
)
"""The methods that clients send, in all versions of MCP. Extensions add others."""

HASHED_NAME = re.compile(r"__(?P<hash>[0-9a-f]{12})_(?P<name>.+)", re.DOTALL)
"""How the pages of a `FastMCPApp` name its tools in calls."""

_LISTEN = "subscriptions/listen"

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_BASE64 = re.compile(r"=\?base64\?(.*)\?=")


class MessageRefused(Exception):  # noqa: N818 - the fact
    """The body is too large, or an application could read it differently."""

    def __init__(self, refusal: GuardRefusal) -> None:
        super().__init__(refusal.value.message)
        self.refusal = refusal


class Call(Struct, frozen=True):
    """A request or notification. `name` is the tool, prompt or URI that it is about."""

    method: str
    name: str | None = None
    id: int | float | str | None = None


async def body_of(receive: Receive, headers: Headers) -> bytes | None:
    """Return the whole body, None if the client has gone. Raises `MessageRefused` if it is too large."""
    declared = next((value for name, value in headers if name == b"content-length"), b"")
    if declared.isdigit() and (len(declared) > len(str(MAX_CALL_BODY)) or int(declared) > MAX_CALL_BODY):
        raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_CALL_BODY:
            raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)


def calls_in(body: bytes, headers: Headers) -> tuple[Call, ...]:
    """Return every request and notification of a body, none for an empty one.

    `subscriptions/listen` is followed by a call of `resources/subscribe` for each of its URIs.

    Raises `MessageRefused` for a body that is compressed, that is not JSON-RPC in UTF-8, that repeats a name
    in an object, or that has too many messages or too long a name. Also if the headers `Mcp-Method` and
    `Mcp-Name` differ from the body (MCP 2026-07-28).
    """
    if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
        raise MessageRefused(GuardRefusal.BODY_ENCODED)
    if any(name == b"content-type" and _is_not_utf_8(value) for name, value in headers):
        raise MessageRefused(GuardRefusal.BODY_ENCODED)
    if not body:
        return ()
    try:
        read = json.loads(
            body.decode("utf-8"), object_pairs_hook=_without_repetition, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED) from None
    messages = read if isinstance(read, list) else [read]
    if not messages:
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    if len(messages) > MAX_CALLS:
        raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
    calls = tuple(call for message in messages if (call := _call(message)) is not None)
    _check_headers(headers, calls)
    subscriptions = tuple(call for message in messages for call in _subscriptions(message))
    if len(calls) + len(subscriptions) > MAX_CALLS:
        raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
    return (*calls, *subscriptions)


def _call(message: Any) -> Call | None:
    """Return the call, None for a response to a call of the server."""
    if not isinstance(message, dict):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    _no_variant(message, _MEMBERS)
    if "method" not in message:
        return None
    method, request_id = message["method"], message.get("id")
    if not isinstance(method, str) or not _is_text(method):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    if len(method) > MAX_CALL_NAME:
        raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
    if not _is_id(request_id):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    return Call(method, _name(method, message.get("params")), request_id)


def _subscriptions(message: dict[str, Any]) -> list[Call]:
    """Return a call of `resources/subscribe` for each URI that a call of MCP 2026-07-28 listens to."""
    if message.get("method") != _LISTEN or "params" not in message:
        return []
    params = _object(message["params"])
    _no_variant(params, frozenset({"notifications"}))
    wanted = _object(params.get("notifications", {}))
    # The SDK also accepts other spellings of this member, such as `resource_subscriptions`.
    if any(_is_variant_of_subscriptions(name) for name in wanted):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    uris = wanted.get(_SUBSCRIPTIONS)
    if uris is None:
        return []
    if not isinstance(uris, list):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    return [Call("resources/subscribe", _text(uri), message.get("id")) for uri in uris]


_SUBSCRIPTIONS = "resourceSubscriptions"


def _is_variant_of_subscriptions(name: str) -> bool:
    return name != _SUBSCRIPTIONS and name.replace("_", "").casefold() == _SUBSCRIPTIONS.casefold()


def _is_id(value: Any) -> bool:
    """Whether a response can repeat this request id exactly."""
    match value:
        case bool():
            return False
        case int():
            return -_MAX_ID <= value <= _MAX_ID
        case str():
            return _is_text(value)
        case _:
            return value is None or (isinstance(value, float) and math.isfinite(value))


_MAX_ID = 2**63 - 1


def _name(method: str, params: Any) -> str | None:
    parameter = NAMED_BY.get(method)
    if parameter is None:
        return None
    members = _object(params)
    _no_variant(members, frozenset({parameter}))
    return _text(members.get(parameter))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not _is_text(value):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)
    if len(value) > MAX_CALL_NAME:
        raise MessageRefused(GuardRefusal.BODY_TOO_LARGE)
    return value


def _no_variant(members: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse `Method` and the like, which some parsers, such as Go's, read as `method`."""
    if any(name not in known and name.casefold() in known for name in members):
        raise MessageRefused(GuardRefusal.BODY_MALFORMED)


def _check_headers(headers: Headers, calls: tuple[Call, ...]) -> None:
    for value in _values(headers, b"mcp-method"):
        if any(call.method != value for call in calls):
            raise MessageRefused(GuardRefusal.HEADERS_DIFFER)
    for value in _values(headers, b"mcp-name"):
        named = [call.name for call in calls if call.name is not None]
        if any(name != _decoded(value) for name in named):
            raise MessageRefused(GuardRefusal.HEADERS_DIFFER)


def _values(headers: Headers, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for name, value in headers if name == wanted]


def _decoded(value: str) -> str | None:
    """Return the value of a header that may be written as `=?base64?...?=`, None if it is malformed."""
    encoded = _BASE64.fullmatch(value)
    if encoded is None:
        return value
    try:
        text = base64.b64decode(encoded[1], validate=True)
        is_canonical = base64.b64encode(text).decode("ascii") == encoded[1]
        return text.decode("utf-8") if is_canonical else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _is_not_utf_8(content_type: bytes) -> bool:
    return any(
        charset.lower() not in (b"utf-8", b"utf8", b"us-ascii") for charset in _CHARSET.findall(content_type)
    )


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_text(text: str) -> bool:
    """Whether the text has no lone surrogate, for which parsers have different replacements."""
    return text.isprintable() or not any("\ud800" <= character <= "\udfff" for character in text)
