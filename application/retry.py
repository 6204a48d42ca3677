"""Deciding again after a lost race."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from grantledger.application.ports import Conflict, Unavailable

T = TypeVar("T")

MAX_ATTEMPTS = 8


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]]) -> T:
    """Load, decide and record until nobody else was faster.

    One retry is not enough: of many parallel replays of a code each but the first has to see that the
    replay is remembered before it has nothing left to record. Raises `Unavailable` after 8 lost races.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return await attempt()
        except Conflict:
            continue
    raise Unavailable("too many requests change the same thing at once")
