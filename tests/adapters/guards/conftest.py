"""A guard, called with raw ASGI messages."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from grantledger.adapters.asgi_types import Receive, Scope, Send
from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.session import Verified, verified
from grantledger.application.tokens.look_up_session import McpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import AccessTokenHasEnded

RESOURCE = "http://127.0.0.1:8000/mcp"
METADATA = "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"

SESSION = McpSession(
    user_id="glu_ann",
    client_id="glc_editor",
    scopes=("todo:write",),
    resource=RESOURCE,
    expires_at=2_000_000_000,
    grant_id="grant",
)


class FakeLedger:
    """A `Verify` that knows one token, records its calls, and can fail."""

    def __init__(self) -> None:
        self.outage: Exception | None = None
        self.refusal: Refusal = AccessTokenHasEnded()
        self.asked: list[tuple[str, str | None]] = []

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        self.asked.append((access_token, resource))
        if self.outage:
            raise self.outage
        if access_token != "good":
            raise self.refusal
        return SESSION


async def _nothing() -> None: ...


class GuardedApp:
    """The guarded application: does its `work`, answers 200 and records its calls."""

    def __init__(self) -> None:
        self.work: Callable[[], Awaitable[object]] = _nothing
        self.callers: list[Verified | None] = []
        self.scopes: list[Scope] = []
        self.lifespans = 0
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.lifespans += 1
            return
        self.callers.append(verified.get())
        self.scopes.append(scope)
        await self.work()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"behind the guard"})


class Answered(Struct):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def value(self, name: str) -> str | None:
        """The value of a header that must not be there twice."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} is sent {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Call = Callable[..., Awaitable[Answered]]


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def app() -> GuardedApp:
    return GuardedApp()


@pytest.fixture
def guard(app: GuardedApp, ledger: FakeLedger) -> BearerGuard:
    return BearerGuard(
        app, verify=ledger, resource=RESOURCE, resource_metadata_url=METADATA, scopes=("todo:write",)
    )


@pytest.fixture
def call(guard: BearerGuard) -> Call:
    async def call(
        method: str = "POST",
        *authorization: str,
        query: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Answered:
        named = [*(("authorization", value) for value in authorization), *headers]
        scope = {
            "type": "http",
            "method": method,
            "path": "/mcp",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await guard(scope, receive, send)
        start, *rest = sent
        return Answered(
            status=start["status"],
            headers=[(name.decode(), value.decode()) for name, value in start["headers"]],
            body=b"".join(message["body"] for message in rest),
        )

    return call
