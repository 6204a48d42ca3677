"""A guarded application and its source of sessions, called with raw ASGI messages."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.guards.session import verified
from grantledger.adapters.guards.source import GuardedResource, IssuerDocument, Verify
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import AccessTokenHasEnded

RESOURCE = "http://127.0.0.1:8000/mcp"
METADATA = "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"

ISSUER = "https://auth.example"
ISSUER_METADATA = b'{"issuer":"https://auth.example"}'

SESSION = McpSession(
    access_token="good",
    user_id="glu_ann",
    client_id="glc_editor",
    scopes=("todo:write",),
    resource=RESOURCE,
    expires_at=2_000_000_000,
    claims={"iss": ISSUER},
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


async def issuer_metadata(document: IssuerDocument) -> bytes | None:
    """Metadata of an issuer without OpenID Connect."""
    return ISSUER_METADATA if document == "oauth-authorization-server" else None


def guarded(verify: Verify, **members: Any) -> GuardedResource:
    """Return the resource of these tests, except for the fields in `members`."""
    given = {
        "identifier": RESOURCE,
        "issuer": ISSUER,
        "verify": verify,
        "issuer_metadata": issuer_metadata,
        "scopes": ("todo:write",),
        **members,
    }
    return GuardedResource(**given)


class Auth:
    """An `McpAuth` of one resource."""

    def __init__(self, of: GuardedResource) -> None:
        self.of = of

    def guarded_resource(self, resource: str | None = None) -> GuardedResource:
        if resource not in (None, self.of.identifier):
            raise ValueError(f"{resource!r} is not one of the protected resources")
        return self.of

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        return app


async def _nothing() -> None: ...


class GuardedApp:
    """The guarded application: does its `work`, answers 200 and records its calls."""

    def __init__(self) -> None:
        self.work: Callable[[], Awaitable[object]] = _nothing
        self.callers: list[McpSession | None] = []
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
        """Return the value of a header, which must not be repeated."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} is sent {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Call = Callable[..., Awaitable[Answered]]


async def calling(
    guard: ASGIApp,
    method: str = "POST",
    *authorization: str,
    path: str = "/mcp",
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> Answered:
    named = [*(("authorization", value) for value in authorization), *headers]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
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
