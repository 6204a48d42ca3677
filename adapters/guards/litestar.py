"""Litestar: a guard and a dependency, for routes of an application that is not behind `with_mcp_auth`."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import asgi
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Receive, Scope, Send

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.check import RequestCheck
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.session import keep_for_route, session_in
from grantledger.adapters.guards.source import McpAuth, resource_of
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.application.tokens.mcp_session import McpSession

Connection = ASGIConnection[Any, Any, Any, State]


def mcp_guard(
    auth: McpAuth, *required_scopes: str, resource: str | None = None
) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """Return what `guards=[...]` takes: routes with it need an access token with these scopes.

    The handler gets the session from `provide_mcp_session` or `current_session()`. Raises `ValueError` for an
    unknown resource.
    """
    check = RequestCheck(resource_of(auth, resource), required_scopes)

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        headers = list(connection.scope["headers"])
        checked = await check.session(headers, connection.scope["query_string"])
        if isinstance(checked, GuardRefusal):
            status, message, sent = check.error(checked, headers)
            raise HTTPException(status_code=status, detail=message, headers=sent)
        keep_for_route(connection.scope, checked)

    return guard


def mcp_discovery(auth: McpAuth, *, resource: str | None = None) -> list[ASGIRouteHandler]:
    """Return routes for the discovery documents: `Litestar([..., *mcp_discovery(auth)])`.

    They are for an application with `mcp_guard` or `middleware()`, which Litestar calls for its own routes
    only. The plugin of an `AuthorizationServer` has them already.

    Raises `ValueError` for an unknown resource.
    """
    discovery = Discovery(resource_of(auth, resource))
    return [
        *(_route(path, discovery.of_resource) for path in discovery.paths_of_resource),
        *(_route(path, discovery.of_issuer) for path in discovery.paths_of_issuer),
    ]


def _route(path: str, app: ASGIApp) -> ASGIRouteHandler:
    @asgi(path, copy_scope=True)
    async def document(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return document


async def provide_mcp_session(request: Request[Any, Any, Any]) -> McpSession:
    """Return the session of the request: `dependencies={"session": provide_mcp_session}`.

    Raises `RuntimeError` for a route without a guard.
    """
    session = session_in(request.scope)
    if session is None:
        raise RuntimeError("this route needs `mcp_guard`, or `with_mcp_auth` around the application")
    return session
