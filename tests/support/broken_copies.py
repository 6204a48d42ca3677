"""Copies of the package with a fault in it, for tests that a check finds the fault."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def broken_copy(directory: Path, file: str, right: str, wrong: str) -> dict[str, str]:
    """Copy the package with one text replaced; return the variables with which Python imports the copy."""
    copy = directory / "grantledger"
    for part in ("domain", "application", "adapters", "entrypoints"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / name, copy / name)
    source = (copy / file).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{file} does not contain {right!r} exactly once: adapt the fault"
    (copy / file).write_text(source.replace(right, wrong), encoding="utf-8")
    return {"PYTHONPATH": str(directory)}


def assert_imported(environment: Mapping[str, str], directory: Path, file: str) -> None:
    """Assert that Python imports the copy with all that commands need; otherwise a test shows nothing."""
    module = "grantledger." + file.removesuffix(".py").replace("/", ".")
    code = (
        "import importlib, grantledger.entrypoints.cli.commands;"
        f"print(importlib.import_module({module!r}).__file__)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, f"the broken copy cannot be imported: {run.stderr}"
    assert run.stdout.strip() == str(directory / "grantledger" / file)
