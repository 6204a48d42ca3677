"""A Starlette application with the authorization server in front of it. Any other ASGI application works too.

Run `python examples/starlette_app.py`. http://127.0.0.1:8000/ belongs to the application, and /mcp is an MCP
server of the official SDK behind the guard. /authorize, /token and the other paths belong to the
authorization server. The ledger is in memory.
"""

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, current_session

server = AuthorizationServer.from_environment(database=DATABASE)
notes = MCPServer("Notes")


@notes.tool()
def whoami() -> str:
    """Return the user who made this call."""
    session = current_session()
    assert session is not None  # the guard lets no other call through
    return str(session.user_id)


async def home(_: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello from the host application.")


mcp = notes.streamable_http_app(streamable_http_path="/mcp", stateless_http=True)
host = Starlette(
    routes=[Route("/", home), Route("/mcp", server.guard(mcp))],
    lifespan=mcp.router.lifespan_context,  # starts the MCP server
)
app = server.in_front_of(host)


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    # The server itself reads forwarded headers, and only from its `trusted_proxies`.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
