"""The HTTP server: all routes over one container, and the process that serves them."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import uvicorn
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters import logs
from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.http.application import create_http_app
from grantledger.adapters.http.middleware import Mount
from grantledger.adapters.http.oauth.authorize import authorization_endpoints
from grantledger.adapters.http.oauth.discovery import discovery_endpoints
from grantledger.adapters.http.oauth.jwks import jwks_endpoint
from grantledger.adapters.http.oauth.register import registration_endpoint
from grantledger.adapters.http.oauth.revoke import revocation_endpoint
from grantledger.adapters.http.oauth.session import session_endpoint
from grantledger.adapters.http.oauth.token import token_endpoint
from grantledger.adapters.http.oauth.userinfo import userinfo_endpoint
from grantledger.adapters.http.pages.account import account_pages
from grantledger.adapters.http.pages.consent import consent_form
from grantledger.adapters.http.pages.password import password_pages, sign_out_everywhere_form
from grantledger.adapters.http.pages.responses import stylesheet_endpoint
from grantledger.adapters.http.pages.sign_in import sign_in_form, sign_out_form, sign_up_pages
from grantledger.adapters.http.protocol import BoundedProtocol
from grantledger.adapters.ledger import migrations
from grantledger.application.provenance import Caller
from grantledger.entrypoints.container import Container
from grantledger.entrypoints.settings import Settings

__all__ = ["Endpoints", "Mount", "create_app", "endpoints_of", "ledger_open", "run", "server_open"]


class Endpoints(NamedTuple):
    """`programs` are called by clients, from any origin; `pages` are seen by people."""

    programs: list[HTTPRouteHandler]
    pages: list[HTTPRouteHandler]

    @property
    def routes(self) -> list[str]:
        """The paths, with parameters in braces."""
        return sorted({path for handler in (*self.programs, *self.pages) for path in handler.paths})


def endpoints_of(container: Container) -> Endpoints:
    base, policy, caller_of = container.settings().base_path, container.policy(), container.caller_of()
    programs = [
        *discovery_endpoints(policy, container.describe_server()),
        registration_endpoint(f"{base}/register", container.register_client(), caller_of),
        token_endpoint(f"{base}/token", container.redeem_code(), container.refresh_grant(), caller_of),
        revocation_endpoint(f"{base}/revoke", container.revoke_token(), caller_of),
        session_endpoint(f"{base}/session", container.look_up_session(), policy),
        jwks_endpoint(f"{base}/jwks", container.describe_keys()),
        userinfo_endpoint(f"{base}/userinfo", container.describe_user()),
    ]
    return Endpoints(programs, [*_pages(container), stylesheet_endpoint(base)])


def _pages(container: Container) -> list[HTTPRouteHandler]:
    flow, submissions = container.flow(), container.submissions()
    pages = [
        *authorization_endpoints(flow, container.start_authorization()),
        consent_form(flow, submissions, container.give_consent()),
        *account_pages(flow, submissions, container.list_connected_apps(), container.disconnect_app()),
    ]
    if flow.ways.built_in:
        pages += _pages_of_built_in_identity(container)
    return pages


def _pages_of_built_in_identity(container: Container) -> list[HTTPRouteHandler]:
    flow, submissions = container.flow(), container.submissions()
    sign_out, disconnect_all = container.sign_out(), container.disconnect_every_app()
    pages = [
        sign_in_form(flow, submissions, container.sign_in(), sign_out),
        sign_out_form(flow, submissions, sign_out),
        *password_pages(flow, submissions, container.change_password(), disconnect_all),
        sign_out_everywhere_form(flow, submissions, container.sign_out_everywhere(), disconnect_all),
    ]
    if flow.ways.sign_up:
        pages += sign_up_pages(flow, submissions, container.sign_up())
    return pages


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
    endpoints = endpoints_of(container)
    return create_http_app(
        base_path=container.settings().base_path,
        programs=endpoints.programs,
        pages=endpoints.pages,
        page_errors=container.page_errors(),
        caller_of=container.caller_of(),
        lifespan=lifespan or (lambda: server_open(container)),
        mounts=mounts,
    )


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
