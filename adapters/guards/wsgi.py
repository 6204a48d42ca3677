"""The guard for WSGI applications: Flask, Django, Bottle and others."""

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from http import HTTPStatus
from typing import Any

from grantledger.adapters.asgi_types import Headers
from grantledger.adapters.guards.blocking import SyncMcpAuthClient
from grantledger.adapters.guards.check import RequestCheck, names
from grantledger.adapters.guards.cors import CORS_NAMES
from grantledger.adapters.guards.discovery import Discovery
from grantledger.adapters.guards.session import verified
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse
from grantledger.application.tokens.mcp_session import McpSession

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def with_mcp_auth_wsgi(
    app: WSGIApp,
    auth: SyncMcpAuthClient,
    *,
    required_scopes: Iterable[str] = (),
    public: Iterable[str] = (),
) -> WSGIApp:
    """Return `app` behind a guard, as `with_mcp_auth` does. Code behind it calls `current_session()`.

    Raises `ValueError` for scopes that a challenge cannot hold, and `TypeError` for an async client.
    """
    return _Guard(app, auth, required_scopes, public).__call__


class SyncCheck:
    """The decision about a request, for frameworks without an event loop."""

    def __init__(self, auth: SyncMcpAuthClient, required_scopes: Iterable[str] = ()) -> None:
        """Raises `TypeError` for a client that needs an event loop."""
        if not isinstance(auth, SyncMcpAuthClient):
            raise TypeError(
                f"auth must be a SyncMcpAuthClient, not {auth!r:.100}: it has the arguments of McpAuthClient"
            )
        self._auth = auth
        self.check = RequestCheck(auth.guarded_resource(), required_scopes)

    def session(self, headers: Headers, query: bytes) -> McpSession | GuardRefusal:
        """Return the session of a request that may pass."""
        token = self.check.token(headers, query)
        if isinstance(token, GuardRefusal):
            return token
        try:
            return self.check.with_scopes(self._auth.verified(token))
        except Exception as error:  # noqa: BLE001 - see `failed`
            return self.check.failed(error)


class _Guard:
    def __init__(
        self, app: WSGIApp, auth: SyncMcpAuthClient, required_scopes: Iterable[str], public: Iterable[str]
    ) -> None:
        self._app = app
        self._auth = auth
        self._sync = SyncCheck(auth, required_scopes)
        self._check = self._sync.check
        self._discovery = Discovery(auth.guarded_resource())
        self._public = frozenset(names(public))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        headers, method = headers_of(environ), environ["REQUEST_METHOD"]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if method == "OPTIONS":
            return _answer(self._check.preflight(headers), method, start_response)
        if self._check.cors.refuses(headers):
            response = self._check.response(GuardRefusal.ORIGIN_FOREIGN, headers)
        elif self._discovery.is_at(path):
            document = self._auth.run(self._discovery.response(path, method))
            response = document.adding(self._check.cors.headers(headers))
        elif path in self._public:
            return self._pass_on(None, environ, headers, start_response)
        else:
            checked = self._sync.session(headers, environ.get("QUERY_STRING", "").encode("latin-1"))
            if not isinstance(checked, GuardRefusal):
                return self._pass_on(checked, environ, headers, start_response)
            response = self._check.response(checked, headers)
        return _answer(response, method, start_response)

    def _pass_on(
        self,
        session: McpSession | None,
        environ: dict[str, Any],
        headers: Headers,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        cors = _text(self._check.cors.headers(headers))

        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            own = [header for header in given if header[0].lower().encode("latin-1") not in CORS_NAMES]
            return start_response(status, [*own, *cors], exc_info)

        # The application may make the body after this returns. That code must see the session too.
        context = copy_context()
        context.run(verified.set, session)
        return _InContext(context, context.run(self._app, environ, start))


class _InContext:
    """The body of a response, made in the context of its request."""

    def __init__(self, context: Context, body: Iterable[bytes]) -> None:
        self._context = context
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        parts = self._context.run(iter, self._body)
        while (part := self._context.run(next, parts, None)) is not None:
            yield part

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)


def headers_of(environ: dict[str, Any]) -> Headers:
    """Return the headers of a WSGI request as an ASGI scope has them.

    A WSGI server joins repeated headers with a comma, so two Authorization headers become a malformed one.
    """
    return [
        (name[5:].replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1", "replace"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]


def _answer(response: PlainResponse, method: str, start_response: StartResponse) -> list[bytes]:
    start_response(f"{response.status} {HTTPStatus(response.status).phrase}", _text(response.headers))
    return [b"" if method == "HEAD" else response.body]


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
