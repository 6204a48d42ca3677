"""Other ASGI applications at paths of our origin."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from grantledger.adapters.web.asgi_types import ASGIApp, Receive, Scope, Send


class Mount(Struct, frozen=True, kw_only=True):
    """An application for `path` and all below it; it sees the whole path of a request."""

    path: str
    app: ASGIApp
    lifespan: Callable[[], AbstractAsyncContextManager[None]]


def with_mounts(app: ASGIApp, mounts: Sequence[Mount]) -> ASGIApp:
    """Hand requests for a mount's path to it untouched, all others to `app`."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] in ("http", "websocket") else ""
        for mount in mounts:
            if path == mount.path or path.startswith(f"{mount.path}/"):
                scope["path_template"] = mount.path
                await mount.app(scope, receive, send)
                return
        await app(scope, receive, send)

    return handle if mounts else app
