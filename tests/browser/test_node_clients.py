"""MCP Inspector and `mcp-remote`, unmodified, against the demo: the user signs in, allows, and that is all.

The issuer is on loopback, where each authorization asks for the password. No other step is added.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from grantledger.entrypoints.demo.process import RunningServer, running_server
from support.node_clients import NodeClient, installed, running
from support.server import EMAIL, PASSWORD, free_port
from support.visitors import allow, sign_in

AUTHORIZE = r"http://\S+/authorize\?\S+"


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    installed()


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningServer]:
    with running_server(free_port(), EMAIL, PASSWORD) as server:
        yield server
        assert "Traceback" not in server.output()


def signs_in_and_allows(page: Page, *, back_at: str) -> None:
    sign_in(page, EMAIL)
    allow(page)
    page.wait_for_url(re.compile(re.escape(back_at)))


def call(client: NodeClient, tool: str) -> str:
    """Call a tool over stdin, as a client does that supports nothing else."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "desk", "version": "1"},
    }
    messages = (
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": {}}},
    )
    for message in messages:
        client.says(json.dumps({"jsonrpc": "2.0", **message}))
    return client.line_with(r'^\{.*"id":2.*')


def test_mcp_remote_asks_its_user_once_and_then_keeps_its_tokens(
    page: Page, demo: RunningServer, tmp_path: Path
) -> None:
    with running("mcp-remote", f"{demo.origin}/mcp", home=tmp_path) as client:
        page.goto(client.line_with(AUTHORIZE))
        signs_in_and_allows(page, back_at="/oauth/callback?code=")
        expect(page.locator("body")).to_contain_text("Authorization successful")
        assert "allowed: todo:read" in call(client, "whoami")
    with running("mcp-remote", f"{demo.origin}/mcp", home=tmp_path) as client:
        assert "allowed: todo:read" in call(client, "whoami")
        assert not re.search(AUTHORIZE, "".join(client.printed))


def test_the_web_page_of_inspector_connects(page: Page, demo: RunningServer, tmp_path: Path) -> None:
    arguments = ("--transport", "http", "--server-url", f"{demo.origin}/mcp")
    ports = {"CLIENT_PORT": str(free_port()), "MCP_SANDBOX_PORT": str(free_port())}
    environment = {"MCP_AUTO_OPEN_ENABLED": "false", "MCP_INSPECTOR_SECRET_STORE": "memory", **ports}
    with running("mcp-inspector", *arguments, home=tmp_path, **environment) as inspector:
        page.goto(inspector.line_with(r"http://\S+MCP_INSPECTOR_API_TOKEN=\S+"))
        page.get_by_role("switch").click(force=True)
        signs_in_and_allows(page, back_at="/oauth/callback?code=")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        page.get_by_text("Tools", exact=True).first.click()
        expect(page.get_by_text("add_todo").first).to_be_visible()


def test_the_command_line_of_inspector_calls_a_tool(page: Page, demo: RunningServer, tmp_path: Path) -> None:
    callback = f"http://127.0.0.1:{free_port()}/oauth/callback"
    arguments = ("--cli", f"{demo.origin}/mcp", "--method", "tools/call", "--tool-name", "whoami")
    with running(
        "mcp-inspector",
        *arguments,
        "--callback-url",
        callback,
        home=tmp_path,
        MCP_AUTO_OPEN_ENABLED="true",  # without a terminal it refuses to sign in otherwise
        MCP_INSPECTOR_SECRET_STORE="memory",
    ) as client:
        page.goto(client.line_with(AUTHORIZE))
        signs_in_and_allows(page, back_at=f"{callback}?code=")
        assert "allowed: todo:read" in client.rest()
