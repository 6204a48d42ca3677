"""Work that a server repeats in the background, as long as it runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

PAUSE = 60.0
"""Seconds after which work that failed starts again."""


async def keep_running(work: Callable[[], Awaitable[None]], *, pause: float = PAUSE) -> None:
    """Run the work to its end. An error that it does not expect is logged, and the work starts again.

    Without this the task would end, and the server would serve on without it.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - the work must go on
            _log.critical("work in the background failed; it starts again in %g s", pause, exc_info=True)
        else:
            return
        await asyncio.sleep(pause)
