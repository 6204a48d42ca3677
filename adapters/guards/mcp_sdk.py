"""For applications of the official `mcp` SDK: they learn who calls, and leave Host and Origin to the guard.

Importing this module needs the SDK (the extra `demo` brings it); the rest of the package does not.
"""

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.mcp_caller import access_token_members
from grantledger.adapters.guards.session import session_for
from grantledger.adapters.guards.source import GuardedResource
from grantledger.domain.refusal import Refusal


def auth_settings(*, issuer: str, resource: str) -> AuthSettings:
    """Return what the SDK's server takes as `auth`: the issuer of its tokens, and their audience."""
    # From strings, because the SDK's URL type would append slashes.
    return AuthSettings.model_validate(
        {"issuer_url": issuer, "resource_server_url": resource, "validate_token_resource": True}
    )


_LOOPBACK_HOSTS = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
"""What an application of the SDK accepts as Host by default."""


def leave_origins_to_the_guard(app: ASGIApp) -> None:
    """Switch off the SDK's check of Host and Origin if `app` is an SDK application with the SDK's defaults.

    The defaults are for a server on loopback. Behind a proxy the SDK would answer every request with 421, or
    403 if it comes from a browser. The purpose of the check is to stop a web page that reaches a server by
    DNS rebinding. A guard stops such a page too: no request passes without an access token, and a browser
    does not add one by itself. Rules that the program has set with `transport_security` are kept.
    """
    if not isinstance(app, Starlette):
        return
    for route in app.routes:
        endpoint = getattr(route, "endpoint", None)
        endpoint = getattr(endpoint, "app", endpoint)  # RequireAuthMiddleware wraps it
        if isinstance(endpoint, StreamableHTTPASGIApp):
            manager = endpoint.session_manager
            if manager.security_settings and manager.security_settings.allowed_hosts == _LOOPBACK_HOSTS:
                manager.security_settings = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class McpTokenVerifier:
    """Returns the user and the client of an access token to the SDK.

    Behind a guard the token is not checked again. Without a guard, the SDK answers 401 for None. In an outage
    this raises `Unavailable`, for which the SDK answers 500: on 401 clients would discard the token. The SDK
    cannot answer 503, so wrap its application with `with_mcp_auth`.
    """

    def __init__(self, guarded: GuardedResource) -> None:
        self._guarded = guarded
        # Read by FastMCP's RemoteAuthProvider. Each tool checks its own scopes.
        self.required_scopes: list[str] = []
        self.scopes_supported = list(guarded.scopes)

    async def verify_token(self, token: str) -> AccessToken | None:
        token = token.strip()  # RFC 9110 section 11.4 allows several spaces, and the SDK cuts after the first
        try:
            session = await session_for(token, self._guarded)
        except Refusal:
            return None
        return AccessToken(**access_token_members(session, self._guarded))
