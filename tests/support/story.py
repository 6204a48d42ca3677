"""What happened before: the steps of the flow, so that a test shows only its own."""

from typing import Any

from msgspec.structs import replace

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.clients.register_client import NewClient
from grantledger.application.provenance import Caller
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.application.tokens.redeem_code import CodeRedemption
from grantledger.application.tokens.refresh_grant import Refresh
from grantledger.application.tokens.revoke import Revocation
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientRegistration
from support.clients import HTTPS
from support.codes import VERIFIER
from support.requests import asking
from support.use_cases import UseCases

CALLER = Caller(correlation_id="request")
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"

REGISTRATION = RegistrationRequest(
    redirect_uris=(HTTPS,),
    token_endpoint_auth_method="none",
    grant_types=("authorization_code", "refresh_token"),
    client_name="Editor",
)


class Story(UseCases):
    async def registers(self, **members: Any) -> NewClient:
        """A client registers, with the usual metadata of a public client except for these members."""
        return await self.register_client(replace(REGISTRATION, **members), CALLER)

    async def signs_in(self, email: str = EMAIL, password: str = PASSWORD) -> BrowserSession:
        return (await self.sign_in(email, password, CALLER)).session

    async def asks(
        self, client: ClientRegistration, session: BrowserSession | None = None, **parameters: Any
    ) -> AuthorizationRequest:
        """The client sends the browser to /authorize."""
        query = {"redirect_uri": client.metadata.redirect_uris[0]} | parameters
        started = await self.start_authorization(asking(client_id=client.client_id, **query), session)
        return started.request

    async def allows(self, request: AuthorizationRequest, session: BrowserSession) -> IssuedCode:
        """The user consents."""
        return await self.give_consent(request, session, allowed=True, caller=CALLER)

    async def code(self, client: ClientRegistration, session: BrowserSession, **parameters: Any) -> str:
        """The user consents to what the client asks for, and the client gets its code."""
        return (await self.allows(await self.asks(client, session, **parameters), session)).code

    async def redeems(
        self, client: ClientRegistration, code: str, *, secret: str | None = None, **request: Any
    ) -> Tokens:
        """The client presents the code in a correct request, except for the fields in `request`."""
        right = CodeRedemption(
            credentials=ClientCredentials(client_id=client.client_id, secret=secret),
            code=code,
            code_verifier=VERIFIER,
            redirect_uri=client.metadata.redirect_uris[0],
            resources=(),
            caller=CALLER,
        )
        return await self.redeem_code(replace(right, **request))

    async def tokens(self, client: ClientRegistration, session: BrowserSession, **parameters: Any) -> Tokens:
        """The client gets the first tokens of a new grant."""
        return await self.redeems(client, await self.code(client, session, **parameters))

    async def refreshes(
        self,
        client: ClientRegistration,
        tokens: Tokens,
        *,
        secret: str | None = None,
        scope: str | None = None,
        resources: tuple[str, ...] = (),
        caller: Caller = CALLER,
    ) -> Tokens:
        """The client presents the refresh token of `tokens`."""
        assert tokens.refresh_token is not None
        return await self.refresh_grant(
            Refresh(
                credentials=ClientCredentials(client_id=client.client_id, secret=secret),
                refresh_token=tokens.refresh_token,
                scope=scope,
                resources=resources,
                caller=caller,
            )
        )

    async def revokes(
        self, client: ClientRegistration, token: str | None, *, secret: str | None = None
    ) -> None:
        assert token is not None
        credentials = ClientCredentials(client_id=client.client_id, secret=secret)
        await self.revoke_token(Revocation(credentials=credentials, token=token, caller=CALLER))

    async def looks_up(self, tokens: Tokens, *, resource: str | None = None) -> McpSession:
        """A resource server looks up the access token of `tokens`."""
        return await self.look_up_session(tokens.access_token, resource=resource)
