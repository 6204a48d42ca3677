"""How long a test waits."""

import asyncio
from collections.abc import Callable

TIMEOUT = 90
"""Seconds after which a test gives up, even on a busy machine."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait until another process has made this true. Raises `TimeoutError`."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)
