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
    """Adds `routes`, which `server` answers completely: the host's exception handlers do not apply.

    Exclude the routes from middleware of the host that refuses requests, such as its sign-in. They are
    already excluded from Litestar's `CSRFConfig`.
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

        # Not `asgi`, whose routes have no path parameters. A mount would also take paths that are not ours.
        no_csrf_check = {CSRFConfig(secret="").exclude_from_csrf_key: True}

        @route([*self._routes], http_method=_METHODS, include_in_schema=False, opt=no_csrf_check)
        async def authorization_server() -> ASGIApp:
            return server

        app_config.route_handlers.append(authorization_server)
        # First, so that the server closes after the host's own lifespans.
        app_config.lifespan.insert(0, lambda _: self._running())
        return app_config
