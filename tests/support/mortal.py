"""Servers that are killed, or told to stop, at any moment, and started again where they were."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from grantledger.application.provenance import Caller
from support.patience import PATIENCE
from support.server import EMAIL, PASSWORD, UNTHROTTLED, Server, free_port


class Mortal:
    """`grantledger serve` on one port and file, in one life after another.

    `environment` is what its process gets beside the settings.
    """

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
        self.settings = {
            "database": str(self.database),
            "port": str(self.port),
            **UNTHROTTLED,
            **settings,
        }
        self.environment = environment or {}
        self._log = directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        return Server(self.origin, self.database, self.pid, self.settings)

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
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    async def open_account(self) -> None:
        """Make the database, with the user whom all tests know."""
        server = Server(self.origin, self.database, 0, self.settings)
        async with server.use_cases() as container:
            await container.use_cases().open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))

    def begin(self) -> None:
        """Start, and do not wait for it."""
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
        self.begin()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._running.poll() is None, self.log
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server did not listen within {PATIENCE} s: {self.log}")

    def kill(self) -> None:
        """`kill -9`."""
        self._running.kill()
        self._running.wait(PATIENCE)

    def tell(self, what: signal.Signals) -> None:
        self._running.send_signal(what)

    def end(self, patience: float = PATIENCE) -> int:
        """Wait for its end and return the exit code. Raises `subprocess.TimeoutExpired`."""
        return self._running.wait(patience)

    def stop(self) -> None:
        """Make sure that nothing of it is left."""
        if self.is_running:
            self.tell(signal.SIGCONT)
            self._running.terminate()
            try:
                self.end()
            finally:
                self._running.kill()


@contextmanager
def mortals(
    directory: Path, count: int, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[list[Mortal]]:
    """Servers on one file that go by the name of the first; none of them runs yet."""
    ports = [free_port() for _ in range(count)]
    shared = {"issuer": f"http://127.0.0.1:{ports[0]}", **settings}
    made = [Mortal(directory, port=port, environment=environment, **shared) for port in ports]
    try:
        yield made
    finally:
        for mortal in made:
            mortal.stop()
