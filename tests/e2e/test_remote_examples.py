"""The examples whose authorization server is another process. Real clients call them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from support import mcp_use
from support.oauth import Person
from support.programs import EXAMPLES, PASSWORD, printed_by, running
from support.real_clients import Call, whoami_by_fastmcps_client, whoami_by_the_official_client
from support.server import EMAIL, free_port
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, once("its servers make a SQLite file of their own")]

PROGRAMS = ("fastmcp_remote", "sdk_remote", "fastapi_app", "flask_app", "django_app", "mcp_use_server")


INITIALIZE = {
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "Test client", "version": "1"},
    },
}


class Issuer(Struct, frozen=True):
    """`examples/issuer.py`, and the port of the MCP servers for which it issues tokens."""

    origin: str
    directory: Path
    port: int

    @property
    def resource(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def environment(self) -> dict[str, str]:
        return {"EXAMPLE_ISSUER": self.origin, "EXAMPLE_RESOURCE": self.resource}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[Issuer]:
    port, directory = free_port(), tmp_path_factory.mktemp("issuer")
    environment = {"EXAMPLE_RESOURCE": f"http://127.0.0.1:{port}/mcp"}
    with running(EXAMPLES / "issuer.py", directory, environment) as origin:
        yield Issuer(origin, directory, port)


@pytest.fixture(scope="module", params=PROGRAMS)
def directory(request, issuer: Issuer, tmp_path_factory) -> Iterator[Path]:
    """Where the example named by the parameter runs. Its clients reach it at the issuer's resource."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    program, environment, python = EXAMPLES / f"{request.param}.py", issuer.environment, Path(sys.executable)
    if request.param == "mcp_use_server":
        python = mcp_use.installed()
        environment |= mcp_use.ENVIRONMENT
    with running(program, directory, environment, python=python, port=str(issuer.port)):
        yield directory


@pytest.fixture(scope="module")
async def call(directory: Path, issuer: Issuer) -> Call:
    """The result of a call by the official client, which knew only the URL of the example."""
    return await whoami_by_the_official_client(issuer.resource, email=EMAIL, password=PASSWORD)


async def test_the_official_client_signs_in_elsewhere_and_calls_the_tool(call: Call):
    assert call.said.startswith("glu_")


async def test_fastmcps_client_calls_the_tool(issuer: Issuer, call: Call):
    assert await whoami_by_fastmcps_client(issuer.resource, call.access_token) == call.said


@pytest.mark.parametrize("directory", ["mcp_use_server"], indirect=True)
async def test_a_session_of_mcp_use_serves_only_the_client_who_opened_it(
    directory: Path, issuer: Issuer, call: Call
):
    person = Person.at(issuer.origin, password=PASSWORD)
    async with person.http, httpx2.AsyncClient(timeout=TIMEOUT, verify=False) as http:
        stranger = (await person.register())["client_id"]
        others = (await person.tokens(stranger, resource=issuer.resource))["access_token"]

        async def post(message: dict[str, Any], token: str, **headers: str) -> httpx2.Response:
            headers |= {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
            return await http.post(issuer.resource, json={"jsonrpc": "2.0", **message}, headers=headers)

        opened = await post(INITIALIZE, call.access_token)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        ping = {"id": 2, "method": "ping"}
        answers = [(await post(ping, token, **session)).status_code for token in (call.access_token, others)]
    assert answers == [200, 404]


async def test_a_client_without_a_token_is_led_to_the_issuer(directory: Path, issuer: Issuer):
    async with httpx2.AsyncClient(timeout=TIMEOUT, verify=False) as http:
        origin = f"http://127.0.0.1:{issuer.port}"
        refused = await http.post(issuer.resource, json={})
        assert refused.status_code == 401
        resource = await http.get(f"{origin}/.well-known/oauth-protected-resource/mcp")
        found = await http.get(f"{origin}/.well-known/oauth-authorization-server")
        preflight = await http.options(issuer.resource, headers={"origin": "https://inspector.example"})
    assert f'{origin}/.well-known/oauth-protected-resource/mcp"' in refused.headers["www-authenticate"]
    assert resource.json()["authorization_servers"] == [issuer.origin]
    assert found.json()["issuer"] == issuer.origin
    assert preflight.status_code == 204


def test_an_example_prints_first_what_to_do(directory: Path, issuer: Issuer):
    start, connect = printed_by(directory)[:2]
    assert start == (
        f"Start the authorization server at {issuer.origin} in another terminal: python examples/issuer.py"
    )
    assert connect == f"Connect an MCP client to {issuer.resource}"


def test_the_issuer_prints_first_what_to_do(issuer: Issuer):
    assert printed_by(issuer.directory)[:3] == [
        f"Start an MCP server at port {issuer.port} in another terminal: python examples/fastmcp_remote.py",
        f"Connect an MCP client to {issuer.resource}",
        f"Sign in as {EMAIL} with {PASSWORD}",
    ]
