"""Grantledger: an OAuth 2.1 authorization server for MCP whose memory is a ledger that can be replayed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantledger.adapters.embedding.host_identity import HostIdentity, HostUser
    from grantledger.adapters.guards.acting_as import acting_as
    from grantledger.adapters.guards.asgi import with_mcp_auth
    from grantledger.adapters.guards.blocking import SyncMcpAuthClient
    from grantledger.adapters.guards.client import McpAuthClient
    from grantledger.adapters.guards.fastmcp import fastmcp_auth
    from grantledger.adapters.guards.requires import (
        has_any_scope,
        has_scope,
        require_permission,
        require_role,
        require_scope,
        requires,
    )
    from grantledger.adapters.guards.session import current_session, get_mcp_session
    from grantledger.adapters.guards.step_up import AccessRefused
    from grantledger.adapters.guards.wsgi import with_mcp_auth_wsgi
    from grantledger.adapters.http.middleware import Mount
    from grantledger.application.ports import Unavailable
    from grantledger.application.provenance import Caller
    from grantledger.application.tokens.mcp_session import McpSession
    from grantledger.domain.refusal import Refusal
    from grantledger.entrypoints.embedded import AuthorizationServer
    from grantledger.entrypoints.settings import (
        ConfiguredRole,
        ProtectedResource,
        Settings,
        SettingsInvalid,
    )

__all__ = [
    "AccessRefused",
    "AuthorizationServer",
    "Caller",
    "ConfiguredRole",
    "HostIdentity",
    "HostUser",
    "McpAuthClient",
    "McpSession",
    "Mount",
    "ProtectedResource",
    "Refusal",
    "Settings",
    "SettingsInvalid",
    "SyncMcpAuthClient",
    "Unavailable",
    "acting_as",
    "current_session",
    "fastmcp_auth",
    "get_mcp_session",
    "has_any_scope",
    "has_scope",
    "require_permission",
    "require_role",
    "require_scope",
    "requires",
    "with_mcp_auth",
    "with_mcp_auth_wsgi",
]

__version__ = "0.1.0"

_HOMES = {
    "AccessRefused": "adapters.guards.step_up",
    "AuthorizationServer": "entrypoints.embedded",
    "Caller": "application.provenance",
    "ConfiguredRole": "entrypoints.settings",
    "HostIdentity": "adapters.embedding.host_identity",
    "HostUser": "adapters.embedding.host_identity",
    "McpAuthClient": "adapters.guards.client",
    "McpSession": "application.tokens.mcp_session",
    "Mount": "adapters.http.middleware",
    "ProtectedResource": "entrypoints.settings",
    "Refusal": "domain.refusal",
    "Settings": "entrypoints.settings",
    "SettingsInvalid": "entrypoints.settings",
    "SyncMcpAuthClient": "adapters.guards.blocking",
    "Unavailable": "application.ports",
    "acting_as": "adapters.guards.acting_as",
    "current_session": "adapters.guards.session",
    "fastmcp_auth": "adapters.guards.fastmcp",
    "get_mcp_session": "adapters.guards.session",
    "has_any_scope": "adapters.guards.requires",
    "has_scope": "adapters.guards.requires",
    "require_permission": "adapters.guards.requires",
    "require_role": "adapters.guards.requires",
    "require_scope": "adapters.guards.requires",
    "requires": "adapters.guards.requires",
    "with_mcp_auth": "adapters.guards.asgi",
    "with_mcp_auth_wsgi": "adapters.guards.wsgi",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is used (PEP 562): importing a guard imports no server."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if not _HOMES[name].startswith("entrypoints."):
            raise
        message = f"{name} needs the authorization server: pip install 'grantledger[server]'"
        raise ModuleNotFoundError(message, name=error.name) from error
    return getattr(home, name)
