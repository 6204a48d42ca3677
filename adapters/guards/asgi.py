"""The guard: an ASGI wrapper that lets requests through which carry an access token for what is behind it."""

import logging
from typing import Protocol

from grantledger.adapters.asgi_types import ASGIApp, Headers, Message, Receive, Scope, Send
from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.guards.challenge import Answer, Answers
from grantledger.adapters.guards.cors import preflight_headers, response_headers
from grantledger.adapters.guards.session import Verified, verified
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.look_up_session import McpSession
from grantledger.domain.refusal import Refusal

_log = logging.getLogger(__name__)

_OURS = frozenset(name for name, _ in response_headers())

_POLICY_VIOLATION = 1008


class Verify(Protocol):
    """How a guard learns who a token speaks for; `LookUpSession` is one."""

    async def __call__(self, access_token: str, *, resource: str | None = None) -> McpSession:
        """Return the session, or raise a `Refusal`. Anything else that is raised is an outage."""
        ...


class BearerGuard:
    """Refuse every request that has no access token for `resource` (OAuth 2.1 section 5).

    `scopes` are what the challenge tells clients to ask for. Whether a token has those that an operation
    needs is for the operation to say.
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
        self._app = app
        self._verify = verify
        self._resource = resource
        self._answers = Answers(resource_metadata_url, scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._app(scope, receive, send)
            case _:  # a websocket's first request cannot be challenged, and MCP has no use for one
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        if scope["method"] == "OPTIONS":  # browsers send a preflight without credentials, always
            await Answer(204, preflight_headers(headers)).send(send)
            return
        found = await self._found(headers)
        if isinstance(found, Answer):
            await found.send(send, with_body=scope["method"] != "HEAD")
            return
        before = verified.set(found)
        try:
            await self._app(scope, receive, _with_cors(send))
        finally:
            verified.reset(before)

    async def _found(self, headers: Headers) -> Verified | Answer:
        try:
            token = bearer_token(headers)
        except AuthorizationMalformed:
            return self._answers.request_malformed
        if token is None:
            return self._answers.token_missing
        try:
            session = await self._verify(token, resource=self._resource)
        except Refusal:
            return self._answers.token_invalid
        except Unavailable:
            return self._answers.unavailable
        except Exception:  # noqa: BLE001 - clients throw tokens away on 401, and this is not the token's fault
            _log.exception("an access token could not be checked")
            return self._answers.unavailable
        return Verified(token=token, resource=self._resource, session=session)


def _with_cors(send: Send) -> Send:
    """Put the cross-origin headers on every answer, once, whatever the guarded app thinks of them."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in _OURS]
            message = {**message, "headers": [*own, *response_headers()]}
        await send(message)

    return sent
