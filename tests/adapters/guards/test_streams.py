"""Streams that are open when their access token expires."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from grantledger.adapters.asgi_types import Message, Receive, Scope, Send
from grantledger.adapters.guards import streams
from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.application.tokens.mcp_session import McpSession
from support.guarding import SESSION, guarded

LISTEN = (b"mcp-method", b"subscriptions/listen")
CALL = (b"mcp-method", b"tools/call")


class Source:
    """An application that sends `events` events, or fewer if its client disconnects."""

    def __init__(self, content_type: bytes = b"text/event-stream", events: int = 1_000_000) -> None:
        self.content_type = content_type
        self.events = events
        self.received: list[str] = []
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-type", self.content_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        listening = asyncio.ensure_future(self._until_disconnected(receive))
        while self.sent < self.events and not listening.done():
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
            self.sent += 1
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"last", "more_body": False})
        listening.cancel()

    async def _until_disconnected(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.received.append("http.disconnect")


async def asked(source: Source, method: str, *headers: tuple[bytes, bytes], expires_at: int) -> list[Message]:
    """Return the messages that the server gets from the guard."""

    async def verify(access_token: str, *, resource: str | None = None) -> McpSession:
        return replace(SESSION, expires_at=expires_at)

    messages: list[Message] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if requests:
            return requests.pop()
        return await asyncio.get_running_loop().create_future()  # the client stays

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer good"), *headers],
    }
    await BearerGuard(source, guarded(verify))(scope, receive, send)
    return messages


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    """Leave an expired token no time, so that its stream ends at once."""
    monkeypatch.setattr(streams, "LEEWAY", 0)


FOREVER = 4_000_000_000


@pytest.mark.parametrize(("method", "headers"), [("GET", ()), ("POST", (LISTEN,))])
async def test_a_stream_ends_when_its_token_expires(method: str, headers: tuple[Any, ...]):
    source = Source()
    messages = await asked(source, method, *headers, expires_at=1)
    assert messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert [message for message in messages if message.get("body") == b"last"] == []
    assert source.received == ["http.disconnect"], "the application stops as for a client that has gone"


async def test_a_stream_whose_token_is_valid_ends_when_its_application_does():
    messages = await asked(Source(events=3), "GET", expires_at=FOREVER)
    assert [message.get("body") for message in messages[1:]] == [b"data: x\n\n"] * 3 + [b"last"]


async def test_a_call_that_was_allowed_may_end_after_its_token():
    """Fails if the result of a slow tool is lost."""
    messages = await asked(Source(events=50), "POST", CALL, expires_at=1)
    assert len(messages) == 52
    assert messages[-1]["body"] == b"last"


async def test_a_response_that_is_no_stream_of_events_may_end_after_its_token():
    messages = await asked(Source(b"application/json", events=50), "GET", expires_at=1)
    assert messages[-1]["body"] == b"last"


async def test_the_stream_of_an_expired_token_lasts_as_long_as_the_leeway(monkeypatch):
    """Fails if the stream ends at once: its client would then reconnect in a loop."""
    monkeypatch.setattr(streams, "LEEWAY", 3_600)
    messages = await asked(Source(events=50), "GET", expires_at=1)
    assert messages[-1]["body"] == b"last"
