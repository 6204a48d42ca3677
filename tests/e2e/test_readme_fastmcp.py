"""The two FastMCP servers of the README, as they are written there."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth

from support.oauth import Person
from support.programs import readme_programs, running
from support.server import PASSWORD, Server, cli, free_port, serving

pytestmark = pytest.mark.full

EMBEDDED, REMOTE = (program for program in readme_programs() if "FastMCP(" in program)


@contextmanager
def started(program: str, directory: Path, port: int, **settings: str) -> Iterator[str]:
    path = directory / "readme_fastmcp.py"
    path.write_text(program)
    os.environ["FASTMCP_PORT"] = str(port)  # 8000, where it is not set
    try:
        with running(path, directory, port=str(port), **settings) as origin:
            yield origin
    finally:
        del os.environ["FASTMCP_PORT"]


@pytest.mark.parametrize("program", [EMBEDDED, REMOTE])
def test_a_fastmcp_server_is_protected_in_five_lines(program):
    assert len([line for line in program.splitlines() if line.strip()]) <= 5


async def connects(origin: str, token: str) -> bool:
    async with Client(f"{origin}/mcp", auth=BearerAuth(token)) as client:
        return len(await client.list_tools()) == 0


async def token_of(origin: str, resource: str, email: str = "ada@example.com") -> str:
    person = Person.at(origin, password=PASSWORD)
    async with person.http:
        client = (await person.register())["client_id"]
        return str((await person.tokens(client, email=email, resource=resource))["access_token"])


async def test_the_embedded_server_of_the_readme_accepts_its_own_tokens(tmp_path):
    port = free_port()
    settings = {"port": str(port), "database": str(tmp_path / "grantledger.sqlite3")}
    add = ("user", "add", "ada@example.com", "--password-stdin")
    added = cli(*add, cwd=tmp_path, stdin=PASSWORD, **settings)
    assert added.returncode == 0, added.stderr
    with started(EMBEDDED, tmp_path, port, database=settings["database"]) as origin:
        assert httpx2.post(f"{origin}/mcp").status_code == 401
        assert await connects(origin, await token_of(origin, f"{origin}/mcp"))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def issuer(tmp_path, port) -> Iterator[Server]:
    resources = json.dumps([{"identifier": f"http://127.0.0.1:{port}/mcp"}])
    directory = tmp_path / "issuer"
    directory.mkdir()
    with serving(directory, resources=resources) as server:
        yield server


async def test_the_remote_server_of_the_readme_accepts_the_tokens_of_its_issuer(tmp_path, issuer, port):
    resource = f"http://127.0.0.1:{port}/mcp"
    program = REMOTE.replace("https://auth.example.com", issuer.issuer)
    program = program.replace("https://mcp.example.com/mcp", resource)
    with started(program, tmp_path, port) as origin:
        assert httpx2.post(f"{origin}/mcp").status_code == 401
        assert await connects(origin, await token_of(issuer.origin, resource))
