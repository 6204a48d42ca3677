"""The official `mcp` SDK behind `with_mcp_auth` alone: its sessions and `get_access_token`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer
from msgspec.structs import replace

from grantledger.adapters.guards.asgi import with_mcp_auth
from grantledger.adapters.guards.session import current_session
from grantledger.application.tokens.mcp_session import McpSession
from support.guarding import SESSION, Auth, guarded

HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
BEGIN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
WHOAMI = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}


async def verify(access_token: str, *, resource: str | None = None) -> McpSession:
    """A token belongs to the user whose name it begins with: `ann.1` is a token of Ann."""
    user = access_token.partition(".")[0]
    return replace(SESSION, access_token=access_token, user_id=user, expires_at=4_000_000_000)


def server() -> MCPServer:
    made = MCPServer("To-do list", log_level="WARNING")

    @made.tool()
    def whoami() -> str:
        token, session = get_access_token(), current_session()
        assert token is not None
        assert session is not None
        return f"{token.subject} {token.token} {session.access_token}"

    return made


class Sdk:
    """Calls the guarded application, each time with the token of a user."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._session: dict[str, str] = {}

    async def post(self, message: dict[str, Any], token: str) -> httpx2.Response:
        headers = {**HEADERS, "authorization": f"Bearer {token}", **self._session}
        return await self._http.post("/mcp", headers=headers, json=message)

    async def begin(self, token: str) -> None:
        answer = await self.post(BEGIN, token)
        assert answer.status_code == 200
        self._session = {"mcp-session-id": answer.headers["mcp-session-id"]}
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, token)


@asynccontextmanager
async def running() -> AsyncIterator[Sdk]:
    app = server().streamable_http_app(json_response=True)
    guard = with_mcp_auth(app, Auth(guarded(verify)))
    transport = httpx2.ASGITransport(guard)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        yield Sdk(http)


async def test_an_mcp_session_serves_only_the_user_who_opened_it():
    """Fails if the SDK does not know its caller: anyone could then use a session id of another user."""
    async with running() as sdk:
        await sdk.begin("ann.1")
        assert (await sdk.post(LIST, "bob.1")).status_code == 404
        assert (await sdk.post(LIST, "ann.1")).status_code == 200


async def test_an_mcp_session_goes_on_with_the_next_token_of_its_user():
    async with running() as sdk:
        await sdk.begin("ann.1")
        assert (await sdk.post(LIST, "ann.2")).status_code == 200


@pytest.mark.parametrize("token", ["ann.1", "ann.2"])
async def test_a_tool_of_the_sdk_gets_the_token_of_its_own_request(token: str):
    async with running() as sdk:
        await sdk.begin("ann.1")
        answer = (await sdk.post(WHOAMI, token)).json()
        assert answer["result"]["content"][0]["text"] == f"ann {token} {token}"


async def test_the_sdk_has_forgotten_the_caller_after_the_request():
    async with running() as sdk:
        await sdk.begin("ann.1")
    assert get_access_token() is None
