"""mcp-use's Python server. Importing this module needs `mcp-use`, whose 1.x needs version 1 of the `mcp` SDK.

Put the guard around its application as well: `with_mcp_auth(server.streamable_http_app(), auth)`. By itself
mcp-use answers an outage with 401, and its challenge does not say where to get a token.
"""

from mcp_use.server.auth import AccessToken, BearerAuthProvider

from grantledger.adapters.guards.session import session_for
from grantledger.adapters.guards.source import McpAuth, resource_of
from grantledger.domain.refusal import Refusal


class McpUseAuth(BearerAuthProvider):  # type: ignore[misc] # mypy has no mcp-use
    """`MCPServer("Notes", auth=McpUseAuth(auth))`: tools call mcp-use's `get_access_token`."""

    def __init__(self, auth: McpAuth, *, resource: str | None = None) -> None:
        """Raises `ValueError` for an unknown resource."""
        self._guarded = resource_of(auth, resource)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the caller. A token that the guard has verified is not verified again."""
        try:
            session = await session_for(token.strip(), self._guarded)
        except Refusal:
            return None
        user = session.user
        personal = {} if user is None else {"email": user.email, "name": user.name}
        claims = {**session.claims, **{name: value for name, value in personal.items() if value is not None}}
        return AccessToken(token=session.access_token, claims=claims, scopes=list(session.scopes))
