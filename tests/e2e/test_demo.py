"""`grantledger demo` as a process: its output, its exit code, and what it leaves behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from msgspec import Struct
from rich.console import Console

from grantledger.entrypoints.cli.commands import cli
from grantledger.entrypoints.demo.walk import Walk
from support.leaks import seen
from support.stores import once
from support.timeouts import TIMEOUT

WHOLE_WALK = 240
"""Seconds for a demo from its start to its end."""

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(300),
    once("its servers make a SQLite file of their own"),
]

STEPS = [
    "discovery",
    "register",
    "sign in",
    "consent",
    "token",
    "tool call",
    "step-up",
    "role",
    "other server",
    "refresh",
    "parallel refresh",
    "revoke",
    "refused call",
]

# These leave no event: refusals by role and at the other server, 19 of the 20 parallel refreshes, and the
# denied consent.
EVENTS = [
    "signing key created",
    "signing key activated",
    "signing key created",
    "user opened",
    "client registered",
    "browser session signed in",
    "consent given",
    "authorization code issued",
    "authorization code redeemed",
    "token grant opened",
    "browser session signed in",
    "consent given",
    "authorization code issued",
    "authorization code redeemed",
    "token grant opened",
    "token grant refreshed",
    "token grant refreshed",
    "token grant revoked",
    "browser session signed in",
]


def demo_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "grantledger", "demo", *arguments]


def demo(*arguments: str, temp: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        demo_command(*arguments),
        cwd=temp,
        env=os.environ | {"TMPDIR": str(temp)} | environ,
        capture_output=True,
        text=True,
        timeout=WHOLE_WALK,
        check=False,
    )
    seen(f"grantledger demo {' '.join(arguments)}", done.stdout + done.stderr)
    return done


@contextmanager
def staying_up(*arguments: str, temp: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the demo until it waits for Ctrl-C; yield it with the lines it has printed."""
    process = subprocess.Popen(
        demo_command(*arguments),
        cwd=temp,
        env=os.environ | {"TMPDIR": str(temp), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Ctrl-C" in line:
                break
        yield process, lines
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        said, complaint = process.communicate(timeout=TIMEOUT)
        seen(f"grantledger demo {' '.join(arguments)}", "\n".join((*lines, said, complaint)))


def found(pattern: str, lines: list[str]) -> str:
    match = re.search(pattern, "\n".join(lines))
    assert match, lines
    return match[0]


class Walked(Struct):
    returncode: int
    stdout: str
    stderr: str
    left: list[str]


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Walked:
    """One run of the demo for many tests. Its environment has settings that the demo must ignore."""
    temp = tmp_path_factory.mktemp("demo")
    (temp / "grantledger.toml").write_text("no_such_setting = 1\n")
    surroundings = {"GRANTLEDGER_ISSUER": "https://else.example", "HTTP_PROXY": "http://127.0.0.1:1"}
    ended = demo("--once", "--port", "0", temp=temp, **surroundings)
    left = [path.name for path in temp.iterdir()]
    return Walked(ended.returncode, ended.stdout, ended.stderr, left)


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[list[str]]:
    """What a running demo has printed."""
    options = ("--serve-only", "--port", "0", "--email", "eve@example.com")
    with staying_up(*options, temp=tmp_path_factory.mktemp("up")) as (_, lines):
        yield lines


def test_the_walk_passes(walked):
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert walked.stderr == ""


def test_every_step_is_shown_as_passed(walked):
    passed = re.findall(r"^  ✓ (.{16}) ", walked.stdout, flags=re.MULTILINE)
    assert [step.strip() for step in passed] == STEPS


def test_the_ledger_of_what_happened_is_shown_in_order(walked):
    _, _, ledger = walked.stdout.partition("The ledger of this flow")
    lines = re.findall(r"^ *(\d+)  [0-9-]{10} [0-9:]{8}  (.+?)  ", ledger, flags=re.MULTILINE)
    assert lines == [(str(position), event) for position, event in enumerate(EVENTS, start=1)]


def test_the_walk_ends_with_the_doctor_which_finds_no_fault(walked):
    _, _, examined = walked.stdout.partition("What clients meet")
    assert re.search(r"^\d+ checks: 0 faults, 0 warnings, ", examined, flags=re.MULTILINE)


def test_what_is_printed_fits_a_terminal_and_is_plain_without_one(walked):
    assert "\x1b" not in walked.stdout
    assert [line for line in walked.stdout.splitlines() if len(line) > 80] == []


def test_the_walk_leaves_nothing_behind(walked):
    assert walked.left == ["grantledger.toml"]


async def test_a_step_that_does_not_pass_ends_the_walk_and_says_what_was_expected(up):
    shown = StringIO()
    origin = found(r"http://127\.0\.0\.1:\d+", up)
    assert not await Walk(Console(file=shown, width=80), origin, "eve@example.com", "wrong password")()
    seen("a walk that fails", shown.getvalue())
    *passed, failed, expected, came = shown.getvalue().splitlines()
    assert [line.split()[1] for line in passed] == ["discovery", "register"]
    assert failed.split(maxsplit=1)[1] == "sign in"
    assert expected == "      expected  the page 'Allow access?'"
    assert "The e-mail address or the password is not right." in came


def test_a_port_that_is_taken_is_named_in_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = demo("--once", "--port", str(port), temp=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use." in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--once", "--serve-only"), "--once"),
        (("--email", "nobody"), "not an e-mail address"),
        (("--password", "short"), "at least 12 characters"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_starts(arguments, complaint):
    ended = CliRunner().invoke(cli, ["demo", *arguments])
    seen(f"grantledger demo {' '.join(arguments)}", ended.output)
    assert ended.exit_code == 2
    assert complaint in ended.output


def test_without_the_extra_it_says_what_to_install(tmp_path):
    hidden = "import sys; sys.modules['mcp'] = None; from grantledger.entrypoints.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", hidden, "demo", "--once"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(": pip install 'grantledger[demo]'\n")
    assert ended.stderr.count("\n") == 1


def test_it_says_how_to_connect_a_client(up):
    origin = found(r"http://127\.0\.0\.1:\d+", up)
    assert f"  claude mcp add --transport http demo-todo {origin}/mcp" in up
    assert any(line.startswith("  code --add-mcp '{") for line in up)
    inspector = "npx @modelcontextprotocol/inspector --transport http --server-url"
    assert f"  {inspector} {origin}/mcp" in up
    assert "  e-mail    eve@example.com" in up
    assert not any("✓" in line for line in up)
    assert httpx2.post(f"{origin}/mcp", timeout=TIMEOUT, verify=False, trust_env=False).status_code == 401


def test_the_command_that_it_gives_reads_its_ledger(up):
    (command,) = [line for line in up if " ledger show --database " in line]
    printed = subprocess.check_output(shlex.split(command), text=True, timeout=TIMEOUT)
    seen(command, printed)
    assert "user opened" in printed


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads the process list of Linux")
def test_the_password_is_on_no_command_line(up):
    password = found(r"(?<=password  )\S+", up)
    commands = list(command_lines())
    assert any(b"grantledger.entrypoints.demo.server" in command for command in commands)
    assert not any(password.encode() in command for command in commands)


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def test_ctrl_c_ends_the_demo_and_its_server_without_an_error(tmp_path):
    with staying_up("--serve-only", "--port", "0", temp=tmp_path) as (process, lines):
        origin = found(r"http://127\.0\.0\.1:\d+", lines)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, errors) == (0, "")
    assert not answers(origin)
    assert list(tmp_path.iterdir()) == []


def test_the_server_ends_and_leaves_nothing_when_the_demo_is_killed(tmp_path):
    with staying_up("--serve-only", "--port", "0", temp=tmp_path) as (process, lines):
        origin = found(r"http://127\.0\.0\.1:\d+", lines)
        process.kill()
        process.wait()
        # The server closes its port first, and deletes its files at its end.
        deadline = time.monotonic() + TIMEOUT
        while (answers(origin) or list(tmp_path.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not answers(origin)
    assert list(tmp_path.iterdir()) == []


def answers(origin: str) -> bool:
    """Whether a server accepts connections at the port. It may take long to respond."""
    try:
        httpx2.get(origin, timeout=TIMEOUT, verify=False, trust_env=False)
    except httpx2.ConnectError:
        return False
    except httpx2.TransportError:
        return True  # it has accepted the connection, and closed it while it ended
    return True
