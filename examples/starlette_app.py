"""A Starlette application behind the paths of the server; any other ASGI application goes the same way.

Run `python examples/starlette_app.py`. http://127.0.0.1:8000/ is the application's; /mcp is an MCP server of
the official SDK, behind the guard; /authorize, /token and the others are the authorization server's. The
ledger ends with the process.
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
    # Forwarded headers are believed from `trusted_proxies` alone, which the server reads itself.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
