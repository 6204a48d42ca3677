"""A Litestar application that issues tokens with the plugin, and takes them at an endpoint of its own.

Run `python examples/litestar_app.py`. http://127.0.0.1:8000/ is the application's, and /mcp too, behind a
guard; /authorize, /token and the others are the server's. The ledger ends with the process.
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


@get("/mcp", guards=[mcp_guard(server)], dependencies={"session": provide_mcp_session})
async def whoami(session: NamedDependency[McpSession]) -> dict[str, str]:
    """Answer who asks; only tokens for this resource count."""
    return {"user": str(session.user_id), "client": session.client_id}


@post("/mcp", guards=[mcp_guard(server)], status_code=200)
async def mcp(data: dict[str, Any]) -> Response[dict[str, Any] | None]:
    response = answer(data)
    return Response(response, status_code=202 if response is None else 200)


app = Litestar([home, whoami, mcp], plugins=[server.litestar_plugin()])


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    # Forwarded headers are believed from `trusted_proxies` alone, which the server reads itself.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
