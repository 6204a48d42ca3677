"""The watch over the suite's own output catches what it is there for."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TOKEN = "glat_" + "AbC3" * 12
PASSWORD = "tell nobody"
COOKIE = "q7" * 20
ID_TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJnbHUifQ.c2lnbmF0dXJl"

PRELUDE = f"""
import logging, sys
import pytest
from support.leaks import issued, seen
issued("password", {PASSWORD!r})
issued("cookie", {COOKIE!r})
"""

LEAKS = {
    "a printed token": f"def test_it():\n    print('see', {TOKEN!r})",
    "a logged token": f"def test_it():\n    logging.warning('see %s', {TOKEN!r})",
    "a token in a server's log": (
        f"def test_it(tmp_path):\n    (tmp_path / 'server.log').write_text('x={TOKEN}&y')"
    ),
    "a password in a server's log": (
        f"def test_it(tmp_path):\n    (tmp_path / 'server.log').write_text('as {PASSWORD} says')"
    ),
    "an ID token": f"def test_it():\n    print('see {ID_TOKEN}')",
    "a part of a cookie": f"def test_it(capfd):\n    seen('a command', 'xx{COOKIE[5:30]}xx')",
    "a token that a fixture prints": (
        f"@pytest.fixture\ndef it():\n    yield\n    print({TOKEN!r})\ndef test_it(it):\n    pass"
    ),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below the folder of this session, whose logs are looked through as well."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(PRELUDE + test)
    command = [sys.executable, "-m", "pytest", "-p", "support.leaks", "-p", "no:cacheprovider", "test_it.py"]
    xdist = [name for name in os.environ if name.startswith("PYTEST_XDIST")]
    environment = {name: value for name, value in os.environ.items() if name not in xdist}
    environment["PYTHONPATH"] = str(TESTS)
    arguments = [
        *command,
        *options,
        "--basetemp",
        str(folder / "basetemp"),
        "-c",
        "/dev/null",
        "--rootdir",
        str(folder),
    ]
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize("leak", LEAKS)
def test_a_secret_in_the_output_fails_the_session(folder: Path, leak: str):
    done = run(folder, LEAKS[leak])
    assert "1 passed" in done.stdout
    assert "secrets in the output of the suite" in done.stdout
    assert done.returncode == 1


def test_a_secret_in_the_output_of_a_worker_fails_the_session(folder: Path):
    done = run(folder, LEAKS["a token in a server's log"], "-n", "1")
    assert "1 passed" in done.stdout
    assert "secrets in the output of the suite" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    "test",
    [
        "def test_it():\n    print('glc_' + 'a' * 27, 'nothing to see')",
        f"@pytest.mark.shows_secrets\ndef test_it():\n    print({TOKEN!r})",
    ],
    ids=["nothing secret", "on purpose"],
)
def test_a_session_without_leaks_passes(folder: Path, test: str):
    assert run(folder, test).returncode == 0


def test_the_summary_does_not_repeat_the_secret(folder: Path):
    assert TOKEN not in run(folder, LEAKS["a token in a server's log"]).stdout
