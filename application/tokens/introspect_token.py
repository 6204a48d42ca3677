from msgspec import Struct

from grantledger.application.clients.authenticate_client import AuthenticateClient, ClientCredentials
from grantledger.application.provenance import Caller
from grantledger.application.resources.authenticate_resource import AuthenticateResource, names_a_resource
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.client_registration import ClientAuthenticationFailed
from grantledger.domain.refusal import Refusal


class Introspection(Struct, frozen=True, kw_only=True):
    """An introspection request (RFC 7662 section 2.1). A token shows its own type, so no hint is needed."""

    credentials: ClientCredentials
    token: str
    caller: Caller


class IntrospectToken:
    """Say whether an access token is active, to the two programs that the token concerns.

    These are the server of the token's resource, and the client that the token was issued to. The client
    needs a secret: RFC 7662 section 4 requires authentication, against scanning for valid tokens.
    """

    def __init__(
        self,
        look_up_session: LookUpSession,
        authenticate_client: AuthenticateClient,
        authenticate_resource: AuthenticateResource,
    ) -> None:
        self._look_up_session = look_up_session
        self._authenticate_client = authenticate_client
        self._authenticate_resource = authenticate_resource

    async def __call__(self, request: Introspection) -> McpSession | None:
        """Return the session of the token if it is active, otherwise None, whatever the reason.

        A refresh token is never active here. Raises `ResourceAuthenticationFailed`, `ClientUnknown`,
        `ClientAuthenticationFailed`, also for a public client, and `TooManyGuesses`.
        """
        if names_a_resource(request.credentials):
            resource = await self._authenticate_resource(request.credentials, request.caller)
            return await self._session(request.token, resource=resource.identifier)
        client = await self._authenticate_client(request.credentials, request.caller)
        if client.is_public:
            raise ClientAuthenticationFailed("a client without a secret asks about a token")
        session = await self._session(request.token)
        return session if session is not None and session.client_id == client.client_id else None

    async def _session(self, token: str, resource: str | None = None) -> McpSession | None:
        try:
            return await self._look_up_session(token, resource=resource)
        except Refusal:
            return None
