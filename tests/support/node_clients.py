"""MCP clients from npm, with the Node.js that they need: the pins are in `node_clients/package.json`."""

import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.packages import install
from support.timeouts import TIMEOUT

_FOLDER = Path(__file__).parent / "node_clients"
_BIN = _FOLDER / "node_modules" / ".bin"


def installed() -> Path:
    """Return the folder of the commands; install the packages if they are not there."""
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
    install(
        _FOLDER / "package.json",
        _FOLDER / "node_modules" / ".installed",
        (npm(), "install", *quiet),
        (npm(), "rebuild", "node"),  # the script of `node` brings its program
        cwd=_FOLDER,
    )
    return _BIN


def npm() -> str:
    """Return the program, without which the test is skipped."""
    return shutil.which("npm") or pytest.skip("npm is not installed: it brings what this test needs")


class NodeClient:
    """A client that runs. It cannot open a browser, and prints what a user should open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line_with(self, pattern: str) -> str:
        """Wait until the client prints a match, and return it."""
        while (line := self._lines.get(timeout=TIMEOUT)) is not None:
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError(f"the client has ended: {''.join(self.printed)}")

    def says(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def rest(self) -> str:
        """Wait until the client has ended with exit code 0, and return all it has printed."""
        while self._lines.get(timeout=TIMEOUT) is not None:
            pass
        assert self.process.wait(TIMEOUT) == 0, "".join(self.printed)
        return "".join(self.printed)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def running(command: str, *arguments: str, home: Path, **environment: str) -> Iterator[NodeClient]:
    """Run a client that keeps its files in `home`, until the block ends."""
    bin_folder = installed()
    with subprocess.Popen(
        [bin_folder / command, *arguments],
        # Nothing else on the path: the clients would open the browser of this machine.
        env={"HOME": str(home), "PATH": str(bin_folder), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        client = NodeClient(process)
        try:
            yield client
        finally:
            client.end()
