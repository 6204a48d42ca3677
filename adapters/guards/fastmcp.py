"""FastMCP: `FastMCP("Notes", auth=fastmcp_auth(auth))`. Importing this module needs FastMCP."""

from collections.abc import Iterable
from typing import Any

from fastmcp.server.auth import AccessToken, AuthProvider
from fastmcp.server.auth.auth import TokenVerificationError
from fastmcp.server.auth.middleware import RequireAuthMiddleware
from msgspec.structs import replace
from pydantic import AnyHttpUrl
from starlette.middleware import Middleware
from starlette.routing import Match, Mount, Route

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.calls import CallOptions, Hide, StepUpAnswer
from grantledger.adapters.guards.cors import AllowedOrigin
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.discovery_paths import origin_of
from grantledger.adapters.guards.mcp_caller import access_token_members
from grantledger.adapters.guards.requires import Declared
from grantledger.adapters.guards.scope_hierarchy import ScopeHierarchy
from grantledger.adapters.guards.session import session_for, verified
from grantledger.adapters.guards.source import GuardedResource, McpAuth, resource_of
from grantledger.domain.refusal import Refusal


def fastmcp_auth(
    auth: McpAuth,
    *,
    required_scopes: Iterable[str] = (),
    resource: str | None = None,
    allowed_origin: AllowedOrigin | None = None,
    scope_hierarchy: ScopeHierarchy | None = None,
    step_up: StepUpAnswer = "http",
    hide: Hide = "nothing",
) -> "FastMcpAuth":
    """Return what `FastMCP(auth=...)` takes. Tools call `get_access_token()` or `current_session()`.

    With an `AuthorizationServer` as `auth`, FastMCP's application also answers the paths of that server, and
    keeps its ledger open while it runs. `allowed_origin`, `scope_hierarchy`, `step_up` and `hide` are as in
    `with_mcp_auth`, and tools with `@requires` are checked as there. Raises `ValueError` for an unknown
    resource.
    """
    return FastMcpAuth(
        auth,
        required_scopes=required_scopes,
        resource=resource,
        allowed_origin=allowed_origin,
        scope_hierarchy=scope_hierarchy,
        step_up=step_up,
        hide=hide,
    )


class FastMcpAuth(AuthProvider):
    """Puts the guard in front of FastMCP's MCP endpoints, so that the guard answers 403, 503 and OPTIONS.

    Custom routes need no token, as in FastMCP itself.
    """

    def __init__(
        self,
        auth: McpAuth,
        *,
        required_scopes: Iterable[str] = (),
        resource: str | None = None,
        allowed_origin: AllowedOrigin | None = None,
        scope_hierarchy: ScopeHierarchy | None = None,
        step_up: StepUpAnswer = "http",
        hide: Hide = "nothing",
    ) -> None:
        self._auth = auth
        guarded = resource_of(auth, resource)
        self._guarded = guarded if allowed_origin is None else replace(guarded, allowed_origin=allowed_origin)
        self._calls = CallOptions(
            scope_hierarchy=scope_hierarchy or {}, step_up=step_up, hide=hide, find_server=_server_at
        )
        scopes = [required_scopes] if isinstance(required_scopes, str) else list(required_scopes)
        super().__init__(base_url=origin_of(self._guarded.identifier), required_scopes=scopes)

    @property
    def scopes_supported(self) -> list[str]:
        return list(self._guarded.scopes)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what FastMCP's `get_access_token` returns. The guard has verified the token already."""
        try:
            session = await session_for(token.strip(), self._guarded)
        except Refusal:
            return None
        except Exception as error:
            raise TokenVerificationError("the token cannot be verified now") from error
        return AccessToken(**access_token_members(session, self._guarded))

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Return the discovery documents, for applications that mount them at their root."""
        self.set_mcp_path(mcp_path)
        discovery = Discovery(self._guarded)
        return [
            *(Route(path, endpoint=_Endpoint(discovery.of_resource)) for path in discovery.paths_of_resource),
            *(Route(path, endpoint=_Endpoint(discovery.of_issuer)) for path in discovery.paths_of_issuer),
        ]

    def get_middleware(self) -> list[Any]:
        return [
            Middleware(self._auth.in_front_of),
            Middleware(
                _GuardedEndpoints,
                guarded=self._guarded,
                required_scopes=self.required_scopes,
                calls=self._calls,
            ),
            *super().get_middleware(),  # these make the AccessToken of a request that the guard has passed on
        ]

    def _guarded_endpoints(self, app: ASGIApp) -> ASGIApp:
        return _GuardedEndpoints(app, self._guarded, self.required_scopes, self._calls)

    def _get_resource_url(self, path: str | None = None) -> AnyHttpUrl:
        del path  # the resource is configured, and does not depend on the path of the mount
        return AnyHttpUrl(self._guarded.identifier)


class _Endpoint:
    """Wraps an ASGI application in an object, because Starlette calls a plain function as a view."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _GuardedEndpoints:
    """The guard for each route that FastMCP protects: `/mcp`, or `/sse` and `/messages`."""

    def __init__(
        self, app: ASGIApp, guarded: GuardedResource, required_scopes: Iterable[str], calls: CallOptions
    ) -> None:
        self._app = app
        self._guard = BearerGuard(app, guarded, required_scopes=required_scopes, calls=calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_guarded = scope["type"] == "http" and (
            self._guard.is_document(scope["path"]) or _is_protected(scope)
        )
        if is_guarded:
            await self._guard(scope, receive, send)
            return
        # The HTTP server may run a request in the context of an earlier request of the same connection.
        before = verified.set(None)
        try:
            await self._app(scope, receive, send)
        finally:
            verified.reset(before)


def _server_at(scope: Scope) -> Any:
    """Return the FastMCP server; the guard gets only requests to its own endpoints."""
    return scope["app"].state.fastmcp_server if Declared.any else None


def _is_protected(scope: Scope) -> bool:
    """Whether the first route of this path, for any method, is one for which FastMCP demands a token."""
    for route in scope["app"].routes:
        if route.matches(scope)[0] is not Match.NONE:
            inner = route.app if isinstance(route, Mount | Route) else None
            return isinstance(inner, RequireAuthMiddleware)
    return False
