"""Servers that a test kills, stops and starts again on the same port and file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grantledger.application.provenance import Caller
from support.processes import listens
from support.server import EMAIL, PASSWORD, PUBLIC, UNTHROTTLED, Server, free_port
from support.stores import Ledger, ledger_settings
from support.timeouts import TIMEOUT


class RestartableServer:
    """`grantledger serve` on one port and file; `environment` adds variables to those of the settings."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.port = port or free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.database = directory / "grantledger.sqlite3"
        chosen = {"port": str(self.port), **UNTHROTTLED, **PUBLIC, **settings}
        self.settings = ledger_settings(directory, **chosen)
        self.environment = environment or {}
        self._log = directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def ledger(self) -> Ledger:
        """The file, or the URL of PostgreSQL."""
        return self._server.ledger

    @property
    def _server(self) -> Server:
        return Server(self.origin, self.database, 0, self.settings)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def events(self, *tags: str) -> int:
        """Count the events of these tags, or of all."""
        return self._server.events(*tags)

    async def open_account(self) -> None:
        """Make the database with the user of all tests in it."""
        async with self._server.use_cases() as container:
            await container.use_cases().open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))

    def launch(self) -> None:
        """Start without waiting until it listens."""
        settings = {f"GRANTLEDGER_{name.upper()}": value for name, value in self.settings.items()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "grantledger", "serve"],
                cwd=self.database.parent,
                env={**os.environ, **self.environment, **settings},
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        """Start, and return when it listens."""
        self.launch()
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            assert self._running.poll() is None, self.log
            if listens(self._running.pid, self.port):
                return
            time.sleep(0.02)
        raise AssertionError(f"the server did not listen within {TIMEOUT} s: {self.log}")

    def kill(self) -> None:
        """`kill -9`."""
        self._running.kill()
        self._running.wait(TIMEOUT)

    def send_signal(self, what: signal.Signals) -> None:
        self._running.send_signal(what)

    def wait(self) -> int:
        """Wait for its end and return the exit code. Raises `subprocess.TimeoutExpired`."""
        return self._running.wait(TIMEOUT)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self.is_running:
            self.send_signal(signal.SIGCONT)
            self._running.terminate()
            try:
                self.wait()
            finally:
                self._running.kill()


@contextmanager
def restartable_servers(
    directory: Path, count: int, environment: Mapping[str, str] | None = None, **settings: Any
) -> Iterator[list[RestartableServer]]:
    """Make servers on one file; none of them runs yet."""
    made = [RestartableServer(directory, environment=environment, **settings) for _ in range(count)]
    try:
        yield made
    finally:
        for server in made:
            server.stop()
