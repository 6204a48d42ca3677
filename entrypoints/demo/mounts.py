"""The MCP servers of the demo, each with its own guard and resource."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.mcp_sdk import McpTokenVerifier, auth_settings
from grantledger.adapters.guards.source import GuardedResource
from grantledger.adapters.http.middleware import Mount

MakeServer = Callable[[AuthSettings, TokenVerifier], MCPServer[None]]


def guarded(make_server: MakeServer, of: GuardedResource, *required_scopes: str) -> Mount:
    """Return the MCP server, to be mounted at the path of its resource. Calls need `required_scopes`."""
    url = urlsplit(of.identifier)
    settings = auth_settings(issuer=of.issuer, resource=of.identifier)
    app = make_server(settings, McpTokenVerifier(of)).streamable_http_app(
        streamable_http_path=url.path, stateless_http=True, transport_security=_loopback_only(url.netloc)
    )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with app.router.lifespan_context(app):  # the SDK's session manager
            yield

    return Mount(path=url.path, app=BearerGuard(app, of, required_scopes=required_scopes), lifespan=running)


def _loopback_only(host: str) -> TransportSecuritySettings:
    """Refuse requests of web pages, except for pages on this computer, such as MCP Inspector.

    MCP: "Servers MUST validate the Origin header on all incoming connections to prevent DNS rebinding
    attacks". The port of a page does not matter, because the page needs a token anyway.
    """
    return TransportSecuritySettings(
        allowed_hosts=[host],
        allowed_origins=["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
    )
