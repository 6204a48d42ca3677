"""An authorization server of `create_auth_routes` of the `mcp` SDK, and an MCP server behind its guard.

The provider keeps everything in dictionaries. No user signs in: the SDK asks the provider for a code.
"""

import secrets
import time

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    ProviderTokenVerifier,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import (
    build_resource_metadata_url,
    create_auth_routes,
    create_protected_resource_routes,
)
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SCOPES = ["todo:write"]


class MemoryProvider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.partner: dict[str, str] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id is not None
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or SCOPES,
            expires_at=time.time() + 600,
            client_id=str(client.client_id),
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject="user",
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        code = self.codes.pop(authorization_code.code)
        return self._issue(code.client_id, code.scopes, code.resource)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        await self.revoke_token(refresh_token)
        return self._issue(refresh_token.client_id, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        for text in (token.token, self.partner.get(token.token, "")):
            self.access.pop(text, None)
            self.refresh.pop(text, None)
            self.partner.pop(text, None)

    def _issue(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        known = {"client_id": client_id, "scopes": scopes, "resource": resource, "subject": "user"}
        expires_at = int(time.time()) + 3_600
        self.access[access] = AccessToken.model_validate({"token": access, "expires_at": expires_at, **known})
        self.refresh[refresh] = RefreshToken.model_validate({"token": refresh, **known})
        self.partner |= {refresh: access, access: refresh}
        return OAuthToken(
            access_token=access, expires_in=3_600, scope=" ".join(scopes), refresh_token=refresh
        )


async def _tool(_: Request) -> JSONResponse:
    return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})


def sdk_server(origin: str) -> tuple[Starlette, MemoryProvider]:
    """Return the application, whose MCP server is at `/mcp`, and its provider."""
    provider = MemoryProvider()
    issuer, resource = AnyHttpUrl(origin), AnyHttpUrl(f"{origin}/mcp")
    options = ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES, default_scopes=SCOPES)
    guard = RequireAuthMiddleware(Route("/mcp", _tool).app, SCOPES, build_resource_metadata_url(resource))
    routes = [
        *create_auth_routes(
            provider,
            issuer,
            client_registration_options=options,
            revocation_options=RevocationOptions(enabled=True),
        ),
        *create_protected_resource_routes(resource, [issuer], scopes_supported=SCOPES),
        Route("/mcp", endpoint=guard),
    ]
    backend = BearerAuthBackend(ProviderTokenVerifier(provider), resource_server_url=resource)
    return Starlette(
        routes=routes, middleware=[Middleware(AuthenticationMiddleware, backend=backend)]
    ), provider
