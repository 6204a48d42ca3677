"""The guard: an ASGI wrapper that lets only requests with a valid access token through."""

import logging
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from grantledger.adapters.asgi_types import ASGIApp, Headers, Message, Receive, Scope, Send
from grantledger.adapters.guards.calls import Allowed, CallGuard, CallOptions, Hide, StepUpAnswer
from grantledger.adapters.guards.check import RequestCheck, names
from grantledger.adapters.guards.cors import CORS_NAMES, AllowedOrigin
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.late_bodies import LateBody
from grantledger.adapters.guards.rules import Rules
from grantledger.adapters.guards.scope_hierarchy import ScopeHierarchy, with_hierarchy
from grantledger.adapters.guards.session import keep_in, verified
from grantledger.adapters.guards.source import GuardedResource, McpAuth, resource_of
from grantledger.adapters.guards.step_up import step_up_of_call
from grantledger.adapters.guards.streams import ending_with_token
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.application.tokens.mcp_session import McpSession

_log = logging.getLogger(__name__)

_POLICY_VIOLATION = 1008

_SDK = "mcp.server.auth.middleware.bearer_auth"
"""A module that every application of the official `mcp` SDK imports."""


def with_mcp_auth(
    app: ASGIApp,
    auth: McpAuth,
    *,
    required_scopes: Iterable[str] = (),
    resource: str | None = None,
    public: Iterable[str] = (),
    allowed_origin: AllowedOrigin | None = None,
    rules: Rules | None = None,
    scope_hierarchy: ScopeHierarchy | None = None,
    step_up: StepUpAnswer = "http",
    hide: Hide = "nothing",
) -> "BearerGuard":
    """Return `app` behind a guard: it gets only requests with an access token. Others get a challenge.

    A token must be for `resource` (None: the default one of `auth`) and have all `required_scopes`. The paths
    in `public`, which are compared exactly, need no token. `allowed_origin` lists the origins whose web pages
    may send requests (None: the list of `auth`, by default every origin). The guard also serves the
    discovery documents.

    `app` sees the scheme and host of the resource. If it is an application of the official `mcp` SDK, it
    knows the caller: an MCP session serves only the caller who opened it, and `get_access_token()` works. The
    SDK's checks of Host and Origin are switched off, because the guard replaces them.

    The guard checks calls of tools with `@requires` before it passes them on. `rules` do the same for servers
    whose tools cannot be decorated: `{"tools/call:delete_*": requires(roles="admin")}`. With rules, every
    body must be JSON-RPC.
    `scope_hierarchy` names the scopes that a scope includes. `step_up="result"` answers a refused tool call
    with 200 and an error result. `hide` removes from lists what the session may not use.

    Raises `ValueError` for an unknown resource, a rule that fits no call, scopes that a challenge cannot
    hold, or `@requires` above the decorator that makes the tool. Raises `TypeError` for an `app` or `auth` of
    another kind.
    """
    if not callable(app):
        raise TypeError(
            f"app must be an ASGI application, not {app!r:.100}: of an MCP server, pass what its http_app() "
            "or streamable_http_app() returns"
        )
    guarded = resource_of(auth, resource)
    if allowed_origin is not None:
        guarded = replace(guarded, allowed_origin=allowed_origin)
    if "mcp.server.streamable_http_manager" in sys.modules:  # otherwise it cannot be one of the SDK's
        with suppress(ImportError):  # version 1 of the SDK has other names
            from grantledger.adapters.guards.mcp_sdk import (  # noqa: PLC0415 - an extra
                leave_origins_to_the_guard,
            )

            leave_origins_to_the_guard(app)
    calls = CallOptions(rules=rules or {}, scope_hierarchy=scope_hierarchy or {}, step_up=step_up, hide=hide)
    return BearerGuard(app, guarded, required_scopes=required_scopes, public=public, calls=calls)


class BearerGuard:
    """Refuse every request that has no access token for the resource (OAuth 2.1 section 5).

    The guarded application sees the scheme and host of the resource in every request, so its redirects and
    absolute URLs are right behind a proxy that ends TLS.
    """

    def __init__(
        self,
        app: ASGIApp,
        guarded: GuardedResource,
        *,
        required_scopes: Iterable[str] = (),
        public: Iterable[str] = (),
        calls: CallOptions | None = None,
    ) -> None:
        """`calls`: the options of `with_mcp_auth` for single calls.

        Raises `ValueError` for a metadata URL or scopes that a challenge cannot hold, or for a rule that fits
        no call.
        """
        self._app = app
        options = calls or CallOptions()
        guarded = with_hierarchy(guarded, options.scope_hierarchy)
        self._guarded = guarded
        self._check = RequestCheck(guarded, required_scopes)
        self._calls = CallGuard(app, guarded, names(required_scopes), options)
        self._discovery = Discovery(guarded)
        self._public = frozenset(names(public))
        self._cors = self._check.cors
        self._origin = _Origin(guarded.identifier)

    def is_document(self, path: str) -> bool:
        """Whether the guard answers this path with a discovery document."""
        return self._discovery.is_at(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._app(scope, receive, send)
            case _:  # a websocket cannot be challenged, and MCP does not use one
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        path, method = scope["path"], scope["method"]
        if method == "OPTIONS":
            await self._check.preflight(headers).send(send)
            return
        if self._cors.refuses(headers):
            response = self._check.response(GuardRefusal.ORIGIN_FOREIGN, headers)
        elif self._discovery.is_at(path):
            response = (await self._discovery.response(path, method)).adding(self._cors.headers(headers))
        elif path in self._public and _is_whole(scope):
            await self._pass_on(None, scope, headers, receive, send)
            return
        else:
            checked = await self._check.verified(headers, scope["query_string"])
            if not isinstance(checked, GuardRefusal):
                refused = await self._with_late_body(checked, scope, headers, receive, send)
                if refused is None:
                    return
                checked = refused
            response = self._check.response(checked, headers)
        await response.send(send, with_body=method != "HEAD")

    async def _with_late_body(
        self, session: McpSession, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> GuardRefusal | None:
        """Pass a request on, or return why the rest of its body was refused."""
        check = partial(self._check.verified, headers, scope["query_string"])
        late = LateBody(session, check, receive, send)
        try:
            await self._call(session, scope, headers, late.receive, late.send)
        except Exception:
            if late.refused is None:
                raise
            _log.debug("the application stopped because its client was refused", exc_info=True)
        return late.refused

    async def _call(
        self, session: McpSession, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        """Pass a request on if its session has the scopes, or refuse it."""
        # The application will see the Host of the resource, and may choose its route by it.
        server = self._calls.server_at(self._origin.applied(scope, headers))
        if server is None:
            checked = self._check.with_scopes(session)
            if not isinstance(checked, GuardRefusal):
                await self._pass_on(session, scope, headers, receive, send)
                return
            response = self._check.response(checked, headers)
        else:
            called = await self._calls.checked(session, server, headers, receive, send)
            if called is None:
                return
            if isinstance(called, Allowed):
                await self._pass_on(session, scope, called.headers, called.receive, called.send)
                return
            response = called.adding(self._cors.headers(headers))
        await response.send(send, with_body=scope["method"] != "HEAD")

    async def _pass_on(
        self, session: McpSession | None, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        inner = self._origin.applied(scope, headers)
        keep_in(inner, session)
        before, step_up = verified.set(session), step_up_of_call.set(self._calls.step_up)
        try:
            with (
                self._known_to_sdk(inner, session),
                ending_with_token(session, inner, receive, self._with_cors(headers, send)) as channels,
            ):
                await self._app(inner, *channels)
        finally:
            verified.reset(before)
            step_up_of_call.reset(step_up)

    def _known_to_sdk(self, scope: Scope, session: McpSession | None) -> AbstractContextManager[None]:
        if session is None or _SDK not in sys.modules:
            return nullcontext()
        from grantledger.adapters.guards.mcp_caller import known_to_sdk  # noqa: PLC0415 - an extra

        return known_to_sdk(scope, session, self._guarded)

    def _with_cors(self, request_headers: Headers, send: Send) -> Send:
        """Replace the CORS headers of every response by those of the guard."""
        cors = self._cors.headers(request_headers)

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [header for header in message.get("headers", ()) if header[0].lower() not in CORS_NAMES]
                message = {**message, "headers": [*own, *cors]}
            await send(message)

        return send_with_cors


def _is_whole(scope: Scope) -> bool:
    """Whether the path is what the client sent. Litestar removes the path of a mount from it."""
    path: bytes = scope["path"].encode()
    return bool(scope.get("raw_path", path) == path)


class _Origin:
    """The scheme, host and port of `url`, as an ASGI scope contains them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        self._scheme = parts.scheme
        self._server = (parts.hostname or "", parts.port or default)
        self._host = parts.netloc.lower().removesuffix(f":{default}").encode("ascii")

    def applied(self, scope: Scope, headers: Headers) -> Scope:
        others = [header for header in headers if header[0] != b"host"]
        return {
            **scope,
            "scheme": self._scheme,
            "server": self._server,
            "headers": [(b"host", self._host), *others],
        }
