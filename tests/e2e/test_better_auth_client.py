"""Better Auth's remote client, unmodified, in MCP servers with each of its four adapters, and our tokens."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx2
import pytest
from msgspec import Struct

from grantledger import ProtectedResource
from grantledger.testing import USER, LocalIssuer, local_issuer
from support.better_auth_servers import ADAPTERS, running
from support.hosting import hosting
from support.real_clients import whoami_by_the_official_client
from support.server import free_port
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, once("its servers make a SQLite file of their own")]

SCOPES = ("openid", "todo:write")


class McpServer(Struct, frozen=True):
    """A running MCP server, the URL that it takes for Better Auth's, and the origin of another MCP server."""

    origin: str
    auth_url: str
    other: str
    local: LocalIssuer
    http: httpx2.AsyncClient

    async def call(self, token: str | None) -> httpx2.Response:
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "whoami", "arguments": {}},
        }
        return await self.http.post(f"{self.origin}/mcp", headers=headers, json=call)

    async def token(self) -> str:
        return await self.local.token(resource=self.origin, scopes=SCOPES)


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, McpServer]]:
    """One MCP server for each adapter, all with tokens of one issuer."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    ports = {adapter: free_port() for adapter in ADAPTERS}
    origins = {adapter: f"http://127.0.0.1:{ports[adapter]}" for adapter in ADAPTERS}
    paths = {adapter: f"/{adapter}/api/auth" for adapter in ADAPTERS}
    resources = tuple(
        ProtectedResource(origins[adapter], scopes=("todo:write",), better_auth_path=paths[adapter])
        for adapter in ADAPTERS
    )
    home = tmp_path_factory.mktemp("home")
    async with (
        local_issuer(issuer=issuer, port=port, resources=resources) as local,
        hosting(local.server.app(), port),
        httpx2.AsyncClient(timeout=TIMEOUT, verify=False) as http,
    ):
        with ExitStack() as started:
            made = {}
            for adapter, other in zip(ADAPTERS, (*ADAPTERS[1:], ADAPTERS[0]), strict=True):
                auth_url = f"{issuer}{paths[adapter]}"
                origin = started.enter_context(running(adapter, ports[adapter], auth_url, home=home))
                made[adapter] = McpServer(origin, auth_url, origins[other], local, http)
            yield made


@pytest.fixture(params=ADAPTERS)
def server(request, servers: dict[str, McpServer]) -> McpServer:
    return servers[request.param]


async def test_a_tool_knows_the_user_the_client_and_the_scopes_of_a_token(server: McpServer):
    token = await server.token()
    session = await server.local.server.use_cases.look_up_session(token)
    answer = await server.call(token)
    assert answer.status_code == 200
    assert f"{session.user_id} {session.client_id} openid todo:write" in answer.text


async def test_without_a_token_a_client_is_led_to_metadata_of_this_server(server: McpServer):
    refused = await server.call(None)
    assert refused.status_code == 401
    led = re.search(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
    assert led is not None
    metadata = (await server.http.get(led[1])).json()
    assert (metadata["resource"], metadata["authorization_servers"]) == (server.origin, [server.auth_url])


async def test_a_revoked_token_is_401(server: McpServer):
    token = await server.token()
    await server.local.revoke(token)
    assert (await server.call(token)).status_code == 401


async def test_an_expired_token_is_401(server: McpServer):
    token = await server.token()
    await server.local.expire(token)
    assert (await server.call(token)).status_code == 401


async def test_a_token_for_another_mcp_server_is_401(server: McpServer):
    token = await server.local.token(resource=server.other, scopes=SCOPES)
    assert (await server.call(token)).status_code == 401


async def test_the_adapter_serves_our_metadata(server: McpServer):
    path = "/.well-known/oauth-authorization-server"
    passed_on = await server.http.get(f"{server.origin}{path}")
    assert passed_on.json() == (await server.http.get(f"{server.auth_url}{path}")).json()


async def test_the_official_client_signs_in_and_calls_a_tool(server: McpServer):
    """Fails if an issuer, a URL or an `iss` in the flow differs from the one that the adapter names."""
    call = await whoami_by_the_official_client(
        f"{server.origin}/mcp", email=USER, password=server.local.password
    )
    session = await server.local.server.use_cases.look_up_session(call.access_token)
    assert session.resource == server.origin
    assert call.said.startswith(f"{session.user_id} {session.client_id} ")
