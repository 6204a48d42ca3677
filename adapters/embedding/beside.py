"""A context that is open for as long as another ASGI application runs, whether or not it has a lifespan."""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from grantledger.adapters.asgi_types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)


async def lifespan_around(
    running: Callable[[], AbstractAsyncContextManager[None]],
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer the lifespan protocol: open before `app` starts, close after it has stopped.

    What fails here stops the start: a server that took the exception for "no lifespan here" would go on
    without the ledger.
    """
    startup = await receive()
    async with AsyncExitStack() as opened:
        try:
            await opened.enter_async_context(running())
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        host = _Host(startup, receive, send, opened)
        try:
            await app(scope, host.receive, host.send)
        except Exception:
            if host.was_asked:
                raise
        if not host.was_asked:  # an application without lifespan, such as Django
            await host.send({"type": "lifespan.startup.complete"})
            await receive()
            await host.send({"type": "lifespan.shutdown.complete"})


class _Host:
    """What the application hears and says; `was_asked` once it has heard that it should start."""

    def __init__(self, startup: Message, receive: Receive, send: Send, opened: AsyncExitStack) -> None:
        self._startup = startup
        self._receive = receive
        self._send = send
        self._opened = opened
        self.was_asked = False

    async def receive(self) -> Message:
        if self.was_asked:
            return await self._receive()
        self.was_asked = True
        return self._startup

    async def send(self, message: Message) -> None:
        if message["type"] != "lifespan.startup.complete":  # the application has stopped, or never started
            await self._opened.aclose()
        await self._send(message)


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
