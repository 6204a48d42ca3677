"""The official `mcp` SDK behind a guard: its `TokenVerifier`, so that tools see who calls them.

Importing this module needs the SDK (the extra `demo` brings it); the rest of the package does not.
"""

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from grantledger.adapters.guards.asgi import Verify
from grantledger.adapters.guards.session import verified
from grantledger.application.tokens.look_up_session import McpSession
from grantledger.domain.refusal import Refusal


def auth_settings(*, issuer: str, resource: str) -> AuthSettings:
    """Return what the SDK's server takes as `auth`: who issues its tokens, and that they must name it."""
    # From strings: the SDK's URL type would add slashes to URLs that were built before.
    return AuthSettings.model_validate(
        {"issuer_url": issuer, "resource_server_url": resource, "validate_token_resource": True}
    )


class LedgerTokenVerifier:
    """Tell the SDK who an access token speaks for, if it is meant for `resource`.

    Behind a `BearerGuard` nothing is looked up twice. Without one, `None` makes the SDK answer 401, and an
    outage is raised, which makes it answer 500: never 401, on which clients throw tokens away.
    """

    def __init__(self, verify: Verify, *, resource: str, issuer: str) -> None:
        self._verify = verify
        self._resource = resource
        self._issuer = issuer

    async def verify_token(self, token: str) -> AccessToken | None:
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
            claims={
                "iss": self._issuer
            },  # the SDK tells the owners of its sessions apart by client, issuer, subject
        )

    async def _session(self, token: str) -> McpSession:
        found = verified.get()
        if found is not None and found.token == token and found.resource == self._resource:
            return found.session
        return await self._verify(token, resource=self._resource)
