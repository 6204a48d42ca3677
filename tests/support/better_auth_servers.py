"""MCP servers in JavaScript that import Better Auth only, one for each adapter of its remote client.

`better_auth_servers/package-lock.json` has the pins: `npm install` in that folder writes it. They
leave out the command line, the inspector and the telemetry of mcp-use.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.node_clients import NodeClient, npm
from support.packages import install

ADAPTERS = ("express", "hono", "official", "mcp_use")

_FOLDER = Path(__file__).parent / "better_auth_servers"


def installed() -> str:
    """Return the program of Node.js; install the packages if they are not there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    install(
        _FOLDER / "package-lock.json",
        _FOLDER / "node_modules" / ".installed",
        (npm(), "ci"),
        cwd=_FOLDER,
    )
    return node


@contextmanager
def better_auth(port: int, *, home: Path) -> Iterator[str]:
    """Run Better Auth 1.6 itself, with an MCP server behind its guard, and return its origin."""
    with running("better_auth", port, "", home=home) as origin:
        yield origin


@contextmanager
def running(adapter: str, port: int, auth_url: str, *, home: Path) -> Iterator[str]:
    """Run the server with that adapter until the block ends, and return its origin."""
    with subprocess.Popen(
        [installed(), _FOLDER / f"{adapter}.mjs", str(port), auth_url],
        cwd=home,
        env={"HOME": str(home), "NODE_ENV": "production", "MCP_USE_ANONYMIZED_TELEMETRY": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        server = NodeClient(process)
        try:
            server.line_with("^listening")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.end()
