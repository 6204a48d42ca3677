"""A Litestar application that issues tokens with the plugin, and takes them at an endpoint of its own.

Run `python examples/litestar_app.py`. http://127.0.0.1:8000/ is the application's; /authorize, /token and the
others are the server's. The ledger ends with the process.
"""

from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get
from litestar.exceptions import NotAuthorizedException

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, Unavailable

server = AuthorizationServer.from_environment(database=DATABASE)


@get("/")
async def home() -> str:
    return "Hello from the host application."


@get("/mcp")
async def whoami(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Answer who asks; only tokens for this resource count."""
    session = await server.get_mcp_session(request.headers, resource=server.resource().identifier)
    if session is None:
        raise NotAuthorizedException(headers={"WWW-Authenticate": server.challenge(request.headers)})
    return {"user": str(session.user_id), "client": session.client_id}


def try_again(_: Request[Any, Any, Any], __: Unavailable) -> Response[str]:
    """Answer 503 while tokens cannot be checked. On 401 clients would discard their tokens."""
    return Response("Try again in a few seconds.", status_code=503, headers={"Retry-After": "5"})


app = Litestar(
    [home, whoami], plugins=[server.litestar_plugin()], exception_handlers={Unavailable: try_again}
)


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    # Forwarded headers are believed from `trusted_proxies` alone, which the server reads itself.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
