"""Calls the endpoints that get most requests without Litestar's routing, signature and response layers.

Measured: these layers were more than half of a request to `/session` (ADR 0033). The handlers also stay in
Litestar, which answers every other path, method and error.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from litestar import Litestar, MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.utils.helpers import get_enum_string_value
from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp, Message, Receive, Scope, Send
from grantledger.adapters.http.middleware import note_refusal

Handler = Callable[..., Awaitable[Response[bytes]]]
BeforeRequest = Callable[[Request[Any, Any, Any]], Awaitable[Response[bytes] | None]]

SEGMENT = "{segment:str}"
"""The one parameter that a path may have, right after the prefix."""


class _Endpoint(Struct, frozen=True):
    route_handler: Any
    path_template: str
    call: Handler
    before: BeforeRequest | None


def with_direct_endpoints(
    app: Litestar,
    paths: Sequence[str],
    prefix: str,
    answer_error: Callable[[Request[Any, Any, Any], Exception], Response[bytes]],
) -> ASGIApp:
    """Call the handlers of `paths` and leave all other requests to `app`.

    The handlers take the request, and the `segment` of their path if there is one. Such a path begins with
    `prefix/{segment:str}`.
    """
    direct = {
        (method, route.path): _Endpoint(handler, route.path_format, handler.fn, _before(handler))
        for route in app.routes
        if route.path in paths
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        if method != "OPTIONS"  # Litestar's own handler of OPTIONS takes other arguments
    }
    beneath = f"{prefix}/"
    literal = [route.path.removeprefix(beneath) for route in app.routes if route.path.startswith(beneath)]
    # Litestar prefers a literal segment, too.
    reserved = {path.partition("/")[0] for path in literal} - {SEGMENT}

    def find(scope: Scope) -> tuple[_Endpoint | None, dict[str, str]]:
        method, path = scope["method"], scope["path"]
        endpoint = direct.get((method, path))
        if endpoint is not None or not path.startswith(beneath):
            return endpoint, {}
        segment, slash, form = path[len(beneath) :].partition("/")
        if not segment or segment in reserved:
            return None, {}
        return direct.get((method, f"{beneath}{SEGMENT}{slash}{form}")), {"segment": segment}

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint, parameters = find(scope) if scope["type"] == "http" else (None, {})
        if endpoint is None:
            await app(scope, receive, send)
            return
        # As Litestar's router does: the request reads its size limit from these, the log line its route.
        scope["litestar_app"] = scope["app"] = app
        scope["route_handler"], scope["path_params"] = endpoint.route_handler, parameters
        scope["path_template"] = endpoint.path_template
        scope.setdefault("state", {})
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            response = await endpoint.before(request) if endpoint.before is not None else None
            if response is None:
                response = await endpoint.call(request, **parameters)
        except Exception as error:  # noqa: BLE001 - as Litestar does with its exception handlers
            note_refusal(scope, error)
            response = answer_error(request, error)
        await _send(response, send)

    return handle


def _before(handler: Any) -> BeforeRequest | None:
    before: BeforeRequest | None = handler.resolve_before_request()
    return before


async def _send(response: Response[bytes], send: Send) -> None:
    body = response.content
    start: Message = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": [
            *(
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in response.headers.items()
            ),
            (b"content-type", _content_type(response.media_type or MediaType.JSON)),
            (b"content-length", b"%d" % len(body)),
            *((b"set-cookie", _set_cookie(cookie)) for cookie in response.cookies),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


@cache
def _content_type(media_type: MediaType | str) -> bytes:
    name = get_enum_string_value(media_type)
    return f"{name}; charset=utf-8".encode() if name.startswith("text/") else name.encode()


def _set_cookie(cookie: Cookie) -> bytes:
    """Return the header as Litestar writes it, in a thirtieth of the time. No value of ours needs quotes."""
    pair = f"{cookie.key}={cookie.value}" if cookie.value else f'{cookie.key}=""'
    attributes = [
        *(["HttpOnly"] if cookie.httponly else ()),
        *([f"Max-Age={cookie.max_age}"] if cookie.max_age is not None else ()),
        f"Path={cookie.path}",
        f"SameSite={cookie.samesite}",
        *(["Secure"] if cookie.secure else ()),
    ]
    return "; ".join([pair, *attributes]).encode("latin-1")
