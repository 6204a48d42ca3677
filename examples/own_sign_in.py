"""A Litestar application that keeps its own users and signs them in on its own page.

Run `python examples/own_sign_in.py`. Whoever authorizes an MCP client is sent to /login of this application,
and from there back to the consent page. The users and the ledger end with the process.
"""

import os
import secrets
import time
from typing import Annotated, Any

import uvicorn
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from litestar import Litestar, MediaType, Request, get, post
from litestar.enums import RequestEncodingType
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body, FromQuery
from litestar.response import Redirect

from grantledger import AuthorizationServer, HostUser

PASSWORD = os.environ.get("EXAMPLE_PASSWORD") or secrets.token_urlsafe(12)
HASHER = PasswordHasher()
USERS = {"grace": HASHER.hash(PASSWORD)}
NOBODY = HASHER.hash(secrets.token_urlsafe())

FORM = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1><p>{problem}</p>
<form method="post"><input name="name" aria-label="Name" required>
<input name="password" type="password" aria-label="Password" required>
<button>Sign in</button></form></html>"""


async def who_is_signed_in(scope: Any) -> HostUser | None:
    """Tell the authorization server; the session middleware below has read this application's cookie."""
    session = scope.get("session") or {}
    if "user" not in session:
        return None
    return HostUser(user_id=session["user"], signed_in_at=session["since"], name=session["user"])


server = AuthorizationServer.from_environment(
    host_identity=who_is_signed_in, database=":memory:", login_page="/login"
)


@get("/login", media_type=MediaType.HTML)
async def login() -> str:
    return FORM.format(problem="")


@post("/login")
async def log_in(
    request: Request[Any, Any, Any],
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
    transaction: FromQuery[str] = "",
) -> Any:
    name = data.get("name", "")
    try:
        HASHER.verify(USERS.get(name, NOBODY), data.get("password", ""))
        back = server.resume_path(transaction)  # refuses what is no transaction of ours
    except (VerifyMismatchError, ValueError):
        return FORM.format(problem="That did not work.")
    request.set_session({"user": name, "since": int(time.time())})
    return Redirect(back, status_code=303)


sessions = CookieBackendConfig(secret=secrets.token_bytes(32))
app = Litestar([login, log_in], plugins=[server.litestar_plugin()], middleware=[sessions.middleware])


if __name__ == "__main__":
    print(f"{server.resource().identifier}: sign in as grace with {PASSWORD}", flush=True)
    uvicorn.run(app, host=server.settings.host, port=server.settings.port, access_log=False)
