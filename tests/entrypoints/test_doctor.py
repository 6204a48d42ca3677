"""`grantledger doctor` as people and scripts use it: options, output, exit codes."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from grantledger.adapters.doctor.report import Report
from grantledger.entrypoints import doctor_run
from grantledger.entrypoints.cli import doctor_alone
from grantledger.entrypoints.cli.commands import cli
from grantledger.entrypoints.cli.doctor import doctor
from grantledger.entrypoints.doctor_run import DoctorOptions, lines_of, run_doctor
from support.leaks import seen

URL = "https://mcp.example/mcp"
SERVER = {
    "alembic",
    "click",
    "dependency_injector",
    "eventsourcing",
    "jinja2",
    "litestar",
    "rich",
    "sqlalchemy",
}

TABLE = """\
https://mcp.example/mcp, whose authorization server is https://auth.example

severity  check, what was seen, and what to do
fault     issuer
          - seen: 'https://auth.example/' at
            https://auth.example/.well-known/oauth-authorization-server, but the
            resource names 'https://auth.example'
          - rule: `issuer` is the authorization server that the resource names,
            byte for byte. (RFC 8414 section 3.3)
          - clients: all clients
          - do: Write the issuer in one spelling everywhere. Watch the slash at
            the end.
note      several-servers
          - seen: 2 servers
          - rule: It names one authorization server. (RFC 9728 section 2)
          - clients: Python SDK, TypeScript SDK and Claude: they use the first
            only
          - do: Put the server that every client should use first.

3 checks: 1 fault, 0 warnings, 1 note, 1 passed
--active also checks registration, redemption, refresh and revocation.
"""


def a_report(*, fault: bool = True) -> Report:
    report = Report(URL)
    report.issuer = "https://auth.example"
    report.judge("challenge", True, "")
    report.judge("several-servers", False, "2 servers")
    if fault:
        document = "https://auth.example/.well-known/oauth-authorization-server"
        report.judge(
            "issuer",
            False,
            f"'https://auth.example/' at {document}, but the resource names 'https://auth.example'",
        )
    return report


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Report:
    """What every examination finds."""
    found = a_report()

    async def examined(*_: object) -> Report:
        return found

    monkeypatch.setattr(doctor_run, "examine", examined)
    return found


def run(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(cli, ["doctor", *arguments])
    seen(f"grantledger doctor {' '.join(arguments)}", ended.output)
    return ended.exit_code, ended.stdout, ended.stderr


# Output


def test_the_table_fits_a_terminal_of_80_columns():
    lines = list(lines_of(a_report(), width=80))
    assert max(map(len, lines)) <= 80
    assert lines == TABLE.splitlines()


def test_checks_that_passed_are_shown_with_all():
    assert "ok        challenge" not in lines_of(a_report(), width=120)
    assert "ok        challenge" in lines_of(a_report(), width=120, everything=True)


def test_what_is_left_behind_is_the_last_line():
    report = a_report()
    report.left_behind.append("5 registered clients")
    *_, last = lines_of(report, width=120, active=True)
    assert last == "Left behind: 5 registered clients"


def test_control_characters_of_the_servers_are_escaped():
    report = a_report()
    report.judge("pkce-plain", False, "\x1b]0;title\x07")
    report.issuer = "https://auth.example/\x1b]0;title\x07"
    assert "\x1b" not in "\n".join(lines_of(report, width=120))


def test_json_is_an_object_per_check_on_a_line_of_its_own(report: Report):
    code, said, _ = run(URL, "--json")
    records = [json.loads(line) for line in said.splitlines()]
    assert code == 1
    assert [(record["check"], record["severity"]) for record in records] == [
        ("challenge", "ok"),
        ("several-servers", "note"),
        ("issuer", "fault"),
    ]
    assert set(records[0]) == {"check", "severity", "rule", "section", "clients", "seen", "do"}


def test_what_is_left_behind_is_on_standard_error_with_json(report: Report):
    report.left_behind.append("5 registered clients")
    assert run(URL, "--json")[2] == "grantledger: left behind: 5 registered clients\n"


# Exit codes


def test_a_fault_is_exit_code_1(report: Report):
    assert run(URL)[0] == 1


def test_without_a_fault_the_exit_code_is_0(monkeypatch: pytest.MonkeyPatch):
    async def examined(*_: object) -> Report:
        return a_report(fault=False)

    monkeypatch.setattr(doctor_run, "examine", examined)
    assert run(URL)[0] == 0


def test_an_examination_that_ended_early_is_exit_code_2(monkeypatch: pytest.MonkeyPatch):
    unfinished = a_report(fault=False)
    unfinished.unfinished = "no response came"

    async def examined(*_: object) -> Report:
        return unfinished

    monkeypatch.setattr(doctor_run, "examine", examined)
    code, _, complaint = run(URL)
    assert (code, complaint) == (2, "grantledger: not all was checked: no response came\n")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mcp.example", "is not an absolute URI"),
        ("ftp://mcp.example/", "must be an https URL"),
        ("https://ada:secret@mcp.example/", "without a user name"),
        ("http://127.0.0.1:1/mcp", "gets no response (ConnectError)"),
    ],
)
def test_a_url_that_cannot_be_examined_is_exit_code_2(url: str, complaint: str):
    code, said, error = run(url)
    assert (code, said) == (2, "")
    assert complaint in error
    assert error.count("\n") == 1


def test_an_interrupt_is_exit_code_2(monkeypatch: pytest.MonkeyPatch):
    async def examined(*_: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor_run, "examine", examined)
    assert run(URL)[::2] == (2, "\ngrantledger: interrupted\n")


# A terminal


def test_progress_is_shown_on_a_terminal_and_erased(tmp_path: Path):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "grantledger", "doctor", "http://127.0.0.1:1/mcp"]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=follower, check=False)
    os.close(follower)
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.match(r"\rrequests: 1\r\x1b\[Kgrantledger: POST", shown)


# The browser


async def test_the_url_of_the_sign_in_is_printed_and_opened(monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    terminal = io.StringIO()
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(sys, "stderr", terminal)
    await doctor_run.open_url(DoctorOptions(url=URL), "https://auth.example/authorize")
    await doctor_run.open_url(DoctorOptions(url=URL, open_browser=False), "https://auth.example/other")
    assert opened == ["https://auth.example/authorize"]
    assert "https://auth.example/other\n" in terminal.getvalue()


async def test_control_characters_in_the_url_of_the_sign_in_are_escaped(capsys: pytest.CaptureFixture[str]):
    await doctor_run.open_url(DoctorOptions(url=URL, open_browser=False), "https://auth.example/\x1b[2J\r")
    assert "https://auth.example/\\x1b[2J\\r\n" in capsys.readouterr().err


def test_control_characters_in_the_reason_for_an_early_end_are_escaped(
    report: Report, capsys: pytest.CaptureFixture[str]
):
    report.unfinished = "the resource \x1b[2J"
    run_doctor(DoctorOptions(url=URL))
    assert "the resource \\x1b[2J\n" in capsys.readouterr().err


# Without the extra


def test_both_parsers_know_the_same_options():
    by_click = {option for parameter in doctor.params for option in parameter.opts}
    by_argparse = {
        option
        for action in doctor_alone.parser()._actions  # noqa: SLF001 - there is no other list of them
        for option in action.option_strings or [action.dest]
    }
    assert by_argparse - {"-h", "--help"} == by_click


def test_the_options_mean_the_same(monkeypatch: pytest.MonkeyPatch):
    given: list[DoctorOptions] = []

    def remember(options: DoctorOptions) -> int:
        given.append(options)
        return 0

    monkeypatch.setattr(doctor_run, "run_doctor", remember)
    monkeypatch.setattr(doctor_alone, "run_doctor", remember)
    arguments = [URL, "--active", "--no-browser", "--all", "--json"]
    for chosen in ([URL], *([URL, option] for option in arguments[1:]), arguments):
        CliRunner().invoke(cli, ["doctor", *chosen])
        with pytest.raises(SystemExit):
            doctor_alone.main(chosen)
        by_click, by_argparse = given[-2:]
        assert by_click == by_argparse


def test_it_imports_no_part_of_the_server(tmp_path: Path):
    """Run it where the library of the other commands is missing, and list what it has imported."""
    program = """
import sys
sys.modules["click"] = sys.modules["rich_click"] = None
import importlib.util
importlib.util.find_spec = lambda name: None
from grantledger.entrypoints.cli import main
sys.argv = ["grantledger", "doctor", "http://127.0.0.1:1/mcp"]
try:
    main()
except SystemExit as end:
    print(end.code, *{name.partition(".")[0] for name, module in sys.modules.items() if module})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    code, *names = done.stdout.split()
    assert code == "2"
    assert not set(names) & SERVER


def test_a_report_is_printed_in_lines_that_a_pipe_does_not_wrap(report: Report, capsys):
    assert run_doctor(DoctorOptions(url=URL)) == 1
    assert "names, byte for byte." in capsys.readouterr().out
