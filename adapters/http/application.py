"""The Litestar application: every route, and what is said when none of them can answer."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.http.answers import NO_STORE, error_answer, unavailable_answer
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import WireError
from grantledger.adapters.http.limits import MAX_BODY
from grantledger.adapters.http.middleware import (
    Mount,
    note_exception,
    with_cors,
    with_head,
    with_mounts,
    with_request_log,
)
from grantledger.adapters.http.pages.errors import PageErrors
from grantledger.application.ports import Unavailable

_log = logging.getLogger("grantledger.http")

HTTP_ERRORS = {
    400: WireError("invalid_request", "The request cannot be read."),
    404: WireError("not_found", "There is nothing at this address."),
    405: WireError("method_not_allowed", "This address does not take this method."),
    413: WireError("invalid_request", f"The body is longer than {MAX_BODY} bytes."),
    500: WireError("server_error", "Something went wrong here."),
}
"""What programs are told where no endpoint answers."""


def create_http_app(
    *,
    base_path: str,
    programs: Sequence[HTTPRouteHandler],
    pages: Sequence[HTTPRouteHandler],
    page_errors: PageErrors,
    caller_of: CallerReader,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    mounts: Sequence[Mount] = (),
) -> ASGIApp:
    """Return the whole server as one ASGI application.

    `programs` are the endpoints that clients call, from any origin; `pages` those that people see.
    """

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        _log.error("unexpected error", exc_info=error)
        if page_errors.own(request.scope["path"]):
            return page_errors.broken(request)
        return error_answer(HTTP_ERRORS[500], status=500)

    def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        told = page_errors.http_error if page_errors.own(request.scope["path"]) else _http_error
        return told(request, error)

    def unavailable(request: Request[Any, Any, Any], error: Unavailable) -> Response[bytes]:
        told = page_errors.unavailable if page_errors.own(request.scope["path"]) else _unavailable
        return told(request, error)

    app = Litestar(
        [*programs, Router("/", route_handlers=[*pages], exception_handlers=page_errors.handlers())],
        exception_handlers={HTTPException: http_error, Unavailable: unavailable, Exception: failed},
        lifespan=[lambda _: lifespan(), *(_without_app(mount) for mount in mounts)],
        request_max_body_size=MAX_BODY,
        after_exception=[note_exception],
        openapi_config=None,
        logging_config=None,
    )
    shared = {
        f"{base_path}/{name}" for name in ("register", "token", "revoke", "session", "jwks", "userinfo")
    }
    well_known = ("/.well-known/", f"{base_path}/.well-known/")

    def is_shared(path: str) -> bool:
        return path.rstrip("/") in shared or path.startswith(well_known)

    return with_request_log(with_mounts(with_cors(with_head(app), is_shared), mounts), caller_of)


def _without_app(mount: Mount) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    return lambda _: mount.lifespan()


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer as JSON what no route answers: an HTML page under /.well-known makes clients stumble."""
    told = HTTP_ERRORS.get(error.status_code, HTTP_ERRORS[400])
    headers = {**NO_STORE, **(error.headers or {})}  # a 405 says which methods are allowed
    return error_answer(told, status=error.status_code, headers=headers)


def _unavailable(_: Request[Any, Any, Any], __: Unavailable) -> Response[bytes]:
    return unavailable_answer()
