"""`/health/live` and `/health/ready`, for process managers and load balancers.

The path of the issuer does not change these paths. Requests to them are not logged, and the responses have
only a status.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.http.errors import NO_STORE, json_response
from grantledger.application.ports import Unavailable

LIVE, READY = "/health/live", "/health/ready"

VALID_FOR = 1.0
"""Seconds for which the result of one check answers all probes, so that many probes cost no more than one."""

PATIENCE = 3.0
"""Seconds after which a check that has not ended has failed."""

_log = logging.getLogger("grantledger.http")


def with_health(app: ASGIApp, check_ready: Callable[[], Awaitable[None]]) -> ASGIApp:
    """Answer probes before the application sees them. `check_ready` raises `Unavailable`."""
    readiness = _Readiness(check_ready)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path not in (LIVE, READY) or scope["method"] not in ("GET", "HEAD"):
            await app(scope, receive, send)
            return
        is_well = path == LIVE or await readiness.is_ready()
        status, word = (200, "ok") if is_well else (503, "unavailable")
        response = json_response(status, {"status": word}, NO_STORE)
        await response.send(send, with_body=scope["method"] == "GET")

    return handle


class _Readiness:
    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._is_ready = True

    async def is_ready(self) -> bool:
        async with self._checking:  # probes that arrive during the check get its result
            now = asyncio.get_running_loop().time()
            if now - self._checked_at >= VALID_FOR:
                self._note(await self._why_not())
                self._checked_at = asyncio.get_running_loop().time()
            return self._is_ready

    async def _why_not(self) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._check()
        except (Unavailable, TimeoutError) as error:
            return str(error) or "the check did not end in time"
        return None

    def _note(self, why_not: str | None) -> None:
        if self._is_ready and why_not is not None:
            _log.warning("not ready: %s", why_not)
        elif not self._is_ready and why_not is None:
            _log.warning("ready again")
        self._is_ready = why_not is None
