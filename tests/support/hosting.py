"""An ASGI application served over TCP in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from grantledger.adapters.asgi_types import ASGIApp


class NotStarted(Exception):  # noqa: N818 - what a test expects
    """The application refused to start."""


@asynccontextmanager
async def hosting(app: ASGIApp, port: int) -> AsyncIterator[str]:
    """Serve on loopback and yield the origin. Raises `NotStarted`."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, ws="none", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(_served(server))
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def _served(server: uvicorn.Server) -> None:
    try:
        await server._serve(None)  # noqa: SLF001 - `serve` would take over the signals of the test
    except SystemExit:
        raise NotStarted from None
