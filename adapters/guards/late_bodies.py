"""Bodies that arrive long after the access token of their request was checked.

A client decides how slowly it sends a body. It could begin many requests, keep them open, and finish them
when its token is revoked or has expired.
"""

import time
from collections.abc import Awaitable, Callable

from grantledger.adapters.asgi_types import Message, Receive, Send
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.application.tokens.mcp_session import McpSession

CHECKED_FOR = 5.0
"""Seconds after a check in which a part of the body needs no other one."""


class LateBody:
    """The channels of one request. A part of the body that arrives late is passed on after another check.

    If that fails, `refusal` is set. The application then gets `http.disconnect`, and what it sends is dropped
    unless it has begun its response.
    """

    def __init__(
        self,
        session: McpSession,
        check: Callable[[], Awaitable[McpSession | GuardRefusal]],
        receive: Receive,
        send: Send,
    ) -> None:
        self._session = session
        self._check = check
        self._receive = receive
        self._send = send
        self._checked_at = time.monotonic()
        self._is_in_body = False
        self._has_begun = False
        self.refusal: GuardRefusal | None = None

    async def receive(self) -> Message:
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if not self._is_late_part(message):
            return message
        checked = await self._check()
        self._checked_at = time.monotonic()
        if isinstance(checked, GuardRefusal):
            return self._ended(checked)
        if not _allow_the_same(checked, self._session):  # the next request is judged by what it may do now
            return self._ended(GuardRefusal.UNAVAILABLE)
        return message

    def _is_late_part(self, message: Message) -> bool:
        if message["type"] != "http.request":
            return False
        # A request without a body has one empty part, which an application may receive at any time.
        is_part = self._is_in_body or bool(message.get("body")) or bool(message.get("more_body"))
        self._is_in_body = is_part
        return is_part and time.monotonic() >= self._checked_at + CHECKED_FOR

    async def send(self, message: Message) -> None:
        if self.refusal is None or self._has_begun:
            self._has_begun = True
            await self._send(message)

    @property
    def refused(self) -> GuardRefusal | None:
        """The refusal to answer with, None if the application answers."""
        return None if self._has_begun else self.refusal

    def _ended(self, refusal: GuardRefusal) -> Message:
        self.refusal = refusal
        return {"type": "http.disconnect"}


def _allow_the_same(one: McpSession, other: McpSession) -> bool:
    return (one.scopes, one.roles, one.permissions) == (other.scopes, other.roles, other.permissions)
