"""The session of a request, for the code behind a guard."""

import asyncio
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from grantledger.adapters.asgi_types import Scope
from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.source import GuardedResource, McpAuth, Verify
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import same

# Set by a guard that calls the guarded code itself, and reset after the call.
verified: ContextVar[McpSession | None] = ContextVar("grantledger_verified", default=None)

# Set by a guard of a single route, which cannot reset it. The task shows whether the request still runs.
_of_route: ContextVar[tuple[McpSession, asyncio.Task[Any] | None] | None] = ContextVar(
    "grantledger_of_route", default=None
)

_IN_SCOPE = "grantledger.session"


def current_session() -> McpSession | None:
    """Return the session of the current request, None if no guard has checked it.

    Behind a guard of a single route it returns None after the request, for example in tasks that continue
    after the response.
    """
    session = verified.get()
    if session is not None:
        return session
    of_route = _of_route.get()
    # The HTTP server may run a request in the context of an earlier request of the same connection.
    if of_route is None or (of_route[1] is not None and of_route[1].done()):
        return None
    return of_route[0]


def keep_for_route(scope: Scope, session: McpSession) -> None:
    """Make the session known to the route that this request is for."""
    keep_in(scope, session)
    _of_route.set((session, asyncio.current_task()))


def session_in(scope: Scope) -> McpSession | None:
    """Return the session of the request with this scope, None if no guard has checked it."""
    found: McpSession | None = scope.get(_IN_SCOPE)
    return found


def keep_in(scope: Scope, session: McpSession | None) -> None:
    """Store the session for `session_in`, in the scope of a request that a guard passes on."""
    scope[_IN_SCOPE] = session


async def session_for(token: str, guarded: GuardedResource) -> McpSession:
    """Return the session that a guard has found for the token, or verify the token. Raises as `Verify`."""
    found = current_session()
    if (
        found is not None
        and found.access_token == token
        and found.claims.get("iss") == guarded.issuer
        and same(found.resource, guarded.identifier)
    ):
        return found
    return await guarded.verify(token, resource=guarded.identifier)


RequestHeaders = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""The headers of a request: a framework's object, a mapping, or pairs as in an ASGI scope.

A `dict` cannot hold two Authorization headers: pass pairs, or the framework's object.
"""


def authorization_headers(headers: RequestHeaders) -> list[tuple[bytes, bytes]]:
    """Return every Authorization header. A character that no header can hold becomes a question mark."""
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    raw = ((_bytes(name).lower(), value) for name, value in pairs)
    return [(name, _bytes(value)) for name, value in raw if name == b"authorization"]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


async def get_mcp_session(
    auth: McpAuth, headers: RequestHeaders, *, resource: str | None = None
) -> McpSession | None:
    """Return the session of the request's access token, None if there is no token or it is refused.

    The token must be for `resource`, the default one of `auth` for None. Raises `Unavailable` if the token
    cannot be checked now, and `ValueError` for an unknown resource.
    """
    guarded = auth.guarded_resource(resource)
    return await session_of(headers, guarded.verify, resource=guarded.identifier)


async def session_of(headers: RequestHeaders, verify: Verify, *, resource: str) -> McpSession | None:
    """Return the session, None unless there is exactly one Authorization header, with a valid token.

    Raises `Unavailable`.
    """
    try:
        token = bearer_token(authorization_headers(headers))
        return await verify(token, resource=resource) if token else None
    except (AuthorizationMalformed, Refusal):
        return None
