"""Test an MCP server with real tokens, without a browser, network access or sleeps.

Run `python examples/tokens_in_tests.py`. In tests with pytest, take the fixture `grantledger_issuer` of
`grantledger.testing`.
"""

import asyncio
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer
from mcp.types import TextContent

from grantledger import current_session, with_mcp_auth
from grantledger.testing import RESOURCE, USER, local_issuer

notes = MCPServer("Notes", log_level="WARNING")


@notes.tool()
def whoami() -> str:
    """Return the e-mail address of the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    assert session.user is not None  # the token has the scope email
    return str(session.user.email)


def http_with(app: Any, token: str) -> httpx2.AsyncClient:
    """Return a client that calls the application in memory, with an access token."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), headers=headers)


async def said_to(app: Any, token: str) -> str:
    """Return what the tool says to an MCP client."""
    async with (
        http_with(app, token) as http,
        Client(streamable_http_client(RESOURCE, http_client=http)) as client,
    ):
        (block,) = (await client.call_tool("whoami")).content
    assert isinstance(block, TextContent)
    return block.text


async def status_for(app: Any, token: str) -> int:
    async with http_with(app, token) as http:
        return (await http.post(RESOURCE, json={})).status_code


async def main() -> None:
    app = notes.streamable_http_app(streamable_http_path="/mcp", stateless_http=True)
    async with local_issuer(scopes=["notes:read", "notes:write"]) as local, app.router.lifespan_context(app):
        guarded = with_mcp_auth(app, local.server, required_scopes=["notes:write"])
        token = await local.token(USER, scopes=["email", "notes:write"])
        print("a good token:", await said_to(guarded, token))
        print("without a scope:", await status_for(guarded, await local.token(scopes=["notes:read"])))
        revoked = await local.token()
        await local.revoke(revoked)
        print("a revoked token:", await status_for(guarded, revoked))
        await local.expire(token)
        print("an expired token:", await status_for(guarded, token))


if __name__ == "__main__":
    asyncio.run(main())
