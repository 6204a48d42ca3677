"""Remove from lists what the session may not use.

This saves a model a call that would be refused. It protects nothing: the call itself is checked.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from grantledger.adapters.asgi_types import Headers, Message, Send
from grantledger.adapters.guards.messages import Call


class _Listing(Struct, frozen=True):
    """The member of the result, the member that names each entry, and the method that uses an entry."""

    member: str
    name: str
    used_by: str


LISTINGS = {
    "tools/list": _Listing("tools", "name", "tools/call"),
    "prompts/list": _Listing("prompts", "name", "prompts/get"),
    "resources/list": _Listing("resources", "uri", "resources/read"),
    "resources/templates/list": _Listing("resourceTemplates", "uriTemplate", "resources/read"),
}

IsShown = Callable[[Call], Awaitable[bool]]

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINES = re.compile(rb"\r\n|\n|\r")


class ShorterList:
    """A `send` that changes the response to one list request, as JSON or as an event stream."""

    def __init__(self, send: Send, method: str, is_shown: IsShown) -> None:
        self._send = send
        self._listing = LISTINGS[method]
        self._is_shown = is_shown
        self._start: Message | None = None
        self._is_stream = False
        self._pending = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = next((v for k, v in message.get("headers", ()) if k.lower() == b"content-type"), b"")
            if kind.startswith(b"application/json"):
                self._start = message  # sent when the length is known
                return
            self._is_stream = kind.startswith(b"text/event-stream")
        elif message["type"] == "http.response.body":
            if self._start is not None:
                await self._json(self._start, message)
                return
            if self._is_stream:
                message = {**message, "body": await self._events(message)}
        await self._send(message)

    async def _json(self, start: Message, message: Message) -> None:
        self._pending += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = await self._shorter(self._pending)
        others: Headers = [header for header in start["headers"] if header[0].lower() != b"content-length"]
        length = (b"content-length", b"%d" % len(body))
        await self._send({**start, "headers": [*others, length]})
        await self._send({"type": "http.response.body", "body": body})

    async def _events(self, message: Message) -> bytes:
        self._pending += message.get("body", b"")
        done = b""
        while (end := _END_OF_EVENT.search(self._pending)) is not None:
            event, self._pending = self._pending[: end.start()], self._pending[end.end() :]
            done += await self._event(event) + b"\r\n\r\n"
        if not message.get("more_body", False):
            done, self._pending = done + self._pending, b""
        return done

    async def _event(self, event: bytes) -> bytes:
        lines = _LINES.split(event)
        data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        others = [line for line in lines if not line.startswith(b"data:")]
        return b"\r\n".join([*others, b"data: " + await self._shorter(b"\n".join(data))]) if data else event

    async def _shorter(self, body: bytes) -> bytes:
        try:
            message = json.loads(body)
            result: dict[str, Any] = message["result"]
            entries: list[dict[str, Any]] = result[self._listing.member]
            shown = [entry for entry in entries if await self._is_shown(self._call(entry))]
        except (ValueError, KeyError, TypeError):
            return body  # an error, a notification, or an empty event
        result[self._listing.member] = shown
        # MCP 2026-07-28: a list that depends on the user is private, "caches MUST NOT be shared".
        if "cacheScope" in result:
            result["cacheScope"] = "private"
        return json.dumps(message, separators=(",", ":")).encode("ascii")

    def _call(self, entry: dict[str, Any]) -> Call:
        return Call(self._listing.used_by, entry[self._listing.name])
