"""A real server: `grantledger serve` in a process of its own, over TCP, on SQLite."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"


class Server(Struct, frozen=True):
    origin: str
    database: Path
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cli(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a `grantledger` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "grantledger", *arguments],
        cwd=cwd,
        env=_environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(directory: Path, *, port: int | None = None, **settings: str) -> Iterator[Server]:
    """Run a server with a user in it; `settings` are `GRANTLEDGER_*` variables without their prefix."""
    port = port or free_port()
    database = directory / "grantledger.sqlite3"
    settings = {"database": str(database), "port": str(port), **settings}
    if not database.exists():
        added = cli("user", "add", EMAIL, "--password-stdin", cwd=directory, stdin=PASSWORD + "\n", **settings)
        assert added.returncode == 0, added.stderr
    log = (directory / "server.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "grantledger", "serve"],
        cwd=directory,
        env=_environment(settings),
        stdout=log,
        stderr=log,
    )
    try:
        origin = f"http://127.0.0.1:{port}"
        _wait_for(origin, process, directory / "server.log")
        yield Server(origin, database, process.pid)
    finally:
        process.terminate()
        process.wait(15)
        log.close()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GRANTLEDGER_")}
    return bare | {f"GRANTLEDGER_{name.upper()}": value for name, value in settings.items()}


def _wait_for(origin: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{origin}/.well-known/oauth-authorization-server", timeout=2)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server did not answer in 20 s: {log.read_text()}")
