"""MCP clients as their users have them: they know only the URL of an MCP server, and open a browser."""

import fastmcp
from fastmcp.client.auth import BearerAuth
from mcp.types import CallToolResult, TextContent
from msgspec import Struct

from grantledger.entrypoints.demo.browser import Arrival, Browser
from grantledger.entrypoints.demo.client import DemoClient
from grantledger.entrypoints.demo.pages import HtmlPage


class User:
    """Signs in when asked to, with these values of the form, and allows everything."""

    def __init__(self, browser: Browser, **sign_in: str) -> None:
        self.visits = 0
        self._browser = browser
        self._sign_in = sign_in

    async def visit(self, url: str) -> Arrival:
        self.visits += 1
        page = await self._browser.open(url)
        if isinstance(page, HtmlPage) and page.heading == "Sign in":
            page = await self._browser.press("Sign in", page, **self._sign_in)
        assert isinstance(page, HtmlPage)
        arrival = await self._browser.press("Allow", page)
        assert isinstance(arrival, Arrival)
        return arrival


class Call(Struct, frozen=True):
    """What the tool `whoami` answered, and the access token of the client that called it."""

    said: str
    access_token: str


async def whoami_by_the_official_client(url: str, **sign_in: str) -> Call:
    """Register, sign in, consent and call, with the `mcp` SDK's client and its OAuth provider."""
    async with Browser() as browser:
        client = DemoClient(url, User(browser, **sign_in).visit)
        async with client.connected() as connection:
            said = text(
                await connection.call_tool("whoami", {})
            )  # mcp-use 1 refuses a call without arguments
    assert client.storage.tokens is not None
    return Call(said, client.storage.tokens.access_token)


async def tools_seen_by_the_official_client(url: str, **sign_in: str) -> list[str]:
    """Register, sign in, consent and list the tools, with the same client."""
    async with Browser() as browser:
        user = User(browser, **sign_in)
        async with DemoClient(url, user.visit).connected() as connection:
            names = [tool.name for tool in (await connection.list_tools()).tools]
    assert user.visits == 1, "the server let a client in without a token"
    return names


async def whoami_by_fastmcps_client(url: str, access_token: str) -> str:
    """Call with FastMCP's client, and a token that it has already."""
    async with fastmcp.Client(url, auth=BearerAuth(access_token)) as client:
        (block,) = (await client.call_tool("whoami")).content
    assert isinstance(block, TextContent)
    return block.text


def text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text
