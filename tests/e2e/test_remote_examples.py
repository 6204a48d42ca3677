"""The examples whose authorization server is elsewhere, each in its own process, called by a real client."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from msgspec import Struct

from support.oauth import Person
from support.programs import EXAMPLES, running
from support.server import Server, free_port, serving
from support.timeouts import TIMEOUT

pytestmark = pytest.mark.full

PROGRAMS = ("fastmcp_remote", "sdk_remote", "fastapi_app", "flask_app", "django_app")


class Issuer(Struct, frozen=True):
    """An issuer in a process of its own, and where the examples listen."""

    server: Server
    port: int

    @property
    def resource(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[Issuer]:
    port = free_port()
    resources = json.dumps([{"identifier": f"http://127.0.0.1:{port}/mcp", "scopes": ["notes:read"]}])
    with serving(tmp_path_factory.mktemp("issuer"), resources=resources) as server:
        yield Issuer(server, port)


@pytest.fixture(scope="module")
async def token(issuer: Issuer) -> str:
    person = Person.at(issuer.server.origin)
    async with person.http:
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client, scope="openid", resource=issuer.resource)
    return str(tokens["access_token"])


@pytest.fixture(scope="module", params=PROGRAMS)
def origin(request, issuer: Issuer, tmp_path_factory) -> Iterator[str]:
    """The example named by the parameter, which a client reaches here."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    settings = {
        "issuer": issuer.server.issuer,
        "resource": issuer.resource,
        "port": str(issuer.port),
    }
    with running(EXAMPLES / f"{request.param}.py", directory, **settings) as origin:
        yield origin


async def test_the_official_client_calls_its_tool(origin: str, token: str):
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT) as http,
        Client(streamable_http_client(f"{origin}/mcp", http_client=http), mode="legacy") as client,
    ):
        (said,) = (await client.call_tool("whoami")).content
    assert said.type == "text"
    assert said.text.startswith("glu_")


async def test_a_client_without_a_token_is_led_to_the_issuer(origin: str, issuer: Issuer):
    async with httpx2.AsyncClient(base_url=origin, timeout=TIMEOUT) as http:
        refused = await http.post("/mcp", json={})
        assert refused.status_code == 401
        resource = await http.get("/.well-known/oauth-protected-resource/mcp")
        found = await http.get("/.well-known/oauth-authorization-server")
        preflight = await http.options("/mcp", headers={"origin": "https://inspector.example"})
    assert f'{origin}/.well-known/oauth-protected-resource/mcp"' in refused.headers["www-authenticate"]
    assert resource.json()["authorization_servers"] == [issuer.server.issuer]
    assert found.json()["issuer"] == issuer.server.issuer
    assert preflight.status_code == 204
