"""An environment with mcp-use, which needs version 1 of the `mcp` SDK: the tests have version 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.programs import ROOT

_PINS = ROOT / "requirements" / "mcp_use.txt"
_UV = (sys.executable, "-m", "uv", "--quiet")

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT / ".typing"),  # the package under test
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
}
"""Variables for programs that run there."""


def python_with_mcp_use(cache: pytest.Cache) -> Path:
    """Return the interpreter; make the environment if it is not there, or was made from other pins.

    Where the packages cannot be had, the tests are skipped, except in CI.
    """
    environment = cache.mkdir("mcp_use") / "venv"
    python, done = environment / "bin" / "python", environment / ".made-from"
    wanted = f"{sys.version}\n{_PINS.read_text()}"
    if done.exists() and done.read_text() == wanted:
        return python
    for command in (
        ("venv", "--clear", "--python", sys.executable, environment),
        ("pip", "sync", "--python", python, "--compile-bytecode", "--require-hashes", _PINS),
    ):
        ran = subprocess.run([*_UV, *command], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            reason = f"uv {command[0]} fails: {ran.stderr.strip()[-300:]}"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done.write_text(wanted)
    return python
