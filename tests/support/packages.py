"""Packages that only some tests need, from npm and for an environment of mcp-use."""

import fcntl
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ATTEMPTS = 3 if os.environ.get("CI") else 1
"""CI tries again, because a registry may fail once. Elsewhere one failure skips the test."""

Command = Sequence[str | Path]


def install(pins: Path, done: Path, *commands: Command, cwd: Path) -> None:
    """Run the commands, unless the file `done` says that they have run for the present `pins`.

    If one fails, the test is skipped, except in CI, where it fails.
    """
    with pins.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests in several processes need the packages
        wanted = lock.read()
        if done.exists() and done.read_text() == wanted:
            return
        failure = ""
        for _ in range(ATTEMPTS):
            failure = _failure_of(commands, cwd)
            if not failure:
                done.write_text(wanted)
                return
    pytest.fail(failure) if os.environ.get("CI") else pytest.skip(failure)


def _failure_of(commands: Sequence[Command], cwd: Path) -> str:
    """Run the commands until one fails, and say why it did; return "" if none fails."""
    for command in commands:
        ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            said = ran.stderr.strip()[-300:]
            return f"{' '.join(map(str, command))} fails: {said}"
    return ""
