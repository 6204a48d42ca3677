"""The HTTP server: all routes over the use cases of one container, and the process that serves them."""

import asyncio
import errno
import gc
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import uvicorn

from grantledger.adapters import logs
from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.http.application import HttpLayer, HttpParts
from grantledger.adapters.http.better_auth import BetterAuthPaths
from grantledger.adapters.http.connections import BoundedProtocol
from grantledger.adapters.http.health import with_health
from grantledger.adapters.http.middleware import CallerNames, Mount
from grantledger.adapters.http.pages.parts import SignInWays
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller
from grantledger.domain.absolute_uri import parse
from grantledger.entrypoints.background import keep_running
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.heaps import share_heaps
from grantledger.entrypoints.settings import Settings, SettingsInvalid, check_identity
from grantledger.entrypoints.workers import START_FAILED, Parent, Workers


def http_layer(container: Container, host_identity: HostIdentity | None = None) -> HttpLayer:
    """Return every endpoint and page of the server.

    With a `host_identity` the users are the host application's, who sign in at `login_page`. Raises
    `SettingsInvalid` if only one of the two is given.
    """
    settings = container.settings
    check_identity(settings, by_host=host_identity is not None)
    ports = container.ports()  # only after the check, because a first start makes the master secret here
    parts = HttpParts(
        use_cases=container.use_cases(),
        policy=settings.policy,
        sign_in_ways=SignInWays(
            login_page=settings.login_page, logout_page=settings.logout_page, sign_up=settings.sign_up
        ),
        trusted_proxies=settings.trusted_networks,
        clock=ports.clock,
        randomness=ports.randomness,
        digests=container.digests(),
        sealed_box=container.sealed_box(),
        host_identity=host_identity,
        caller_names=CallerNames(settings.log_callers, container.digests()),
        better_auth=[
            BetterAuthPaths(issuer=issuer, resource=resource)
            for issuer, resource in settings.better_auth_issuers.items()
        ],
    )
    return HttpLayer(parts)


def create_app(container: Container, mounts: Sequence[Mount] = ()) -> ASGIApp:
    """Return the whole server, which opens the ledger when it starts and closes it when it stops.

    It also answers probes. An embedded server does not: its host has probes of its own.

    Raises `SettingsInvalid` when the settings need a host application.
    """
    app = http_layer(container).app(lifespan=lambda: server_open(container), mounts=mounts)
    return with_health(app, container.ledger().check_ready)


@asynccontextmanager
async def server_open(container: Container) -> AsyncIterator[None]:
    """Open the ledger for a server, migrated to this release; the first start makes the signing keys."""
    async with ledger_open(container):
        await container.use_cases().make_signing_keys(
            Caller(correlation_id="start"), container.settings.policy.signing_algorithms
        )
        failed_sign_ins = container.use_cases().failed_sign_ins
        throttles, counts = container.throttles(), container.throttle_counts()
        with suppress(Unavailable):
            await throttles.merge(counts)  # the counts from before a restart continue
        running = [
            asyncio.create_task(keep_running(work))
            for work in (
                failed_sign_ins.run,
                container.use_cases().prune_clients.run,
                lambda: throttles.run(counts),
            )
        ]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await failed_sign_ins.record()
            with suppress(Unavailable):
                await throttles.merge(counts)


def run(app: ASGIApp, settings: Settings) -> None:
    """Serve until a signal stops the process, then finish the open requests.

    With several `workers`, each is a copy of this process, which must have nothing open. uvicorn's access log
    stays off: query strings hold codes and states. Raises `SettingsInvalid` for a port that is taken.
    """
    sockets = localhost_sockets(settings) or sockets_of(settings)
    on_terminal = sys.stderr.isatty()
    logs.configure(settings.log_format or ("console" if on_terminal else "json"), settings.log_level)
    issuer, database = settings.issuer_identifier, settings.database_name
    by = f" with {settings.workers} workers" if settings.workers > 1 else ""
    logs.write_line("info", f"Grantledger serves {issuer} from {database}{by}")
    config = uvicorn.Config(
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
        reset_contextvars=True,  # else a request may see the session of an earlier one
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
    share_heaps()
    if settings.workers == 1:
        code = _serve(config, sockets)
    else:
        gc.collect()
        gc.freeze()  # also shares what was made so far: a collection would write to every object
        code = Workers(settings.workers, lambda parent: _serve(config, sockets, parent)).run()
    if code:
        sys.exit(code)


def _serve(config: uvicorn.Config, sockets: list[socket.socket], parent: Parent | None = None) -> int:
    server = _Server(config, parent)
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    return 0 if server.started else START_FAILED


class _Server(uvicorn.Server):
    """Keeps the objects of the start out of garbage collection. As a worker, ends when its parent ends.

    A full collection visits all modules and routes. This took 7 % of a token request, with pauses that
    clients saw.
    """

    def __init__(self, config: uvicorn.Config, parent: Parent | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        if self._parent is not None and self.started:
            asyncio.get_running_loop().add_reader(self._parent.ended, self._end)
            self._parent.tell_ready()

    def _end(self) -> None:
        assert self._parent is not None
        asyncio.get_running_loop().remove_reader(self._parent.ended)
        self.should_exit = True


def sockets_of(settings: Settings) -> list[socket.socket]:
    """Return the sockets of `host` and `port`, on which all workers accept. Raises `SettingsInvalid`.

    With a socket for each worker (`SO_REUSEPORT`), the queued connections of a worker that ends would be
    lost, and another program of the same user could receive some of the connections.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise SettingsInvalid("host", f"{settings.host} cannot be used: {error.strerror}") from None
    advice = ": stop the program that uses it, or let `port`, and the port in the issuer, be another one"
    bound = [
        _bound(socket.AddressFamily(family), str(address[0]), settings.port, advice)
        for family, *_, address in found
    ]
    usable = [one for one in bound if one is not None]
    if not usable:
        raise SettingsInvalid("host", f"{settings.host} is no address of this machine")
    return usable


def localhost_sockets(settings: Settings) -> list[socket.socket] | None:
    """Return the sockets of both addresses that browsers try for `localhost`, or None for any other issuer.

    If we left one of them free, another program could listen there. Some browsers would take it for our
    origin and send it passwords. Raises `SettingsInvalid` if one of them is in use.
    """
    issuer = parse(settings.issuer_identifier)
    if issuer.scheme != "http" or not issuer.is_localhost:
        return None
    if (issuer.port or 80) != settings.port or settings.listens_on_all_addresses:
        return None  # a proxy or the network of a container listens there, and must do the same
    advice = (
        ", where browsers may look for localhost: free it there, or let the issuer be "
        f"http://127.0.0.1:{settings.port}"
    )
    bound = [_bound(family, address, settings.port, advice) for family, address in _LOCALHOST]
    return [one for one in bound if one is not None]


_LOCALHOST = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def _bound(family: socket.AddressFamily, address: str, port: int, advice: str) -> socket.socket | None:
    """Return None on a machine without that kind of address."""
    try:
        listener = socket.socket(family)
    except OSError:
        return None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise SettingsInvalid(
            "port", f"{port} cannot be used at {address} ({error.strerror}){advice}"
        ) from None
    return listener
