"""How a command reaches the use cases."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from grantledger.adapters.ledger import migrations
from grantledger.application.provenance import Caller
from grantledger.entrypoints.cli.options import settings_of
from grantledger.entrypoints.container import Container

T = TypeVar("T")


def on_ledger(database: str | None, config: Path | None, work: Callable[[Container], Awaitable[T]]) -> T:
    """Do the work on a ledger that is there: neither it nor a secret for it is made by looking.

    Raises what `told` tells.
    """

    async def run() -> T:
        container = checked(database, config)
        async with _open(container):
            return await work(container)

    return asyncio.run(run())


def checked(database: str | None, config: Path | None) -> Container:
    """Return the wiring over a database that is there, with this release's schema; nothing is opened.

    Raises what `told` tells.
    """
    container = Container(settings=settings_of(database, config))
    migrations.check(container.database())
    return container


@asynccontextmanager
async def _open(container: Container) -> AsyncIterator[None]:
    await container.ledger().open()
    try:
        yield
    finally:
        await container.ledger().close()


def this_command() -> Caller:
    """Return the caller of all that one run of a command does, by which its events are found together."""
    return Caller(correlation_id=f"cli-{secrets.token_hex(8)}")
