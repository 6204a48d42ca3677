"""The authorization server inside another program: pages and endpoints, guards, use cases."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import msgspec

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.embedding.host_identity import HostIdentity, HostUser, resume_path
from grantledger.adapters.embedding.litestar_plugin import AuthorizationServerPlugin
from grantledger.adapters.embedding.routing import in_front_of
from grantledger.adapters.guards.asgi import BearerGuard, with_mcp_auth
from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.cors import AllowedOrigin
from grantledger.adapters.guards.discovery_paths import resource_metadata_url
from grantledger.adapters.guards.methods import GuardMethods
from grantledger.adapters.guards.refusals import guard_challenge
from grantledger.adapters.guards.session import RequestHeaders, authorization_headers
from grantledger.adapters.guards.source import GuardedResource, IssuerDocument
from grantledger.adapters.http.application import HttpLayer
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.adapters.http.middleware import Mount
from grantledger.adapters.http.pages.browser import ACCOUNT
from grantledger.application.ports import Clock
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.application.use_cases import UseCases
from grantledger.domain import resource_indicator
from grantledger.domain.absolute_uri import parse
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.composition import Container, resources_in_ledger
from grantledger.entrypoints.server import http_layer, run, server_open
from grantledger.entrypoints.settings import Settings, SettingsInvalid, check_identity, localhost_doubt
from grantledger.entrypoints.settings_sources import load_settings

if TYPE_CHECKING:
    from mcp.server.auth.settings import AuthSettings

    from grantledger.adapters.guards.mcp_sdk import McpTokenVerifier

_log = logging.getLogger("grantledger.settings")


class VouchNeeded(Exception):  # noqa: N818 - named for the fact
    """A sign-in page on a loopback issuer sends the browser on without having vouched for the user."""

    def __init__(self) -> None:
        super().__init__(
            "the issuer is on loopback, where other programs receive your cookies: redirect to "
            "`await server.vouch(transaction, user)`, right after the password was checked"
        )


class AuthorizationServer(GuardMethods):
    """One server. Its ledger is open inside `async with server:`, and while an application made here runs.

    All of these may be used together, in one event loop:

    - `app()` is the whole server as an ASGI application, with other applications mounted in it.
    - `in_front_of(app)` adds the server's paths to an ASGI application of any framework.
    - `litestar_plugin()` adds them to a Litestar application.
    - `use_cases` are called without HTTP.
    - `guard(app)` passes only requests with an access token for a protected resource. The methods
      `verify_token`, `get_session`, `handler`, `middleware`, `discovery_handler` and
      `protected_resource_handler` are those of `McpAuthClient`, without HTTP.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        host_identity: HostIdentity | None = None,
        allowed_origin: AllowedOrigin = "*",
    ) -> None:
        """Open nothing yet. Without `settings`, use the defaults, which are for loopback.

        With a `host_identity` your application signs users in, at the setting `login_page`. Pages of every
        origin may call guarded applications, or only those of `allowed_origin`. Raises `SettingsInvalid`.
        """
        self._container = Container(settings or Settings())
        if self.settings.workers > 1:
            sentence = "must be 1 in an embedded server, which is part of the processes of its host"
            raise SettingsInvalid("workers", sentence)
        self._host_identity = host_identity
        self._allowed_origin = allowed_origin
        self._added: dict[str, Resource] = {}
        check_identity(self.settings, by_host=host_identity is not None)
        self._opened = AsyncExitStack()
        self._users = 0
        self._lock = asyncio.Lock()

    @classmethod
    def from_environment(
        cls,
        config: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        *,
        host_identity: HostIdentity | None = None,
        allowed_origin: AllowedOrigin = "*",
        **settings: Any,
    ) -> Self:
        """Read settings as `grantledger serve` does; `settings` take precedence. Raises `SettingsInvalid`."""
        loaded = load_settings(config, environ, settings)
        return cls(loaded, host_identity=host_identity, allowed_origin=allowed_origin)

    @property
    def settings(self) -> Settings:
        return self._container.settings

    @property
    def issuer(self) -> str:
        return self.settings.issuer_identifier

    def use_clock(self, clock: Clock) -> None:
        """Take the time from `clock`, for tests. Call it before anything else."""
        self._container.clock.override(clock)

    @property
    def routes(self) -> list[str]:
        """The paths that the server answers, with parameters in braces."""
        return self._http.routes

    @property
    def account_path(self) -> str:
        """The path where people see their connected apps."""
        return resume_path(self.settings.base_path, ACCOUNT)

    @property
    def use_cases(self) -> UseCases:
        return self._container.use_cases()

    async def __aenter__(self) -> Self:
        """Migrate and open the ledger unless it is open. Raises `Unavailable`."""
        async with self._lock:
            if self._users == 0:
                await self._opened.enter_async_context(server_open(self._container))
            self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the ledger if no other `async with` and no application needs it."""
        async with self._lock:
            self._users -= 1
            if self._users == 0:
                await self._opened.aclose()

    def app(self, mounts: Sequence[Mount] = ()) -> ASGIApp:
        """Return the whole server, with other applications at paths of its origin."""
        return self._http.app(lifespan=self._running, mounts=mounts)

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with the server's paths added to it; `app` may have a lifespan of its own."""
        return in_front_of(app, server=self.app(), routes=self.routes, running=self._running)

    def litestar_plugin(self) -> AuthorizationServerPlugin:
        """Return what `Litestar(plugins=[...])` takes."""
        return AuthorizationServerPlugin(self.app(), self.routes, self._running)

    def resume_path(self, transaction: str) -> str:
        """Return the path to which your sign-in page redirects the browser. `transaction` is from its URL.

        Raises `ValueError` for a malformed transaction, and `VouchNeeded` on a loopback issuer.
        """
        if self.settings.issuer_on_loopback:
            raise VouchNeeded
        return resume_path(self.settings.base_path, transaction)

    async def vouch(self, transaction: str, user: HostUser) -> str:
        """Return the path to which your sign-in page redirects the browser after it has checked a password.

        Call it while you handle the request with the password, never for a request with only your cookie: on
        loopback, other programs receive that cookie too. The path is valid for 60 seconds, once. On any other
        issuer it is `resume_path(transaction)`. Raises `ValueError` for a malformed transaction.
        """
        return self._http.vouch(transaction, user)

    def resource(self, identifier: str | None = None) -> Resource:
        """Return the protected resource with that identifier; without one, the default resource.

        It is in the settings, or `grantledger resource add` has added it. The first use of an added resource
        blocks, because the ledger is read. Raises `ValueError` for any other identifier.
        """
        configured = self.settings.protected_resources
        if identifier is None:
            return configured[0]
        for known in (configured, self._added.values(), self._read_added()):
            for resource in known:
                if resource_indicator.same(identifier, resource.identifier):
                    self._added[resource.identifier] = resource
                    return resource
        names = ", ".join(repr(resource.identifier) for resource in configured)
        raise ValueError(
            f"{identifier!r} is not one of the protected resources: {names}. "
            "The settings name more, or `grantledger resource add` adds them"
        )

    def guarded_resource(self, resource: str | None = None) -> GuardedResource:
        """Return what guards need to know of a resource. Raises `ValueError` for an unknown one."""
        of = self.resource(resource)
        return GuardedResource(
            identifier=of.identifier,
            issuer=self.issuer,
            verify=self.use_cases.look_up_session,
            issuer_metadata=self._metadata,
            scopes=of.scopes,
            name=of.name,
            allowed_origin=self._allowed_origin,
            offered_scopes=frozenset((*self.settings.scopes, *of.scopes)),
        )

    def _read_added(self) -> Iterator[Resource]:
        """Read the resources of the ledger, in a thread: an event loop may run in this one."""
        with ThreadPoolExecutor(1) as thread:
            yield from thread.submit(asyncio.run, resources_in_ledger(self.settings)).result()

    async def _metadata(self, _: IssuerDocument) -> bytes:
        """Return the server's metadata, which is the same for OAuth and OpenID Connect."""
        return msgspec.json.encode(self.use_cases.describe_server.authorization_server())

    def guard(
        self,
        app: ASGIApp,
        resource: str | None = None,
        *,
        required_scopes: Iterable[str] = (),
        allowed_origin: AllowedOrigin | None = None,
    ) -> BearerGuard:
        """Return `app` behind a guard: it gets only requests with an access token for `resource`.

        The guard answers all others with a challenge. It is `with_mcp_auth`, which has more options.

        Raises `ValueError` for an unknown resource, or scopes that a challenge cannot hold.
        """
        return with_mcp_auth(
            app, self, resource=resource, required_scopes=required_scopes, allowed_origin=allowed_origin
        )

    def mount(
        self,
        app: ASGIApp,
        resource: str | None = None,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext,
    ) -> Mount:
        """Return `app`, guarded, at the path of its resource, for `app(mounts=[...])`.

        A resource without a path gets every path that is not the server's. `lifespan` is entered while `app`
        serves.
        """
        path = urlsplit(self.resource(resource).identifier).path.rstrip("/")
        return Mount(path=path, app=self.guard(app, resource), lifespan=lifespan)

    def token_verifier(self, resource: str | None = None) -> "McpTokenVerifier":
        """Return what the official `mcp` SDK takes as `token_verifier`. Needs the SDK."""
        from grantledger.adapters.guards.mcp_sdk import McpTokenVerifier  # noqa: PLC0415 - an extra

        return McpTokenVerifier(self.guarded_resource(resource))

    def auth_settings(self, resource: str | None = None) -> "AuthSettings":
        """Return what the official `mcp` SDK takes as `auth`. Needs the SDK."""
        from grantledger.adapters.guards.mcp_sdk import auth_settings  # noqa: PLC0415 - an extra

        return auth_settings(issuer=self.issuer, resource=self.resource(resource).identifier)

    async def get_mcp_session(
        self, headers: RequestHeaders, *, resource: str | None = None
    ) -> McpSession | None:
        """Return the session of a request's access token: `get_session` under Better Auth's name."""
        return await self.get_session(headers, resource=resource)

    def challenge(self, headers: RequestHeaders, *, resource: str | None = None) -> str:
        """Return the `WWW-Authenticate` header for a 401 that your own code answers.

        It holds the URL of the resource metadata, and says `invalid_token` if the request carried a token.
        """
        of = self.resource(resource)
        try:
            token = bearer_token(authorization_headers(headers))
        except AuthorizationMalformed:
            refusal = GuardRefusal.REQUEST_MALFORMED
        else:
            refusal = GuardRefusal.TOKEN_MISSING if token is None else GuardRefusal.TOKEN_INVALID
        return guard_challenge(refusal, resource_metadata_url(of.identifier), of.scopes)

    def run(self, mounts: Sequence[Mount] = ()) -> None:
        """Serve `app(mounts)` at the host and port of the settings until a signal stops the process."""
        run(self._http.app(lifespan=self._open, mounts=mounts), self.settings)

    @cached_property
    def _http(self) -> HttpLayer:
        return http_layer(self._container, self._host_identity)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        async with self:
            yield

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Open the ledger while another program serves an application that was made here."""
        if parse(self.issuer).is_localhost:
            _log.warning("%s", localhost_doubt(self.settings))
        async with self:
            yield
