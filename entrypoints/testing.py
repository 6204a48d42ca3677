"""A server for the tests of MCP servers: in their process, with users, and tokens without a browser."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from grantledger.adapters.guards.discovery_paths import origin_of
from grantledger.adapters.system import SystemClock
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.provenance import Caller
from grantledger.application.tokens.redeem_code import CodeRedemption
from grantledger.application.tokens.revoke import Revocation
from grantledger.domain.authorization_request import AuthorizationParameters
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.digests import sha256
from grantledger.entrypoints.embedded import AuthorizationServer
from grantledger.entrypoints.settings import ProtectedResource, Settings

RESOURCE = "http://127.0.0.1:8000/mcp"
"""The default resource: the URL that FastMCP serves without settings."""

USER = "ada@example.com"
"""The default user."""

_CALLER = Caller(correlation_id="test", operator="test")
_REDIRECT_URI = "http://127.0.0.1/callback"
_UNLIMITED = dict.fromkeys(
    (
        "sign_in_attempts",
        "registrations",
        "registrations_per_address",
        "codes_per_session",
        "sign_ins_per_user",
    ),
    "off",
)


class MovableClock(SystemClock):
    """The system's time plus the seconds that a test has added."""

    def __init__(self) -> None:
        self._added = 0

    def now(self) -> int:
        return super().now() + self._added

    def advance(self, seconds: int) -> None:
        self._added += seconds


class LocalIssuer:
    """A running server, and the actions of a test on it.

    `server` is for guards in this process: `with_mcp_auth(app, local.server)`. `http` reaches the server in
    memory: `McpAuthClient(issuer=local.issuer, resource=local.resource, http=local.http)`.
    """

    def __init__(
        self,
        server: AuthorizationServer,
        http: httpx2.AsyncClient,
        clock: MovableClock,
        password: str,
        users: dict[str, str],
    ) -> None:
        self.server = server
        self.http = http
        self.password = password
        self._clock = clock
        self._user_ids = users
        self._client_of: dict[str, str] = {}

    @property
    def issuer(self) -> str:
        return self.server.issuer

    @property
    def resource(self) -> str:
        return self.server.resource().identifier

    async def token(
        self,
        user: str = USER,
        *,
        scopes: Iterable[str] | None = None,
        resource: str | None = None,
        client_name: str = "Test client",
    ) -> str:
        """Return a new access token of a user, with a grant of its own.

        Without `scopes`, the token has the scopes of the resource and the scopes that every client gets.
        Raises the `Refusal` of the server, such as for an unknown user or scope.
        """
        of, do = self.server.resource(resource), self.server.use_cases
        asked = (*self.server.settings.policy.default_scope, *of.scopes) if scopes is None else scopes
        client_id = await self._client(client_name)
        session = (await do.sign_in(user, self.password, _CALLER)).session
        verifier = secrets.token_urlsafe(48)
        challenge = sha256(verifier.encode())
        parameters = AuthorizationParameters(
            client_id=client_id,
            redirect_uri=_REDIRECT_URI,
            response_type="code",
            scope=" ".join(dict.fromkeys(asked)),
            code_challenge=challenge,
            code_challenge_method="S256",
            resources=(of.identifier,),
        )
        request = (await do.start_authorization(parameters, session)).request
        issued = await do.give_consent(request, session, allowed=True, caller=_CALLER)
        redemption = CodeRedemption(
            credentials=ClientCredentials(client_id=client_id),
            code=issued.code,
            code_verifier=verifier,
            redirect_uri=_REDIRECT_URI,
            resources=(),
            caller=_CALLER,
        )
        return (await do.redeem_code(redemption)).access_token

    async def grant_role(self, role: str, user: str = USER) -> None:
        """Give a user a role of the setting `roles`. It also applies to tokens that were issued before.

        Raises `RoleUnknown`, and `KeyError` for an unknown user.
        """
        await self.server.use_cases.grant_role(self._user_ids[user], role, _CALLER)

    async def revoke_role(self, role: str, user: str = USER) -> None:
        """Take a role from a user. Raises the same errors as `grant_role`."""
        await self.server.use_cases.revoke_role(self._user_ids[user], role, _CALLER)

    async def revoke(self, token: str) -> None:
        """Revoke an access token, as its client would. Raises a `Refusal` if it is not valid."""
        client_id = (await self.server.use_cases.look_up_session(token)).client_id
        credentials = ClientCredentials(client_id=client_id)
        await self.server.use_cases.revoke_token(
            Revocation(credentials=credentials, token=token, caller=_CALLER)
        )

    async def expire(self, token: str) -> None:
        """Move the server's time to the expiry of the token. Older tokens expire too."""
        session = await self.server.use_cases.look_up_session(token)
        self.advance(session.expires_at - self._clock.now())

    def advance(self, seconds: int) -> None:
        """Move the server's time."""
        self._clock.advance(seconds)

    async def _client(self, name: str) -> str:
        if name not in self._client_of:
            metadata = RegistrationRequest(
                client_name=name,
                redirect_uris=(_REDIRECT_URI,),
                token_endpoint_auth_method="none",
                grant_types=("authorization_code", "refresh_token"),
            )
            registered = await self.server.use_cases.register_client(metadata, _CALLER)
            self._client_of[name] = registered.client.client_id
        return self._client_of[name]


@asynccontextmanager
async def local_issuer(
    *,
    resource: str = RESOURCE,
    scopes: Iterable[str] = (),
    users: Iterable[str] = (USER,),
    **settings: Any,
) -> AsyncIterator[LocalIssuer]:
    """Run a server with accounts for these e-mail addresses. Its ledger is deleted when it ends.

    The issuer is the origin of the resource. `settings` are fields of `Settings`, which replace the defaults.
    """
    with TemporaryDirectory(prefix="grantledger-") as directory:  # https needs a file
        given = {
            "issuer": origin_of(resource),
            "database": str(Path(directory) / "grantledger.sqlite3"),
            "master_secret": (secrets.token_hex(32),),
            "resources": (ProtectedResource(resource, scopes=tuple(scopes)),),
            **_UNLIMITED,
            **settings,
        }
        server, clock = AuthorizationServer(Settings(**given)), MovableClock()
        server.use_clock(clock)
        app, password = server.app(), secrets.token_urlsafe()
        async with (
            server,
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=server.issuer) as http,
        ):
            opened = {email: await server.use_cases.open_account(email, password, _CALLER) for email in users}
            yield LocalIssuer(server, http, clock, password, opened)
