"""The server's own paths in front of another ASGI application, of any framework."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from grantledger.adapters.web.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.web.lifespan import lifespan_around


def beside(
    app: ASGIApp,
    *,
    server: ASGIApp,
    routes: Iterable[str],
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> ASGIApp:
    """Hand requests for `routes` to `server` and all others to `app`; `running` spans the lifespan of both.

    A route is a path, whose last parts may be parameters in braces: then all below it is the server's.
    """
    paths = frozenset(route for route in routes if "{" not in route)
    below = tuple({route.partition("{")[0] for route in routes if "{" in route})

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await lifespan_around(running, app, scope, receive, send)
            case "http" if _is_ours(scope["path"]):
                await server(scope, receive, send)
            case _:
                await app(scope, receive, send)

    def _is_ours(path: str) -> bool:
        return path in paths or (path.rstrip("/") or "/") in paths or path.startswith(below)

    return handle
