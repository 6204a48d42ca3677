"""The MCP servers of the README, exactly as printed there, each in its own process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.programs import readme_programs, running
from support.real_clients import tools_seen_by_the_official_client
from support.server import EMAIL, PASSWORD, cli, free_port, serving
from support.stores import once

pytestmark = [pytest.mark.full, once("its servers make a SQLite file of their own")]

EMBEDDED, REMOTE, SDK = readme_programs()


@pytest.mark.parametrize("program", [EMBEDDED, REMOTE])
def test_a_fastmcp_server_is_protected_in_five_lines(program):
    assert len([line for line in program.splitlines() if line.strip()]) <= 5


@contextmanager
def started(program: str, directory: Path, port: int, **settings: str) -> Iterator[str]:
    """Run the program and yield the URL of its MCP server."""
    path = directory / "readme.py"
    path.write_text(program)
    # FastMCP listens at 8000 if nothing else is set.
    with running(path, directory, {"FASTMCP_PORT": str(port)}, port=str(port), **settings) as origin:
        yield f"{origin}/mcp"


async def tools_seen(url: str) -> list[str]:
    return await tools_seen_by_the_official_client(url, email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize(("program", "tools"), [(EMBEDDED, []), (SDK, ["whoami"])])
async def test_the_official_client_signs_in_at_a_server_of_one_process(tmp_path, program, tools):
    settings = {"port": str(free_port()), "database": str(tmp_path / "grantledger.sqlite3")}
    added = cli("user", "add", EMAIL, "--password-stdin", cwd=tmp_path, stdin=PASSWORD, **settings)
    assert added.returncode == 0, added.stderr
    port = int(settings.pop("port"))
    with started(program, tmp_path, port, **settings) as url:
        assert await tools_seen(url) == tools


async def test_the_official_client_signs_in_at_the_issuer_of_a_remote_server(tmp_path):
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    (tmp_path / "issuer").mkdir()
    with serving(tmp_path / "issuer", resources=json.dumps([{"identifier": resource}])) as issuer:
        program = REMOTE.replace("https://auth.example.com", issuer.issuer)
        with started(program.replace("https://mcp.example.com/mcp", resource), tmp_path, port) as url:
            assert await tools_seen(url) == []
