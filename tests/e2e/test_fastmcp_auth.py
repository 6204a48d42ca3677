"""`FastMCP(auth=fastmcp_auth(...))`, embedded and remote, over HTTP, with the official `mcp` client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fastmcp
import httpx2
import pytest
from fastmcp.server.dependencies import get_access_token
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from msgspec import Struct
from starlette.responses import PlainTextResponse

from grantledger import McpAuthClient, current_session, fastmcp_auth
from grantledger.adapters.guards.source import McpAuth
from grantledger.application.ports import Unavailable
from grantledger.testing import LocalIssuer, local_issuer
from support.hosting import hosting
from support.server import free_port
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("its servers make a SQLite file of their own")


def notes(auth: McpAuth, **options: Any) -> fastmcp.FastMCP:
    made: fastmcp.FastMCP = fastmcp.FastMCP("Notes", auth=fastmcp_auth(auth, **options))

    @made.tool
    def whoami() -> str:
        token, session = get_access_token(), current_session()
        assert token is not None
        assert session is not None
        assert (token.token, token.subject) == (session.access_token, session.user_id)
        return f"{session.user_id} {' '.join(token.scopes)}"

    @made.custom_route("/health", methods=["GET"])
    async def health(_: Any) -> PlainTextResponse:
        return PlainTextResponse("well")

    return made


class Running(Struct):
    """A FastMCP server, and the issuer of its tokens."""

    origin: str
    local: LocalIssuer
    auth: McpAuth
    http: httpx2.AsyncClient

    async def call(self, token: str | None, method: str = "POST", **headers: str) -> httpx2.Response:
        sent = {"accept": "application/json, text/event-stream", **headers}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}
        body = call if method == "POST" else None
        return await self.http.request(method, f"{self.origin}/mcp", headers=sent, json=body)


@asynccontextmanager
async def running(
    way: str, *, stateless: bool = True, transport: Any = "http", **options: Any
) -> AsyncIterator[Running]:
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    async with local_issuer(resource=resource, scopes=("notes:read", "notes:write")) as local:
        auth: McpAuth = local.server
        if way == "remote":
            auth = McpAuthClient(
                issuer=local.issuer,
                resource=resource,
                scopes=("notes:read", "notes:write"),
                cache_seconds=0,
                http=local.http,
            )
        app = notes(auth, **options).http_app(stateless_http=stateless, transport=transport)
        async with hosting(app, port) as origin, httpx2.AsyncClient(timeout=TIMEOUT, verify=False) as http:
            yield Running(origin, local, auth, http)


@pytest.fixture(params=["embedded", "remote"])
async def server(request) -> AsyncIterator[Running]:
    async with running(request.param) as server:
        yield server


async def whoami(server: Running, token: str) -> str:
    async with (
        httpx2.AsyncClient(
            headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT, verify=False
        ) as http,
        Client(streamable_http_client(f"{server.origin}/mcp", http_client=http)) as client,
    ):
        return str((await client.call_tool("whoami")).content[0].text)  # type: ignore[union-attr]


async def test_a_tool_knows_its_caller_embedded_and_remote(server):
    token = await server.local.token(scopes=("openid", "notes:read"))
    said = await whoami(server, token)
    assert said.startswith("glu_")
    assert said.endswith(" openid notes:read")


async def test_in_an_mcp_session_each_call_has_the_token_of_its_request():
    """Fails if a tool sees the first token of its MCP session instead of the one of its request."""
    async with running("embedded", stateless=False) as server:
        scopes = ("notes:read", "notes:write")
        tokens = [await server.local.token(scopes=("openid", scope)) for scope in scopes]
        asked: list[str] = []
        current = {"authorization": f"Bearer {tokens[0]}"}

        async def authorize(request: httpx2.Request) -> None:
            request.headers.update(current)

        async with (
            httpx2.AsyncClient(event_hooks={"request": [authorize]}, timeout=TIMEOUT, verify=False) as http,
            Client(streamable_http_client(f"{server.origin}/mcp", http_client=http), mode="legacy") as client,
        ):
            for token in tokens:
                current["authorization"] = f"Bearer {token}"
                asked.append((await client.call_tool("whoami")).content[0].text)  # type: ignore[union-attr]
    assert tuple(said.rpartition(" ")[2] for said in asked) == scopes


async def test_a_client_without_a_token_is_led_to_the_issuer(server):
    refused = await server.call(None)
    assert refused.status_code == 401
    metadata_url = f"{server.origin}/.well-known/oauth-protected-resource/mcp"
    assert refused.headers["www-authenticate"] == (
        f'Bearer scope="notes:read notes:write", resource_metadata="{metadata_url}"'
    )
    metadata = (await server.http.get(metadata_url)).json()
    assert metadata["authorization_servers"] == [server.local.issuer]
    found = await server.http.get(f"{server.origin}/.well-known/oauth-authorization-server")
    assert found.json()["issuer"] == server.local.issuer


async def test_a_revoked_token_is_refused_on_the_next_call(server):
    token = await server.local.token()
    assert (await server.call(token)).status_code == 200
    await server.local.revoke(token)
    refused = await server.call(token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_an_outage_is_503_and_not_the_500_of_fastmcp(server, monkeypatch):
    async def down(*_: object, **__: object) -> None:
        raise Unavailable

    token = await server.local.token()
    monkeypatch.setattr(type(server.local.server.use_cases.look_up_session), "__call__", down)
    answer = await server.call(token)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_browsers_may_call(server):
    preflight = await server.call(None, "OPTIONS", origin="https://inspector.example")
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
async def test_no_method_passes_without_a_token(server, method):
    assert (await server.call(None, method)).status_code == 401


async def test_custom_routes_need_no_token(server):
    assert (await server.http.get(f"{server.origin}/health")).text == "well"


@pytest.mark.parametrize("way", ["embedded", "remote"])
async def test_a_missing_scope_is_403_with_all_that_are_required(way):
    async with running(way, required_scopes=["notes:read", "notes:write"]) as server:
        # No other scopes: if any tool of this process has `@requires`, the challenge adds the granted ones.
        refused = await server.call(await server.local.token(scopes=("notes:read",)))
        passed = await server.call(await server.local.token())
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="notes:read notes:write"' in refused.headers["www-authenticate"]
    assert passed.status_code == 200


@pytest.mark.parametrize("path", ["/sse", "/messages/", "/messages/?session_id=1"])
async def test_the_sse_transport_is_guarded_as_well(path):
    async with running("remote", transport="sse") as server:
        for method in ("GET", "POST", "HEAD"):
            refused = await server.http.request(method, f"{server.origin}{path}")
            assert refused.status_code == 401
            assert 'scope="notes:read notes:write"' in refused.headers["www-authenticate"]
