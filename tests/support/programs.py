"""The programs that readers are shown, each in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from support.leaks import seen
from support.server import free_port
from support.timeouts import TIMEOUT

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PASSWORD = "what the example prints"
"""The password of its user. The example prints it, so it is not registered as a secret."""


def readme_programs() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def printed_by(directory: Path) -> list[str]:
    """Return the lines that the program in this directory has printed so far."""
    return (directory / "printed").read_text().splitlines()


def written_readme_program(directory: Path) -> Path:
    """Write the program of README, "Guard an MCP server", to a file."""
    (program,) = [one for one in readme_programs() if "MCPServer(" in one]
    path = directory / "readme.py"
    path.write_text(program)
    return path


@contextmanager
def running(
    program: Path,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    /,
    *,
    python: str | Path = sys.executable,
    **settings: str,
) -> Iterator[str]:
    """Start the program and yield where it listens, once it answers.

    `settings` are `GRANTLEDGER_*` variables without their prefix.
    """
    port = int(settings.get("port") or free_port())
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GRANTLEDGER_")}
    environ |= {"EXAMPLE_PASSWORD": PASSWORD, "TMPDIR": str(directory), **(environment or {})}
    environ |= {f"GRANTLEDGER_{key.upper()}": value for key, value in {"port": str(port), **settings}.items()}
    log = directory / "printed"
    with log.open("wb") as out:
        process = subprocess.Popen([python, program], cwd=directory, env=environ, stdout=out, stderr=out)
    try:
        give_up = time.monotonic() + TIMEOUT
        while time.monotonic() < give_up and process.poll() is None:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        else:
            raise AssertionError(log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT)
        seen(program.name, log.read_text())
