"""`SyncMcpAuthClient`: `McpAuthClient` for code without an event loop, such as WSGI applications."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from grantledger.adapters.guards.client import McpAuthClient
from grantledger.adapters.guards.session import RequestHeaders
from grantledger.adapters.guards.source import GuardedResource
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal

T = TypeVar("T")

_TIMEOUT = 30.0
"""Seconds. More than all requests to the issuer for one call may take, so that no thread waits forever."""


class SyncMcpAuthClient:
    """`McpAuthClient` without `await`, for all threads of a process. It takes the same arguments.

    All requests to the issuer run in one thread, so they share connections and answers. That thread starts
    when it is needed, and again in each forked process. A session in the cache is returned without it.
    """

    def __init__(self, **options: Any) -> None:
        """Raises `ValueError`, as `McpAuthClient`."""
        self._client = McpAuthClient(**options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._lock = threading.Lock()

    @property
    def issuer(self) -> str:
        return self._client.issuer

    @property
    def resource(self) -> str:
        return self._client.resource

    def verify_token(self, token: str) -> McpSession | None:
        """Return the session of an access token, None if it is refused. Raises `Unavailable`."""
        try:
            return self.verified(token)
        except Refusal:
            return None

    def get_session(self, headers: RequestHeaders) -> McpSession | None:
        """Return the session of a request, None if its token is missing or refused. Raises `Unavailable`."""
        return self.run(self._client.get_session(headers))

    def guarded_resource(self) -> GuardedResource:
        """Return what guards need to know. Call its coroutine functions with `run`."""
        return self._client.guarded_resource()

    def verified(self, token: str) -> McpSession:
        """Return the session. Raises a `Refusal` or `Unavailable`."""
        known = self._client.known(token)
        if known is not None:
            return known
        return self.run(self._verified(token))

    async def _verified(self, token: str) -> McpSession:
        return await self._client.guarded_resource().verify(token)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine of this client's guards. Raises `Unavailable`."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._running()).result(_TIMEOUT)
        except TimeoutError:
            raise Unavailable("no response in time") from None

    def close(self) -> None:
        """Close the connections to the issuer. The client may be used again."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._process == os.getpid():
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result(_TIMEOUT)
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():  # a fork has no other threads
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                name = "grantledger-guard"
                threading.Thread(target=_forever, args=(self._loop,), name=name, daemon=True).start()
            return self._loop


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
