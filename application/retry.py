"""Retry of decisions that lost a race."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from grantledger.application.ports import Conflict, Unavailable

T = TypeVar("T")

MAX_ATTEMPTS = 8


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `attempt`, which is called again after each `Conflict`.

    Raises `Unavailable` after 8 conflicts. One retry is not enough: of many parallel replays of a code, each
    conflicts with those before it until it finds that the replay is recorded.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return await attempt()
        except Conflict:
            continue
    raise Unavailable("too many requests change the same thing at once")
