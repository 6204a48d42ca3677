"""Starting and ending the demo's server, which is a process of its own."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from msgspec import Struct

from grantledger.entrypoints.demo.demo_settings import HOST, database_in, origin_at

_ANY_PATH = "/.well-known/oauth-authorization-server"
_START_TIMEOUT = 90.0  # for a machine that is busy; a server that has ended is noticed at once
_END_TIMEOUT = 3.0  # short: a client may hold a stream open, and the ledger is deleted anyway


class ServerFailed(Exception):  # noqa: N818 - named for the fact
    """The server did not start. The message is for the person at the terminal."""


class RunningServer(Struct, frozen=True):
    origin: str
    database: Path
    process: subprocess.Popen[str]
    log: Path

    def output(self) -> str:
        """Return what the server printed: warnings, and the reason why it ended."""
        return self.log.read_text().strip()


def free_port(wanted: int) -> int:
    """Return the port if it is free; for 0, return any free port. Raises `ServerFailed`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise ServerFailed(
                f"port {wanted} of {HOST} cannot be used: {error.strerror}. "
                "Choose another with --port, or 0 for any that is free."
            ) from None
        return int(probe.getsockname()[1])


@contextmanager
def running_server(port: int, email: str, password: str) -> Iterator[RunningServer]:
    """Run the server on a temporary ledger. Raises `ServerFailed`."""
    with tempfile.TemporaryDirectory(prefix="grantledger-demo-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        log = directory / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-m", "grantledger.entrypoints.demo.server", str(port), name],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the server
            )
        server = RunningServer(origin_at(port), database_in(directory), process, log)
        try:
            _send(process, json.dumps([email, password]))
            _wait_until_it_answers(server)
            yield server
        finally:
            _end(process)


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # the server has ended; _wait_until_it_answers reports why
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _wait_until_it_answers(server: RunningServer) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and server.process.poll() is None:
        if _answers(server.origin):
            return
        time.sleep(0.02)
    raise ServerFailed(f"the server did not start at {server.origin}. It said:\n{server.output()}")


def _answers(origin: str) -> bool:
    # Without httpx2, because each of its clients reads all certificates of the system, even for http.
    with closing(HTTPConnection(origin.removeprefix("http://"), timeout=5)) as connection:
        try:
            connection.request("GET", _ANY_PATH)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
