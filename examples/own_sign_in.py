"""A Litestar application with an MCP server. It has its own users, and signs them in on its own page.

Run `python examples/own_sign_in.py`. Users who authorize a client are redirected to /login of this program,
and from there back to the consent page. The users and the ledger are in memory.

On a loopback issuer this application sets no cookie that signs a user in, because other programs on the
machine could receive it. Instead it vouches for the user, in the request that contains the password.
"""

import os
import secrets
import time
from typing import Annotated, Any

import uvicorn
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from jinja2 import Environment
from litestar import Litestar, Request, get, post
from litestar.config.csrf import CSRFConfig
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException, HTTPException
from litestar.middleware.csrf import generate_csrf_token
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body, FromQuery
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Response, Template
from litestar.template import TemplateConfig
from litestar.utils.scope.state import ScopeState

from demo_account import DATABASE, print_next_step
from grantledger import AuthorizationServer, HostUser, McpSession
from grantledger.adapters.guards.litestar import mcp_guard, provide_mcp_session
from tiny_mcp import answer

PASSWORD = os.environ.get("EXAMPLE_PASSWORD") or secrets.token_urlsafe(12)
HASHER = PasswordHasher()
USERS = {"grace": HASHER.hash(PASSWORD)}
NO_USER = HASHER.hash(secrets.token_urlsafe())

HEAD = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<h1>Sign in</h1>
{% if problem %}<p role="alert">{{ problem }}</p>{% endif %}
"""
FORM = """<form method="post">{{ csrf_input | safe }}
<p><label>Name<br><input name="name" autocomplete="username" required></label></p>
<p><label>Password<br>
<input name="password" type="password" autocomplete="current-password" required></label></p>
<button>Sign in</button>
</form>
"""
WAY_OUT = """<p><a href="{{ connected_apps }}">Your connected apps</a></p>
"""


async def who_is_signed_in(scope: Any) -> HostUser | None:
    """Return the user who is signed in. The session middleware has read this application's cookie.

    On a loopback issuer the server does not call this.
    """
    session = scope.get("session") or {}
    if "user" not in session:
        return None
    return HostUser(user_id=session["user"], signed_in_at=session["since"], name=session["user"])


server = AuthorizationServer.from_environment(
    host_identity=who_is_signed_in,
    database=DATABASE,
    login_page="/login",
)


def form(problem: str | None = None, *, status: int = 200) -> Template:
    return Template(template_str=HEAD + FORM, context={"problem": problem}, status_code=status)


def form_again(request: Request[Any, Any, Any], _: HTTPException) -> Template:
    """Show the form again, with a new CSRF token, because the old one may be from an earlier process."""
    token = ScopeState.from_scope(request.scope).csrf_token = generate_csrf_token(CSRF.secret)
    answer = form("This form is too old or from elsewhere: sign in here.", status=403)
    answer.set_cookie(CSRF.cookie_name, token, httponly=True, samesite=CSRF.cookie_samesite)
    return answer


def broken(_: Request[Any, Any, Any], error: HTTPException) -> Template:
    context = {"problem": error.detail, "connected_apps": server.account_path}
    return Template(template_str=HEAD + WAY_OUT, context=context, status_code=error.status_code)


@get("/login")
async def login() -> Template:
    """Show the form, even to a user who seems signed in: on loopback another program may send the cookie."""
    return form()


# Without a transaction, the user continues to the connected apps.
@post("/login")
async def log_in(
    request: Request[Any, Any, Any],
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
    transaction: FromQuery[str] = "account",
) -> Template | Redirect:
    name = data.get("name", "")
    try:
        await to_thread.run_sync(HASHER.verify, USERS.get(name, NO_USER), data.get("password", ""))
    except VerifyMismatchError:
        return form("The name or the password is not right.", status=400)
    user = HostUser(user_id=name, signed_in_at=int(time.time()))
    try:
        # The path never leads to another site, even if the user has followed a malicious link.
        back = await server.vouch(transaction, user)
    except ValueError:
        raise ClientException("This link is broken. Start again in your application.") from None
    if not server.settings.issuer_on_loopback:
        request.set_session({"user": user.user_id, "since": user.signed_in_at})
    return Redirect(back, status_code=303)


@post(
    "/mcp",
    guards=[mcp_guard(server)],
    dependencies={"session": provide_mcp_session},
    exclude_from_csrf=True,  # MCP clients have no token of CSRFConfig, and the guard reads no cookie
)
async def mcp(data: dict[str, Any], session: NamedDependency[McpSession]) -> Response[dict[str, Any] | None]:
    response = answer(data, session)
    return Response(response, status_code=202 if response is None else 200)


CSRF = CSRFConfig(secret=secrets.token_urlsafe(), cookie_httponly=True)
sessions = CookieBackendConfig(secret=secrets.token_bytes(32))
app = Litestar(
    [login, log_in, mcp],
    plugins=[
        server.litestar_plugin()
    ],  # its forms have their own CSRF tokens; CSRFConfig does not check them
    csrf_config=CSRF,
    exception_handlers={403: form_again, 400: broken},
    middleware=[sessions.middleware],
    template_config=TemplateConfig(
        instance=JinjaTemplateEngine.from_environment(Environment(autoescape=True))
    ),
)


if __name__ == "__main__":
    print_next_step(server.resource().identifier, "grace", PASSWORD)
    where = server.settings
    # The server itself reads forwarded headers, and only from its `trusted_proxies`.
    uvicorn.run(app, host=where.host, port=where.port, access_log=False, proxy_headers=False)
