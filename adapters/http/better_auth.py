"""The paths of Better Auth 1.6 and its `mcp` plugin, for MCP servers that use its remote client (ADR 0079).

All endpoints except `get-session` are the server's own, at a second path.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from litestar import Response
from msgspec import UNSET, Struct
from msgspec.structs import replace

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
)
from grantledger.adapters.guards.source import Verify
from grantledger.adapters.http.middleware import note_client, note_refusal
from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.describe_server import (
    AuthorizationServerMetadata,
    DescribeServer,
    OpenIdProviderMetadata,
    ProtectedResourceMetadata,
)
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import Resource

SHARED = ("register", "token", "get-session", "jwks", "userinfo")
"""The endpoints below `{path}/mcp` that scripts of any origin may call (CORS)."""


class BetterAuthPaths(Struct, frozen=True, kw_only=True):
    """Where one MCP server looks for Better Auth.

    The MCP server gives Better Auth's client `issuer` as `authURL`. This client sends only an access token,
    so the path must say which MCP server asks: here only a token for `resource` has a session.
    """

    issuer: str
    resource: Resource

    @property
    def root(self) -> str:
        return urlsplit(self.issuer).path

    def path(self, endpoint: str) -> str:
        return f"{self.root}/mcp/{endpoint}"

    @property
    def well_known(self) -> str:
        return f"{self.root}/.well-known/"

    def documents(self, describe: DescribeServer) -> dict[str, Any]:
        """Return the discovery documents by path.

        The issuer's document is at the path of RFC 8414, and at the one where Better Auth's client looks.
        """
        of_server = self._server(describe.authorization_server())
        names = (AUTHORIZATION_SERVER, OPENID_CONFIGURATION)
        return {
            **{path: of_server for name in names for path in (f"{name}{self.root}", f"{self.root}{name}")},
            f"{self.root}{PROTECTED_RESOURCE}": self._resource(describe.protected_resource(self.resource)),
        }

    def _server(self, ours: AuthorizationServerMetadata) -> AuthorizationServerMetadata:
        endpoints = f"{self.issuer}/mcp"
        there: dict[str, Any] = {
            # RFC 8414 section 3.3: the issuer must equal `authorization_servers` in the MCP server's
            # metadata, which Better Auth's client writes.
            "issuer": self.issuer,
            "authorization_endpoint": f"{endpoints}/authorize",
            "token_endpoint": f"{endpoints}/token",
            "jwks_uri": f"{endpoints}/jwks",
            "protected_resources": (self.resource.identifier,),
        }
        if ours.registration_endpoint is not UNSET:
            there["registration_endpoint"] = f"{endpoints}/register"
        if isinstance(ours, OpenIdProviderMetadata):
            there["userinfo_endpoint"] = f"{endpoints}/userinfo"
        return replace(ours, **there)

    def _resource(self, ours: ProtectedResourceMetadata) -> ProtectedResourceMetadata:
        return replace(ours, authorization_servers=(self.issuer,))


class BetterAuthSessionEndpoint:
    """`GET /mcp/get-session`: the session of an access token for `resource`, otherwise `null`.

    The status of `null` is 200, as in Better Auth. The status in an outage is 503.
    """

    def __init__(self, look_up_session: Verify, resource: Resource) -> None:
        self._look_up_session = look_up_session
        self._resource = resource.identifier

    async def get_session(self, request: AnyRequest) -> Response[bytes]:
        try:
            token = bearer_token(request.scope["headers"])
            if token is None:
                return json_answer(None)
            session = await self._look_up_session(token, resource=self._resource)
        except (AuthorizationMalformed, Refusal) as refusal:
            note_refusal(request.scope, refusal)
            return json_answer(None)
        note_client(request.scope, session.client_id)
        return json_answer(_members(session))


def _members(session: McpSession) -> dict[str, Any]:
    """Return the session as Better Auth's client reads it, without the refresh token."""
    expires_at = datetime.fromtimestamp(session.expires_at, UTC)
    return {
        "accessToken": session.access_token,
        "accessTokenExpiresAt": expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "clientId": session.client_id,
        "userId": session.user_id,
        "scopes": " ".join(session.scopes),
    }
