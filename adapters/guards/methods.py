"""The methods that `AuthorizationServer` and `McpAuthClient` share, so that a program can use either."""

from collections.abc import Callable, Iterable

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.guards.asgi import BearerGuard, with_mcp_auth
from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.cors import AllowedOrigin
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.session import RequestHeaders, get_mcp_session
from grantledger.adapters.guards.source import McpAuth
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal


class GuardMethods:
    """Guards and look-ups for an `McpAuth`. `resource=None` means its default resource.

    All raise `ValueError` for an unknown resource. The look-ups raise `Unavailable` if the token cannot be
    checked now: answer 503, because the token may be valid.
    """

    async def verify_token(self: McpAuth, token: str, *, resource: str | None = None) -> McpSession | None:
        """Return the session of an access token, None if it is refused. Raises `Unavailable`."""
        guarded = self.guarded_resource(resource)
        try:
            return await guarded.verify(token, resource=guarded.identifier)
        except Refusal:
            return None

    async def get_session(
        self: McpAuth, headers: RequestHeaders, *, resource: str | None = None
    ) -> McpSession | None:
        """Return the session of a request's access token, None without one or with a refused one.

        Raises `Unavailable`.
        """
        return await get_mcp_session(self, headers, resource=resource)

    def handler(
        self: McpAuth,
        app: ASGIApp,
        *,
        resource: str | None = None,
        required_scopes: Iterable[str] = (),
        public: Iterable[str] = (),
        allowed_origin: AllowedOrigin | None = None,
    ) -> BearerGuard:
        """Return `app` behind a guard: `with_mcp_auth(app, self)`."""
        return with_mcp_auth(
            app,
            self,
            resource=resource,
            required_scopes=required_scopes,
            public=public,
            allowed_origin=allowed_origin,
        )

    def middleware(
        self: McpAuth,
        *,
        resource: str | None = None,
        required_scopes: Iterable[str] = (),
        public: Iterable[str] = (),
        allowed_origin: AllowedOrigin | None = None,
    ) -> Callable[[ASGIApp], BearerGuard]:
        """Return what a framework takes as middleware, such as `app.add_middleware(auth.middleware())`.

        Every path needs a token, except those in `public`. Litestar runs middleware for its own routes only:
        there, add the routes of `mcp_discovery`.
        """
        # Read only once: a framework may call `guard` several times, and an iterator would be used up.
        required, open_to_all = names(required_scopes), names(public)
        self.guarded_resource(resource)  # raises now for an unknown resource, and not at the first request

        def guard(app: ASGIApp) -> BearerGuard:
            return with_mcp_auth(
                app,
                self,
                resource=resource,
                required_scopes=required,
                public=open_to_all,
                allowed_origin=allowed_origin,
            )

        return guard

    def discovery_handler(self: McpAuth, *, resource: str | None = None) -> ASGIApp:
        """Return an ASGI application for the issuer's metadata, to be mounted where clients look for it.

        A guard around the whole application answers these paths itself. This is for a guard that gets only
        the requests of one path.
        """
        return Discovery(self.guarded_resource(resource)).of_issuer

    def protected_resource_handler(self: McpAuth, *, resource: str | None = None) -> ASGIApp:
        """Return an ASGI application for the resource's metadata, to be mounted as `discovery_handler`."""
        return Discovery(self.guarded_resource(resource)).of_resource
