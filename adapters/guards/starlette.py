"""Starlette and FastAPI: a dependency, for routes of an application that is not behind `with_mcp_auth`.

As middleware, both take the guard itself: `Middleware(with_mcp_auth, auth=auth)`.
"""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request

from grantledger.adapters.guards.check import RequestCheck
from grantledger.adapters.guards.session import keep_for_route
from grantledger.adapters.guards.source import McpAuth, resource_of
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.application.tokens.mcp_session import McpSession


def mcp_session(
    auth: McpAuth, *required_scopes: str, resource: str | None = None
) -> Callable[[Request], Awaitable[McpSession]]:
    """Return a function that checks a request. In FastAPI: `Depends(mcp_session(auth, "notes:read"))`.

    The function returns the session, or raises Starlette's `HTTPException` with the challenge. `mcp_session`
    itself raises `ValueError` for an unknown resource.
    """
    check = RequestCheck(resource_of(auth, resource), required_scopes)

    async def session_of(request: Request) -> McpSession:
        headers = request.scope["headers"]
        checked = await check.session(headers, request.scope["query_string"])
        if isinstance(checked, GuardRefusal):
            raise HTTPException(*check.error(checked, headers))
        keep_for_route(request.scope, checked)
        return checked

    return session_of
