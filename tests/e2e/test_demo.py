"""`grantledger demo` as a person at a terminal meets it: a process, its exit code and what it prints."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.e2e

STEPS = [
    "discovery",
    "register",
    "sign in",
    "consent",
    "token",
    "tool call",
    "other server",
    "refresh",
    "parallel refresh",
    "revoke",
    "refused call",
]

# The refusal at the other server, 19 of the 20 parallel refreshes and the denied consent leave nothing.
EVENTS = [
    "user.opened.v1",
    "client.registered.v1",
    "browser_session.signed_in.v1",
    "consent.given.v1",
    "authorization_code.issued.v1",
    "authorization_code.redeemed.v1",
    "token_grant.opened.v1",
    "token_grant.refreshed.v1",
    "token_grant.refreshed.v1",
    "token_grant.revoked.v1",
]


def demo_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "grantledger", "demo", *arguments]


def demo(*arguments: str, temp: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        demo_command(*arguments),
        cwd=temp,
        env=os.environ | {"TMPDIR": str(temp)} | environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


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
        process.communicate(timeout=30)


def found(pattern: str, lines: list[str]) -> str:
    match = re.search(pattern, "\n".join(lines))
    assert match, lines
    return match[0]


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    return demo("--once", "--port", "0", temp=tmp_path_factory.mktemp("demo"))


def test_the_walk_passes(walked):
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert walked.stderr == ""


def test_every_step_is_shown_as_passed(walked):
    passed = re.findall(r"^  ✓ (.{16}) ", walked.stdout, flags=re.MULTILINE)
    assert [step.strip() for step in passed] == STEPS


def test_the_ledger_of_what_happened_is_shown_in_order(walked):
    assert re.findall(r"[a-z_]+\.[a-z_]+\.v\d+", walked.stdout) == EVENTS


def test_what_is_printed_fits_a_terminal_and_is_plain_without_one(walked):
    assert "\x1b" not in walked.stdout
    assert [line for line in walked.stdout.splitlines() if len(line) > 80 or line != line.rstrip()] == []


def test_nothing_is_left_behind(tmp_path):
    demo("--once", "--port", "0", temp=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_surroundings_change_nothing(tmp_path):
    (tmp_path / "grantledger.toml").write_text("no_such_setting = 1\n")
    surroundings = {"GRANTLEDGER_ISSUER": "https://else.example", "HTTP_PROXY": "http://127.0.0.1:1"}
    assert demo("--once", "--port", "0", temp=tmp_path, **surroundings).returncode == 0


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
        (("--password", "short"), "at least 8 characters"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_starts(tmp_path, arguments, complaint):
    ended = demo(*arguments, temp=tmp_path)
    assert ended.returncode == 2
    assert complaint in ended.stderr


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
    assert "pip install 'grantledger[demo]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_says_how_to_connect_and_stays_up_until_ctrl_c(tmp_path):
    options = ("--serve-only", "--port", "0", "--email", "eve@example.com", "--password", "correct horse")
    with staying_up(*options, temp=tmp_path) as (process, lines):
        shown = "\n".join(lines)
        origin = found(r"http://127\.0\.0\.1:\d+", lines)
        assert f"claude mcp add --transport http demo-todo {origin}/mcp" in lines_stripped(lines)
        assert "npx @modelcontextprotocol/inspector" in lines_stripped(lines)
        assert "eve@example.com" in shown
        assert "correct horse" in shown
        assert "✓" not in shown
        assert httpx2.post(f"{origin}/mcp", trust_env=False).status_code == 401
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    with pytest.raises(httpx2.ConnectError):
        httpx2.post(f"{origin}/mcp", trust_env=False)


def lines_stripped(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads the process list of Linux")
def test_the_password_is_on_no_command_line_but_the_one_that_gave_it(tmp_path):
    with staying_up("--serve-only", "--port", "0", temp=tmp_path) as (_, lines):
        password = found(r"(?<=password  )\S+", lines)
        seen = [path.read_bytes() for path in process_list()]
    assert any(b"grantledger.entrypoints.demo.server" in command for command in seen)
    assert not any(password.encode() in command for command in seen)


def process_list() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            path.read_bytes()
            yield path


def test_the_server_ends_and_leaves_nothing_when_the_demo_is_killed(tmp_path):
    with staying_up("--serve-only", "--port", "0", temp=tmp_path) as (process, lines):
        origin = found(r"http://127\.0\.0\.1:\d+", lines)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while answers(origin) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not answers(origin)
    assert list(tmp_path.iterdir()) == []


def answers(origin: str) -> bool:
    try:
        httpx2.get(origin, trust_env=False)
    except httpx2.TransportError:
        return False
    return True
