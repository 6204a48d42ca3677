"""Requests whose body arrives long after their access token was checked."""

from typing import Any

import pytest
from msgspec.structs import replace

from grantledger.adapters.asgi_types import Message, Receive, Scope, Send
from grantledger.adapters.guards import late_bodies
from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.calls import CallOptions
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.token_grant import AccessTokenHasEnded
from support.guarding import SESSION, guarded

BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"clear"}}'
ADMIN = replace(SESSION, roles=("admin",))
RULES = CallOptions(rules={"tools/call:clear": "todo:write"})


class Slow:
    """A client that sends its body in parts. After the first check its token has the session `later`."""

    def __init__(self, *parts: bytes, later: McpSession | None = ADMIN) -> None:
        self.checks = 0
        self.received: list[bytes] = []
        self._later = later
        self._parts = list(parts)

    async def verify(self, access_token: str, *, resource: str | None = None) -> McpSession:
        self.checks += 1
        if self.checks == 1:
            return ADMIN
        if self._later is None:
            raise AccessTokenHasEnded
        return self._later

    async def receive(self) -> Message:
        body = self._parts.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._parts)}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body as frameworks do: an error if the client disconnects."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                await send({"type": "http.response.start", "status": 500, "headers": []})
                raise ConnectionError("the client has gone")
            body, more = body + message["body"], message["more_body"]
        self.received.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def status_of(slow: Slow, options: CallOptions | None = None, app: Any = None) -> int:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    guard = BearerGuard(app or slow.app, guarded(slow.verify), calls=options)
    headers = [(b"authorization", b"Bearer good")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    await guard(scope, slow.receive, send)
    (start,) = (message for message in sent if message["type"] == "http.response.start")
    return int(start["status"])


@pytest.fixture
def late(monkeypatch) -> None:
    """Every part of a body is late."""
    monkeypatch.setattr(late_bodies, "CHECKED_FOR", 0.0)


with_and_without_rules = pytest.mark.parametrize("options", [None, RULES], ids=["no rules", "rules"])


@with_and_without_rules
@pytest.mark.parametrize(("first", "last"), [(BODY[:-1], BODY[-1:]), (BODY, b"")], ids=["last byte", "end"])
async def test_a_call_is_401_if_its_token_ends_before_its_body_does(late, options, first, last):
    slow = Slow(first, last, later=None)
    assert await status_of(slow, options) == 401
    assert slow.received == [], "the application never has the whole body"


@with_and_without_rules
async def test_a_call_is_503_if_its_user_loses_a_role_before_its_body_ends(late, options):
    slow = Slow(BODY[:-1], BODY[-1:], later=SESSION)
    assert await status_of(slow, options) == 503
    assert slow.received == []


@with_and_without_rules
async def test_a_slow_body_of_a_valid_token_is_passed_on(late, options):
    slow = Slow(BODY[:9], BODY[9:])
    assert await status_of(slow, options) == 200
    assert slow.received == [BODY]


async def test_parts_that_arrive_soon_need_no_other_check(monkeypatch):
    monkeypatch.setattr(late_bodies, "CHECKED_FOR", 3_600.0)
    slow = Slow(BODY[:9], BODY[9:])
    assert await status_of(slow) == 200
    assert slow.checks == 1


async def test_a_request_without_a_body_is_checked_once(late):
    """Fails if a long call is refused because its application asks late whether the client has gone."""
    slow = Slow(b"")
    assert await status_of(slow) == 200
    assert slow.checks == 1


async def test_an_application_gets_no_part_after_the_refusal(late):
    slow, kinds = Slow(BODY[:9], BODY[9:], later=None), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kinds.extend([(await receive())["type"] for _ in range(3)])

    assert await status_of(slow, app=app) == 401
    assert kinds == ["http.disconnect"] * 3
