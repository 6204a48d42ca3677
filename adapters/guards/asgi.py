"""The guard: an ASGI wrapper that lets only requests with a valid access token through."""

import logging
from typing import Protocol
from urllib.parse import urlsplit

from grantledger.adapters.asgi_types import ASGIApp, Headers, Message, Receive, Scope, Send
from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.cors import preflight_headers, response_headers
from grantledger.adapters.guards.refusals import guard_response
from grantledger.adapters.guards.session import Verified, verified
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.look_up_session import McpSession
from grantledger.domain.refusal import Refusal

_log = logging.getLogger(__name__)

_CORS_NAMES = frozenset(name for name, _ in response_headers())

_POLICY_VIOLATION = 1008


class Verify(Protocol):
    """How a guard checks a token; `LookUpSession` is one way."""

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        """Return the session, or raise a `Refusal`. Any other exception is an outage."""
        ...


class BearerGuard:
    """Refuse every request that has no access token for `resource` (OAuth 2.1 section 5).

    The challenge tells clients to ask for `scopes`. The guarded application checks whether a token has the
    scopes that an operation needs. Its requests have the scheme and the host of `resource`, whatever a proxy
    sends: so redirects and absolute URLs are right behind TLS.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        verify: Verify,
        resource: str,
        resource_metadata_url: str,
        scopes: tuple[str, ...] = (),
    ) -> None:
        """Raises `ValueError` for a metadata URL or scopes that a challenge cannot hold."""
        self._app = app
        self._verify = verify
        self._resource = resource
        self._origin = _Origin(resource)
        self._responses = {
            refusal: guard_response(refusal, resource_metadata_url, scopes) for refusal in GuardRefusal
        }

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
        if scope["method"] == "OPTIONS":  # browsers send a preflight without credentials
            await PlainResponse(204, preflight_headers(headers)).send(send)
            return
        checked = await self._check(headers)
        if isinstance(checked, GuardRefusal):
            await self._responses[checked].send(send, with_body=scope["method"] != "HEAD")
            return
        before = verified.set(checked)
        try:
            await self._app(self._origin.applied(scope, headers), receive, _with_cors(send))
        finally:
            verified.reset(before)

    async def _check(self, headers: Headers) -> Verified | GuardRefusal:
        try:
            token = bearer_token(headers)
        except AuthorizationMalformed:
            return GuardRefusal.REQUEST_MALFORMED
        if token is None:
            return GuardRefusal.TOKEN_MISSING
        try:
            session = await self._verify(token, resource=self._resource)
        except Refusal:
            return GuardRefusal.TOKEN_INVALID
        except Unavailable:
            return GuardRefusal.UNAVAILABLE
        except Exception:  # noqa: BLE001 - never 401: clients would discard a token that may be valid
            _log.exception("an access token could not be checked")
            return GuardRefusal.UNAVAILABLE
        return Verified(token=token, resource=self._resource, session=session)


class _Origin:
    """What the ASGI scope of a request to `url` says of scheme, host and port."""

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


def _with_cors(send: Send) -> Send:
    """Replace the CORS headers of every response by those of the guard."""

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [header for header in message.get("headers", ()) if header[0].lower() not in _CORS_NAMES]
            message = {**message, "headers": [*own, *response_headers()]}
        await send(message)

    return send_with_cors
