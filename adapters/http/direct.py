"""The endpoints that get most requests, called without Litestar's routing, signature and response layers.

Measured: these layers were more than half of a request to `/session` (ADR 0033). The handlers are Litestar's
own, so that every other path, method and error is answered as before.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Litestar, MediaType, Request, Response
from litestar.utils.helpers import get_enum_string_value

from grantledger.adapters.asgi_types import ASGIApp, Message, Receive, Scope, Send
from grantledger.adapters.http.middleware import note_refusal

Handler = Callable[[Request[Any, Any, Any]], Awaitable[Response[bytes]]]


def with_direct_endpoints(
    app: Litestar,
    paths: Sequence[str],
    answer_error: Callable[[Request[Any, Any, Any], Exception], Response[bytes]],
) -> ASGIApp:
    """Call the handlers of `paths`, which take nothing but the request; leave all other requests to `app`."""
    direct = {
        (method, route.path): handler
        for route in app.routes
        if route.path in paths
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        if method != "OPTIONS"  # the handler is Litestar's own, and takes the scope
    }
    call: dict[Any, Handler] = {key: handler.fn for key, handler in direct.items()}

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        key = (scope["method"], scope["path"]) if scope["type"] == "http" else None
        if key not in direct:
            await app(scope, receive, send)
            return
        # What Litestar's router notes: the request finds its size limit by it, the log line its route.
        scope["litestar_app"] = scope["app"] = app
        scope["route_handler"], scope["path_params"] = direct[key], {}
        scope["path_template"] = scope["path"]
        scope.setdefault("state", {})
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            response = await call[key](request)
        except Exception as error:  # noqa: BLE001 - as Litestar does with its exception handlers
            note_refusal(scope, error)
            response = answer_error(request, error)
        await _send(response, send)

    return handle


async def _send(response: Response[bytes], send: Send) -> None:
    body = response.content
    content_type = get_enum_string_value(response.media_type or MediaType.JSON)
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    start: Message = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": [
            *(
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in response.headers.items()
            ),
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            *(cookie.to_encoded_header() for cookie in response.cookies),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
