"""Resources that an operator adds and removes while a server runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.oauth import Person, error_of
from support.server import PUBLIC, Server, cli, serving

FILES = "https://files.example/mcp"
MCP = "https://mcp.example/mcp"
SETTINGS = {**PUBLIC, "resources": f'[{{"identifier": "{MCP}"}}]'}


@pytest.fixture
def running(tmp_path) -> Iterator[Server]:
    with serving(tmp_path, **SETTINGS) as server:
        yield server


@pytest.fixture
async def person(running: Server) -> AsyncIterator[Person]:
    someone = Person.at(running.origin)
    yield someone
    await someone.http.aclose()


def operator(server: Server, *words: str) -> dict[str, Any]:
    """Run `grantledger resource` in a process of its own."""
    done = cli("resource", *words, "--json", cwd=server.database.parent, **server.settings)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


async def test_a_running_server_offers_a_resource_that_a_command_adds(running: Server, person: Person):
    client = (await person.register())["client_id"]
    operator(running, "add", FILES, "--name", "Files", "--scope", "files:read")
    await asyncio.sleep(1)  # discovery reads the resources once a second
    discovered = (await person.http.get("/.well-known/oauth-authorization-server")).json()
    assert discovered["protected_resources"] == [MCP, FILES]
    page = await person.sign_in(await person.asked(client, resource=FILES, scope="files:read"))
    assert "Files" in page.text
    tokens = await person.tokens(client, resource=FILES, scope="files:read")
    answer = await person.session(tokens["access_token"])
    assert (answer.json()["resource"], answer.json()["scope"]) == (FILES, "files:read")


async def test_a_running_server_refuses_a_resource_that_a_command_removes(running: Server, person: Person):
    client = (await person.register())["client_id"]
    operator(running, "add", FILES)
    await person.sign_in(await person.http.get("/authorize/account"))
    tokens = await person.tokens(client, resource=FILES)
    operator(running, "remove", FILES)
    await asyncio.sleep(1)
    assert error_of(await person.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")
