"""What the official `mcp` SDK needs: who calls a tool, and who checks Host and Origin.

Importing this module needs the SDK (the extra `demo` brings it); the rest of the package does not.
"""

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.asgi import Verify
from grantledger.adapters.guards.session import verified
from grantledger.application.tokens.look_up_session import McpSession
from grantledger.domain.refusal import Refusal


def auth_settings(*, issuer: str, resource: str) -> AuthSettings:
    """Return what the SDK's server takes as `auth`: the issuer of its tokens, and their audience."""
    # From strings, because the SDK's URL type would append slashes.
    return AuthSettings.model_validate(
        {"issuer_url": issuer, "resource_server_url": resource, "validate_token_resource": True}
    )


_LOOPBACK_HOSTS = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
"""What an application of the SDK accepts as Host if its program names no hosts."""


def leave_origins_to_the_guard(app: ASGIApp) -> None:
    """Switch off the check of Host and Origin in `app` if it is one of the SDK's, with the SDK's defaults.

    They are for a server on loopback: behind a proxy every request would be 421, and 403 from a browser.
    Their purpose is to stop a web page that reaches a server by DNS rebinding. A guard stops it too: no
    request passes without an access token, and a browser adds none by itself. Rules that the program has set
    with `transport_security` stay.
    """
    if not isinstance(app, Starlette):
        return
    for route in app.routes:
        endpoint = getattr(route, "endpoint", None)
        endpoint = getattr(endpoint, "app", endpoint)  # inside of RequireAuthMiddleware
        if isinstance(endpoint, StreamableHTTPASGIApp):
            manager = endpoint.session_manager
            if manager.security_settings and manager.security_settings.allowed_hosts == _LOOPBACK_HOSTS:
                manager.security_settings = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class LedgerTokenVerifier:
    """Returns the user and the client of an access token for `resource` to the SDK, or to FastMCP.

    Behind a `BearerGuard` the token is not looked up again. Without one, the SDK answers 401 for None and
    500 for the exception that an outage raises: never 401, because clients would discard the token.
    """

    def __init__(self, verify: Verify, *, resource: str, issuer: str, scopes: tuple[str, ...] = ()) -> None:
        self._verify = verify
        self._resource = resource
        self._issuer = issuer
        # Read by FastMCP's RemoteAuthProvider. A tool checks itself whether the token has its scope.
        self.required_scopes: list[str] = []
        self.scopes_supported = list(scopes)

    async def verify_token(self, token: str) -> AccessToken | None:
        token = token.strip()  # RFC 9110 section 11.4 allows several spaces, and the SDK cuts after the first
        try:
            session = await self._session(token)
        except Refusal:
            return None
        return AccessToken(
            token=token,
            client_id=session.client_id,
            scopes=list(session.scopes),
            expires_at=session.expires_at,
            resource=self._resource,  # as configured: the SDK compares it with the URL it was given
            subject=session.user_id,
            # The SDK identifies the owner of a session by client, issuer and subject.
            claims={"iss": self._issuer},
        )

    async def _session(self, token: str) -> McpSession:
        found = verified.get()
        if found is not None and found.token == token and found.resource == self._resource:
            return found.session
        return await self._verify(token, resource=self._resource)
