"""The HTTP server: all routes over one container, and the process that serves them."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn

from grantledger.adapters import logs
from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.http.middleware import Mount
from grantledger.adapters.http.protocol import BoundedProtocol
from grantledger.adapters.ledger import migrations
from grantledger.application.provenance import Caller
from grantledger.entrypoints.container import Container
from grantledger.entrypoints.settings import Settings

__all__ = ["Mount", "create_app", "ledger_open", "run", "server_open"]


def create_app(
    container: Container,
    mounts: Sequence[Mount] = (),
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """Return the whole server, which opens the ledger when it starts and drains it when it stops.

    A database that is not there, or is older than this release, is migrated first. `lifespan` stands in for
    that where the ledger is opened by whoever embeds the server.
    """
    lifespan = lifespan or (lambda: server_open(container))
    return container.http().app(lifespan=lifespan, mounts=mounts)


@asynccontextmanager
async def server_open(container: Container) -> AsyncIterator[None]:
    """Open the ledger for a server; the very first start makes the keys that sign."""
    async with ledger_open(container):
        await container.make_signing_keys()(Caller(correlation_id="start"))
        yield


@asynccontextmanager
async def ledger_open(container: Container) -> AsyncIterator[None]:
    """Migrate and open the ledger; drain and close it in the end."""
    migrations.migrate(container.database())
    await container.ledger().open()
    container.hasher().open()
    try:
        yield
    finally:
        await container.ledger().close()
        container.hasher().close()


def run(app: ASGIApp, settings: Settings) -> None:
    """Serve until the process is told to stop, then finish what was begun.

    uvicorn's access log stays off: query strings hold codes and states.
    """
    on_terminal = sys.stderr.isatty()
    logs.configure(settings.log_format or ("console" if on_terminal else "json"), settings.log_level)
    issuer, database = settings.issuer_identifier, settings.database
    logs.write("info", f"Grantledger serves {issuer} from {database}")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedProtocol,
        limit_concurrency=settings.max_connections,
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
