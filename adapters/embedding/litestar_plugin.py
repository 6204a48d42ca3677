"""The server as a plugin of a host's Litestar application."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from litestar import route
from litestar.config.app import AppConfig
from litestar.config.csrf import CSRFConfig
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Method

_METHODS: list[Method] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class AuthorizationServerPlugin(InitPlugin):
    """Adds `routes`, each answered by `server` as a whole: the host's exception handlers do not touch them.

    Middleware of the host that refuses requests has to leave the routes out, because MCP clients know nothing
    of it: Litestar's `CSRFConfig` does so by itself, the host's sign-in has to be told.
    """

    def __init__(
        self,
        server: ASGIApp,
        routes: Sequence[str],
        running: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._server = server
        self._routes = routes
        self._running = running

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        server = self._server

        # Not `asgi`: its routes cannot have path parameters, and a mount swallows what only resembles them.
        leave_out = {CSRFConfig(secret="").exclude_from_csrf_key: True}

        @route([*self._routes], http_method=_METHODS, include_in_schema=False, opt=leave_out)
        async def authorization_server() -> ASGIApp:
            return server

        app_config.route_handlers.append(authorization_server)
        # First, so that it is still open while the host's own parts end.
        app_config.lifespan.insert(0, lambda _: self._running())
        return app_config
