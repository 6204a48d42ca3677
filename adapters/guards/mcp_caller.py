"""The caller of a request, as the official `mcp` SDK knows it.

Importing this module needs the SDK, of version 1 or 2; the rest of the package does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials

from grantledger.adapters.asgi_types import Scope
from grantledger.adapters.guards.source import GuardedResource
from grantledger.application.tokens.mcp_session import McpSession


def access_token_members(session: McpSession, guarded: GuardedResource) -> dict[str, Any]:
    """Return the members of an `AccessToken`, as the SDK and FastMCP define it."""
    return {
        "token": session.access_token,
        "client_id": session.client_id,
        "scopes": list(session.scopes),
        "expires_at": session.expires_at,
        "resource": guarded.identifier,  # as configured: the SDK compares it with the URL it was given
        "subject": session.user_id or session.client_id,
        # The SDK identifies the owner of a session by client, issuer and subject.
        "claims": {**session.claims, "iss": guarded.issuer},
    }


@contextmanager
def known_to_sdk(scope: Scope, session: McpSession, guarded: GuardedResource) -> Iterator[None]:
    """Make the caller known to an application of the SDK, as its own middleware would.

    The SDK then serves an MCP session only to the caller who opened it, and its `get_access_token()` returns
    the token of the request. Changes `scope`.
    """
    user = AuthenticatedUser(AccessToken(**access_token_members(session, guarded)))
    scope["user"], scope["auth"] = user, AuthCredentials(user.scopes)
    before = auth_context_var.set(user)
    try:
        yield
    finally:
        auth_context_var.reset(before)
