"""A Litestar application that is also an MCP server and, by a plugin, an authorization server.

Run `python examples/litestar_app.py`. http://127.0.0.1:8000/ and /mcp belong to the application, and /mcp
needs a token. /authorize, /token and the other paths belong to the authorization server. The ledger is in
memory.
"""

from typing import Any

import uvicorn
from litestar import Litestar, Response, get, post
from litestar.di import NamedDependency

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, McpSession
from grantledger.adapters.guards.litestar import mcp_guard, provide_mcp_session
from tiny_mcp import answer

server = AuthorizationServer.from_environment(database=DATABASE)


@get("/")
async def home() -> str:
    return "Hello from the host application."


@post("/mcp", guards=[mcp_guard(server)], dependencies={"session": provide_mcp_session})
async def mcp(data: dict[str, Any], session: NamedDependency[McpSession]) -> Response[dict[str, Any] | None]:
    response = answer(data, session)
    return Response(response, status_code=202 if response is None else 200)


app = Litestar([home, mcp], plugins=[server.litestar_plugin()])


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    # The server itself reads forwarded headers, and only from its `trusted_proxies`.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
