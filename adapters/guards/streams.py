"""Event streams that stay open: they end when the access token of their request expires (ADR 0051)."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.adapters.asgi_types import Message, Receive, Scope, Send
from grantledger.adapters.guards.claims import LEEWAY
from grantledger.application.tokens.mcp_session import McpSession

_LISTEN = (b"mcp-method", b"subscriptions/listen")
_EVENTS = b"text/event-stream"


@contextmanager
def ending_with_token(
    session: McpSession | None, scope: Scope, receive: Receive, send: Send
) -> Iterator[tuple[Receive, Send]]:
    """Yield the `receive` and `send` for the application. They end its event stream when the token expires.

    This applies to the stream of a GET and of `subscriptions/listen` (MCP 2026-07-28). The response to any
    other POST may take longer than its token is valid: the call was allowed when it began.
    """
    if session is None or (scope["method"] != "GET" and _LISTEN not in scope["headers"]):
        yield receive, send
        return
    # At least the leeway: a client whose expired token is still accepted would otherwise reconnect in a loop.
    stream = _Stream(max(session.expires_at - time.time(), LEEWAY), receive, send)
    try:
        yield stream.receive, stream.send
    finally:
        stream.close()


class _Stream:
    """One request. After its time the application gets `http.disconnect`, and what it sends is dropped."""

    def __init__(self, seconds: float, receive: Receive, send: Send) -> None:
        self._seconds = seconds
        self._receive = receive
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._end: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()

    async def receive(self) -> Message:
        if self._over.is_set():
            return {"type": "http.disconnect"}
        message = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((message, over), return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else {"type": "http.disconnect"}
        finally:
            message.cancel()
            over.cancel()

    async def send(self, message: Message) -> None:
        async with self._sending:
            if self._over.is_set():
                return
            if message["type"] == "http.response.start" and _is_of_events(message):
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._seconds, self._expire)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self.close()
            await self._send(message)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._end = asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        async with self._sending:
            if self._timer is None:  # the application has ended the response meanwhile
                return
            self._over.set()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_of_events(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(_EVENTS)
        for name, value in start.get("headers", ())
    )
