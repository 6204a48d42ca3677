"""Django: a decorator for views, async with an `McpAuth`, sync with a `SyncMcpAuthClient`."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.cache import patch_vary_headers

from grantledger.adapters.asgi_types import Headers
from grantledger.adapters.guards.blocking import SyncMcpAuthClient
from grantledger.adapters.guards.check import RequestCheck
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.session import verified
from grantledger.adapters.guards.source import McpAuth
from grantledger.adapters.guards.wsgi import SyncCheck, headers_of
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse

View = Callable[..., Any]


def mcp_auth_required(auth: McpAuth | SyncMcpAuthClient, *required_scopes: str) -> Callable[[View], View]:
    """Return a decorator: the view needs an access token with these scopes.

    The view gets the session as `request.mcp_session`, and from `current_session()`. It needs no CSRF token,
    because no cookie is read. Raises `TypeError` for a sync view with an async client, or the reverse.
    """

    def decorate(view: View) -> View:
        decorated: Any
        if isinstance(auth, SyncMcpAuthClient):
            if iscoroutinefunction(view):
                raise TypeError("an async view needs an McpAuthClient or an AuthorizationServer")
            decorated = _sync(view, SyncCheck(auth, required_scopes))
        else:
            if not iscoroutinefunction(view):
                raise TypeError("a sync view needs a SyncMcpAuthClient")
            decorated = _async(view, RequestCheck(auth.guarded_resource(), required_scopes))
        decorated.csrf_exempt = True
        return decorated  # type: ignore[no-any-return]

    return decorate


def mcp_discovery(auth: McpAuth) -> list[URLPattern]:
    """Return URL patterns for the discovery documents. Add them to the `urlpatterns` of the root URLconf."""
    check, discovery = RequestCheck(auth.guarded_resource()), Discovery(auth.guarded_resource())

    async def document(request: HttpRequest) -> HttpResponse:
        headers = headers_of(request.META)
        if request.method == "OPTIONS":
            return _response(check.preflight(headers))
        # `path_info` has no script prefix, like the paths that Django compares with the patterns.
        response = await discovery.response(request.path_info, str(request.method))
        return _response(response.adding(check.cors.headers(headers)))

    return [path(at.removeprefix("/"), document) for at in discovery.paths]


def _async(view: View, check: RequestCheck) -> View:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        headers = headers_of(request.META)
        if request.method == "OPTIONS":
            return _response(check.preflight(headers))
        checked = await check.session(headers, _query(request))
        if isinstance(checked, GuardRefusal):
            return _response(check.response(checked, headers))
        request.mcp_session = checked
        before = verified.set(checked)
        try:
            return _with_cors(await view(request, *args, **kwargs), check, headers)
        finally:
            verified.reset(before)

    return guarded


def _sync(view: View, sync: SyncCheck) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        check, headers = sync.check, headers_of(request.META)
        if request.method == "OPTIONS":
            return _response(check.preflight(headers))
        checked = sync.session(headers, _query(request))
        if isinstance(checked, GuardRefusal):
            return _response(check.response(checked, headers))
        request.mcp_session = checked
        before = verified.set(checked)
        try:
            return _with_cors(view(request, *args, **kwargs), check, headers)
        finally:
            verified.reset(before)

    return guarded


def _query(request: HttpRequest) -> bytes:
    return str(request.META.get("QUERY_STRING", "")).encode("latin-1")


def _response(plain: PlainResponse) -> HttpResponse:
    response = HttpResponse(plain.body, status=plain.status)
    for name, value in plain.headers:
        # A preflight repeats the bytes of a request header, which need not be UTF-8.
        response[name.decode()] = value.decode("latin-1")
    return response


def _with_cors(response: HttpResponseBase, check: RequestCheck, headers: Headers) -> HttpResponseBase:
    for name, value in check.cors.headers(headers):
        if name == b"vary":
            patch_vary_headers(response, [value.decode()])
        else:
            response[name.decode()] = value.decode()
    return response
