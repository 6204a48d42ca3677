"""The search for secrets in the output of the suite finds them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.timeouts import TIMEOUT

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
    "printed": f"def test_printed():\n    print('see', {TOKEN!r})",
    "logged": f"def test_logged():\n    logging.warning('see %s', {TOKEN!r})",
    "token_in_file": (
        f"def test_token_in_file(tmp_path):\n    (tmp_path / 'server.log').write_text('x={TOKEN}&y')"
    ),
    "password_in_file": (
        "def test_password_in_file(tmp_path):\n"
        f"    (tmp_path / 'server.log').write_text('as {PASSWORD} says')"
    ),
    "id_token": f"def test_id_token():\n    print('see {ID_TOKEN}')",
    "part_of_cookie": f"def test_cookie():\n    seen('part_of_cookie', 'xx{COOKIE[5:30]}xx')",
    "address_in_log": (
        "def test_address(tmp_path):\n"
        '    line = \'{"detail":"ada@example.com","correlation_id":"1"}\'\n'
        "    (tmp_path / 'address_in_log.log').write_text(line)"
    ),
    "query_in_log": (
        "def test_query(tmp_path):\n"
        "    line = 'request detail=https://client.example/cb?code=1 correlation_id=1'\n"
        "    (tmp_path / 'query_in_log.log').write_text(line)"
    ),
    "in_fixture": (
        f"@pytest.fixture\ndef it():\n    yield\n    print({TOKEN!r})\ndef test_in_fixture(it):\n    pass"
    ),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below the folder of this session, whose logs are searched as well."""
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
        arguments,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * TIMEOUT,
    )


@pytest.fixture(scope="module")
def leaking(folder: Path) -> subprocess.CompletedProcess[str]:
    """A session whose tests all pass and all leak."""
    return run(folder, "\n\n".join(LEAKS.values()))


def test_secrets_in_the_output_fail_a_session(leaking: subprocess.CompletedProcess[str]):
    assert f"{len(LEAKS)} passed" in leaking.stdout
    assert leaking.returncode == 1


@pytest.mark.parametrize("leak", LEAKS)
def test_the_summary_says_where_a_secret_is(leaking: subprocess.CompletedProcess[str], leak: str):
    summary = leaking.stdout.partition("secrets in the output of the suite")[2]
    assert [line for line in summary.splitlines() if leak in line]


def test_the_summary_does_not_repeat_a_secret(leaking: subprocess.CompletedProcess[str]):
    assert [secret for secret in (TOKEN, PASSWORD, COOKIE, ID_TOKEN) if secret in leaking.stdout] == []


def test_a_secret_in_the_output_of_a_worker_fails_the_session(folder: Path):
    done = run(folder, LEAKS["token_in_file"], "-n", "1")
    assert "1 passed" in done.stdout
    assert "secrets in the output of the suite" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    "test",
    [
        "def test_it():\n    print('glc_' + 'a' * 27, 'nothing to see')",
        f"@pytest.mark.shows_secrets\ndef test_it():\n    print({TOKEN!r})",
        "from support.leaks import seen\ndef test_it():\n    seen('a command', 'as ada@example.com')",
    ],
    ids=["nothing secret", "on purpose", "an address that a command shows"],
)
def test_a_session_without_leaks_passes(folder: Path, test: str):
    assert run(folder, test).returncode == 0
