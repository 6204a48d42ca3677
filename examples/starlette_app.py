"""A Starlette application with the server's paths in front of it; FastAPI, Quart or Django go the same way.

Run `python examples/starlette_app.py`. http://127.0.0.1:8000/ is the application's, and /mcp too, behind the
guard; /authorize, /token and the others are the server's. The ledger ends with the process.
"""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from demo_account import DATABASE, open_demo_account
from grantledger import AuthorizationServer, current_session

server = AuthorizationServer.from_environment(database=DATABASE)


async def home(_: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello from the host application.")


async def whoami(_: Request) -> JSONResponse:
    session = current_session()
    assert session is not None  # the guard lets no other request through
    return JSONResponse({"user": session.user_id, "client": session.client_id})


guarded = server.guard(Starlette(routes=[Route("/mcp", whoami)]))
host = Starlette(routes=[Route("/", home), Route("/mcp", guarded)])
app = server.in_front_of(host)


if __name__ == "__main__":
    open_demo_account(server)
    where = server.settings
    # Forwarded headers are believed from `trusted_proxies` alone, which the server reads itself.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
