"""Answers about tokens that are kept for some seconds. No token is kept, only its digest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from hashlib import sha256
from typing import Generic, TypeVar

from msgspec import Struct

from grantledger.application.tokens.mcp_session import McpSession
from grantledger.domain.refusal import Refusal

T = TypeVar("T")

MAX_SESSIONS = 10_000
MAX_REFUSED = 1_000
REFUSED_FOR = 1.0
"""Seconds for which a refused token is refused without asking again."""


class TokenRefused(Refusal):
    """The issuer does not know the token, or it is not for this resource. The message is for the log."""


Answer = McpSession | TokenRefused


def digest_of(token: str) -> bytes:
    return sha256(token.encode()).digest()


class _Kept(Struct, frozen=True):
    answer: Answer
    until: float


class TokenCache:
    """A bounded cache of sessions, and a smaller one of refusals, so that guesses displace no session."""

    def __init__(
        self,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises `ValueError` for less than 0 seconds."""
        if not seconds >= 0:
            raise ValueError(f"cache_seconds must be 0 or more, not {seconds!r}")
        self._seconds = seconds
        self._monotonic = monotonic
        self._now = now
        self._sessions: dict[bytes, _Kept] = {}
        self._refused: dict[bytes, _Kept] = {}

    def started(self) -> float:
        """Return the time before the request to the issuer, for `keep`: the cache time begins with it."""
        return self._monotonic()

    def get(self, digest: bytes) -> Answer | None:
        """Return the answer if it is still good. A session never outlives its token."""
        kept = self._sessions.get(digest) or self._refused.get(digest)
        if kept is None or kept.until <= self._monotonic():
            return None
        if isinstance(kept.answer, McpSession) and kept.answer.expires_at <= self._now():
            return None
        return kept.answer

    def keep(self, digest: bytes, answer: Answer, started: float) -> None:
        if self._seconds <= 0:
            return
        if isinstance(answer, McpSession):
            self._refused.pop(digest, None)
            _put(self._sessions, digest, _Kept(answer, started + self._seconds), MAX_SESSIONS)
        else:
            self._sessions.pop(digest, None)
            until = started + min(self._seconds, REFUSED_FOR)
            _put(self._refused, digest, _Kept(answer, until), MAX_REFUSED)


def _put(entries: dict[bytes, _Kept], digest: bytes, kept: _Kept, limit: int) -> None:
    entries.pop(digest, None)  # so that the newest answer is the last
    entries[digest] = kept
    while len(entries) > limit:
        entries.pop(next(iter(entries)), None)


class SingleFlight(Generic[T]):
    """Parallel calls with one key share one result. A caller that is cancelled does not stop the others."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def __call__(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        task = self._running.get(key)
        if task is None or task.get_loop() is not loop:
            task = loop.create_task(_awaited(work))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def is_running(self, key: Hashable) -> bool:
        return key in self._running

    def _ended(self, key: Hashable, done: asyncio.Task[T]) -> None:
        if self._running.get(key) is done:
            del self._running[key]
        if not done.cancelled():
            done.exception()  # read, or asyncio logs it if all callers were cancelled


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
