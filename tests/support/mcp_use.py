"""An environment with mcp-use, which needs version 1 of the `mcp` SDK: the tests have version 2."""

import sys
from pathlib import Path

from support.packages import install
from support.programs import ROOT

_PINS = ROOT / "requirements" / "mcp_use.txt"
_FOLDER = Path(sys.prefix) / "mcp_use"
_UV = (sys.executable, "-m", "uv", "--quiet")

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT / ".typing"),  # the package under test
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
}
"""Variables for programs that run there."""


def installed() -> Path:
    """Return the interpreter; make the environment if it is not there, or was made from other pins."""
    python = _FOLDER / "bin" / "python"
    install(
        _PINS,
        _FOLDER / ".made-from",
        (*_UV, "venv", "--clear", "--python", sys.executable, _FOLDER),
        (*_UV, "pip", "sync", "--python", python, "--compile-bytecode", "--require-hashes", _PINS),
        cwd=ROOT,
    )
    return python
