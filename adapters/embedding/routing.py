"""The server and a host's ASGI application at one origin: routing of requests, and a shared lifespan."""

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
    """Run the lifespan of `app`, with `running` opened before its start and closed after its stop.

    `app` may have no lifespan. An error of `running` is sent as a failed startup. If it were only raised, an
    ASGI server would take `app` for an application without a lifespan, and would serve without the ledger.
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
        if not host.was_asked:  # no lifespan, such as Django
            await host.send({"type": "lifespan.startup.complete"})
            await receive()
            await host.send({"type": "lifespan.shutdown.complete"})


class _Host:
    """The lifespan messages of the application. `was_asked`: it has received the startup message."""

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
        if message["type"] != "lifespan.startup.complete":  # the application stopped, or failed to start
            await self._opened.aclose()
        await self._send(message)


def in_front_of(
    app: ASGIApp,
    *,
    server: ASGIApp,
    routes: Iterable[str],
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> ASGIApp:
    """Return an application that passes requests for `routes` to `server`, and all others to `app`.

    `running` is open while both serve.
    """
    is_ours = matcher(routes)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await lifespan_around(running, app, scope, receive, send)
            case "http" if is_ours(scope["path"]):
                await server(scope, receive, send)
            case _:
                await app(scope, receive, send)

    return handle


def matcher(routes: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether a path belongs to one of `routes`.

    A route is a path. If it has parameters in braces, it matches all paths with the same beginning.
    """
    paths = frozenset(route for route in routes if "{" not in route)
    below = tuple({route.partition("{")[0] for route in routes if "{" in route})

    def matches(path: str) -> bool:
        if path.startswith(below) or path in paths:
            return True
        # Clients append resources unchanged to the well-known paths, some with a slash at the end.
        return "/.well-known/" in path and path.rstrip("/") in paths

    return matches
