"""A real server: `grantledger serve` in a process of its own, over TCP."""

import asyncio
import base64
import errno
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.settings_sources import load_settings
from support.commands import run_command
from support.leaks import issued, seen
from support.processes import listens
from support.quick_hasher import QuickHasher
from support.stores import Ledger, all_values, asked, ledger_at, ledger_settings
from support.timeouts import TIMEOUT

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"
issued("password", PASSWORD)


UNTHROTTLED = dict.fromkeys(
    (
        "sign_in_attempts",
        "client_secret_attempts",
        "registrations",
        "registrations_per_address",
        "refreshes_per_grant",
        "codes_per_session",
        "sign_ins_per_user",
    ),
    "off",
)
"""Off, because all requests of the tests come from one address. Tests of throttles set their own rates."""


PUBLIC: dict[str, Any] = {
    "issuer": "https://auth.example",
    "master_secret": base64.b64encode(b"secret " * 5).decode(),
}
"""A host of its own behind a proxy that ends TLS. On loopback each authorization has a sign-in of its own."""

issued("master secret", PUBLIC["master_secret"])


class Program(Struct, frozen=True):
    """The arguments for Python, and variables for the process in addition to the settings."""

    arguments: tuple[str, ...]
    environment: dict[str, str]


ADDED_LATER = "user.sign_ins_failed.v1"
"""The tag of what the server records in the background, perhaps during a later test."""

SERVE = Program(("-m", "grantledger", "serve"), {})


class Server(Struct, frozen=True):
    """A server that runs. `origin` is where it listens; `settings` are what it was started with."""

    origin: str
    database: Path
    pid: int
    settings: dict[str, str]

    @property
    def issuer(self) -> str:
        return self.settings.get("issuer", self.origin)

    @property
    def base(self) -> str:
        """What the paths of the endpoints begin with."""
        return urlsplit(self.issuer).path.rstrip("/")

    @property
    def log(self) -> str:
        return (self.database.parent / "server.log").read_text()

    @property
    def ledger(self) -> Ledger:
        """The file, or the URL of PostgreSQL."""
        return ledger_at(self.settings["database"])

    def events(self, *tags: str) -> int:
        """Count the events with these tags, or all but those that the server adds later by itself."""
        rows = asked(self.ledger, "SELECT tag FROM events")
        return len([tag for (tag,) in rows if (tag in tags if tags else tag != ADDED_LATER)])

    def recorded(self) -> list[Any]:
        """Return the events and the private records, without what the server adds later by itself."""
        events = asked(self.ledger, "SELECT position, tag, event_id FROM events")
        private = asked(self.ledger, "SELECT subject, name, lookup, sealed FROM private_record")
        return sorted([event for event in events if event[1] != ADDED_LATER] + private, key=str)

    def written(self) -> bytes:
        """Return all that was ever written: the database and its write-ahead log. Of PostgreSQL all rows."""
        if isinstance(self.ledger, str):
            return all_values(self.ledger)
        files = (self.database, Path(f"{self.database}-wal"))
        return b"".join(file.read_bytes() for file in files if file.exists())

    def wiring(self) -> Container:
        """Return the wiring that another server or a command on the same ledger would have."""
        return _wiring(self.settings)

    @asynccontextmanager
    async def use_cases(self) -> AsyncIterator[Container]:
        """Offer all use cases in this process, on the same ledger."""
        container = self.wiring()
        async with ledger_open(container):
            yield container


def has_started(database: str) -> bool:
    """Whether an earlier server has put a user into this PostgreSQL."""
    return "://" in database and asked(database, "SELECT 1 FROM user_account LIMIT 1") != []


_BLOCK = 300
"""Ports of one test process. A port stays in use for a minute after its last connection."""


@cache
def _own_ports() -> Iterator[int]:
    """Return the ports that this test process alone uses, whichever run it belongs to.

    They are below those that Linux gives to sockets that ask for none. The first port of the block is bound
    until the process ends, which claims the others.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    end = max(int(given.read_text().split()[0]), 26_000) if given.exists() else 32_768
    for first in range(end - 24_000, end - _BLOCK, _BLOCK):
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", first))
        except OSError:
            claim.close()
        else:
            _CLAIMS.append(claim)
            return itertools.cycle(range(first + 1, first + _BLOCK))
    raise AssertionError("no ports are left for this test process")


_CLAIMS: list[socket.socket] = []


def free_port() -> int:
    """Return a free port. No other test process takes it meanwhile, and no socket that binds port 0."""
    for port in itertools.islice(_own_ports(), _BLOCK):
        if _is_free("127.0.0.1", port) and _is_free("::1", port):
            return port
    raise AssertionError("every port of this test process is in use")


def _is_free(address: str, port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, port))
    except OSError as error:
        return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6
    return True


def cli(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a `grantledger` command to its end."""
    done = run_command(arguments, cwd=cwd, environment=_environment(settings), stdin=stdin, timeout=TIMEOUT)
    seen(f"grantledger {' '.join(arguments)}", done.stdout + done.stderr)
    return done


@contextmanager
def serving(
    directory: Path, program: Program = SERVE, /, *, port: int | None = None, **settings: str
) -> Iterator[Server]:
    """Run a server with a user in it; `settings` are `GRANTLEDGER_*` variables without their prefix."""
    port = port or free_port()
    database = directory / "grantledger.sqlite3"
    settings = ledger_settings(directory, **{"port": str(port), **UNTHROTTLED, **settings})
    if not (database.exists() or has_started(settings["database"])):
        # In a thread, since the test may run in an event loop already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _open_account(settings)).result()
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *program.arguments],
            cwd=directory,
            env=_environment(settings) | program.environment,
            stdout=log,
            stderr=log,
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", database, process.pid, settings)
            _wait_for(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(TIMEOUT)
            secret = Path(f"{database}.secret")
            if secret.exists():
                issued("master secret", secret.read_text())


def _wiring(settings: Mapping[str, str]) -> Container:
    container = Container(load_settings(None, _variables(settings), {}))
    container.hasher.override(QuickHasher())
    return container


async def _open_account(settings: Mapping[str, str]) -> None:
    container = _wiring(settings)
    async with ledger_open(container):
        await container.use_cases().open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GRANTLEDGER_")}
    return bare | _variables(settings)


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"GRANTLEDGER_{name.upper()}": value for name, value in settings.items()}


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    port, deadline = urlsplit(server.origin).port or 0, time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, server.log
        if not listens(process.pid, port):
            time.sleep(0.02)
            continue
        try:
            # Without `verify=False` each attempt would read the certificates of the world.
            httpx2.get(f"{server.origin}/.well-known/oauth-authorization-server", timeout=10, verify=False)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server did not answer in {TIMEOUT} s: {server.log}")
