"""The command line as people and scripts use it: processes, their output and exit codes."""

import contextlib
import json
import os
import pty
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from grantledger.entrypoints.cli import commands, demo
from support.leaks import seen
from support.server import PASSWORD, cli


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def run(database: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = cli(*arguments, cwd=database.parent, stdin=stdin, database=str(database))
    return done.returncode, done.stdout, done.stderr


def added(database: Path, email: str = "ada@example.com") -> str:
    code, said, complaint = run(database, "user", "add", email, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert code == 0, complaint
    return said.split()[0]


def test_help_names_every_command(database: Path):
    code, said, _ = run(database, "--help")
    assert code == 0
    assert all(command in said for command in ("demo", "serve", "migrate", "user", "keys", "ledger"))


def helps(command: click.Command, *path: str) -> Iterator[str]:
    """Yield the help of the command and of its subcommands, as a terminal of 80 columns shows it."""
    yield CliRunner(env={"COLUMNS": "80"}).invoke(commands.cli, [*path, "--help"]).stdout
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from helps(below, *path, name)


def test_the_help_of_every_command_fits_80_columns():
    """Fails if an option is cut off: its user could not know what to type."""
    shown = list(helps(commands.cli))
    assert len(shown) > 50
    assert [text for text in shown if "\N{HORIZONTAL ELLIPSIS}" in text] == []


@pytest.mark.parametrize("missing", ["bs4", "mcp"])
def test_without_a_package_of_the_demo_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch):
    def find_spec(name: str) -> object:
        return None if name == missing else name

    monkeypatch.setattr(demo, "find_spec", find_spec)
    done = CliRunner().invoke(demo.demo, ["--once"])
    assert done.exit_code == 1
    assert done.stderr.endswith("pip install 'grantledger[demo]'\n")


def test_migrate_creates_the_database_and_prints_its_revision(database: Path):
    code, said, _ = run(database, "migrate")
    assert code == 0
    assert re.fullmatch(rf"{database} is at revision \d{{4}}\n", said)
    assert database.exists()


def test_migrating_again_changes_nothing(database: Path):
    run(database, "migrate")
    code, said, _ = run(database, "migrate")
    assert code == 0
    assert said.endswith(", as it was\n")


def test_a_user_is_added_and_named(database: Path):
    code, said, _ = run(database, "user", "add", "ada@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert code == 0
    assert said.startswith("glu_")
    assert said.endswith(" can sign in as ada@example.com\n")


def test_without_a_terminal_the_password_must_be_on_standard_input(database: Path):
    code, said, complaint = run(database, "user", "add", "ada@example.com", stdin=f"{PASSWORD}\n")
    assert (code, said) == (2, "")
    assert "give --password-stdin" in complaint
    assert PASSWORD not in complaint


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(database: Path):
    command = Path(sys.executable).with_name("grantledger")
    child, terminal = pty.fork()
    if child == 0:
        arguments = ["grantledger", "user", "add", "ada@example.com", "--database", str(database)]
        os.chdir(database.parent)
        os.execve(command, arguments, os.environ | {"COLUMNS": "100"})
    asked = ("Password", "confirmation")
    shown = "".join(answered(terminal, prompt, PASSWORD) for prompt in asked) + rest(terminal)
    seen("grantledger user add on a terminal", shown)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert " can sign in as ada@example.com" in shown
    assert PASSWORD not in shown


def answered(terminal: int, prompt: str, answer: str) -> str:
    """Wait for the prompt, type the answer, and return what was shown until then."""
    shown = ""
    while not re.search(rf"{prompt}.*: $", shown):
        shown += os.read(terminal, 1_000).decode()
    os.write(terminal, f"{answer}\n".encode())
    return shown


def rest(terminal: int) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # a terminal raises this at the end of the other process
        while more := os.read(terminal, 1_000):
            shown += more
    return shown.decode()


@pytest.mark.parametrize(
    ("email", "password", "complaint"),
    [
        ("nobody", PASSWORD, "'nobody' is not an e-mail address"),
        ("bob@example.com", "short", "at least 12 characters"),
        ("bob@example.com", "x" * 1025, "1024 bytes at most"),
        ("Ada@Example.com", PASSWORD, "there is an account for Ada@Example.com already"),
    ],
)
def test_a_user_that_cannot_be_added_is_refused_with_a_sentence(
    database: Path, email: str, password: str, complaint: str
):
    added(database)
    code, _, said = run(database, "user", "add", email, "--password-stdin", stdin=f"{password}\n")
    assert code == 1
    assert complaint in " ".join(said.replace("│", " ").split())


def test_the_ledger_is_shown_with_who_and_what(database: Path):
    user = added(database)
    code, said, _ = run(database, "ledger", "show")
    assert code == 0
    assert "user opened" in said
    assert user in said
    assert "operator" in said


def test_the_ledger_shows_no_persons_data(database: Path):
    added(database)
    assert "example.com" not in run(database, "ledger", "show", "--json")[1]


def test_with_json_each_line_is_an_event_with_its_envelope(database: Path):
    user = added(database)
    _, said, _ = run(database, "ledger", "show", "--json")
    (line,) = [json.loads(line) for line in said.splitlines()]
    assert (line["position"], line["tag"], line["stream_id"]) == (1, "user.opened.v1", f"user:{user}")
    assert line["event"]["user_id"] == user
    assert {"event_id", "append_id", "recorded_at", "actor_kind", "correlation_id"} <= line.keys()


def test_a_filter_shows_only_matching_events(database: Path):
    ada, bob = added(database), added(database, "bob@example.com")
    _, said, _ = run(database, "ledger", "show", "--json", "--user", bob)
    assert bob in said
    assert ada not in said


def test_without_a_match_the_ledger_says_so(database: Path):
    ada = added(database)
    filters = ("--user", ada, "--since", "2999-01-01T00:00")
    assert run(database, "ledger", "show", *filters)[:2] == (0, "No event matches.\n")


@pytest.mark.parametrize("name", ["ada@example.com", "ADA@Example.com"])
def test_the_ledger_of_a_user_is_found_by_the_e_mail_address(database: Path, name: str):
    """Fails if the address is taken for an id."""
    ada = added(database)
    added(database, "bob@example.com")
    _, said, _ = run(database, "ledger", "show", "--json", "--user", name)
    assert [json.loads(line)["stream_id"] for line in said.splitlines()] == [f"user:{ada}"]


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("user", "glu_nobody"),
        ("user", "nobody@example.com"),
        ("user", "@"),
        ("client", "glc_nobody"),
        ("grant", "nobody"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--json",), ("--since", "1h"), ("--user", "ada@example.com")])
def test_a_filter_without_any_event_is_refused_with_one_sentence(
    database: Path, what: str, name: str, more: tuple[str, ...]
):
    added(database)
    answer = run(database, "ledger", "show", *more, f"--{what}", name)
    assert answer == (1, "", f"grantledger: there is no {what} {name!r}\n")


def test_events_of_a_user_id_are_shown_without_the_master_secret(database: Path):
    ada = added(database)
    Path(f"{database}.secret").unlink()
    assert "user opened" in run(database, "ledger", "show", "--user", ada)[1]
    assert run(database, "ledger", "show", "--user", "glu_nobody")[2].startswith("grantledger: there is no ")


def test_since_accepts_a_duration(database: Path):
    added(database)
    assert "user opened" in run(database, "ledger", "show", "--since", "1h")[1]


def test_a_time_that_cannot_be_read_is_refused(database: Path):
    added(database)
    code, _, said = run(database, "ledger", "show", "--since", "yesterday")
    assert code == 2
    assert "neither a time like" in said


@pytest.mark.parametrize("command", [("ledger", "show"), ("migrate",), ("serve",)])
def test_a_database_that_cannot_be_opened_is_reported_in_one_sentence(command: tuple[str, ...]):
    code, _, said = run_at("/nowhere/x.db", *command)
    assert code == 1
    assert said == "grantledger: the directory /nowhere does not exist\n"


def run_at(database: str, *command: str) -> tuple[int, str, str]:
    done = cli(*command, cwd=Path("/"), database=database)
    return done.returncode, done.stdout, done.stderr


def test_showing_a_ledger_does_not_create_it(database: Path):
    code, _, said = run(database, "ledger", "show")
    assert code == 1
    assert said.startswith(f"grantledger: {database} cannot be opened")
    assert not database.exists()


def test_an_unknown_setting_stops_every_command(database: Path):
    done = cli("migrate", cwd=database.parent, database=str(database), acess_token_expires_in="60")
    assert done.returncode == 1
    assert "acess_token_expires_in" in done.stderr
    assert "did you mean access_token_expires_in" in done.stderr


def test_an_argument_that_is_not_utf_8_is_a_usage_error(database: Path):
    code, _, complaint = run(database, "user", "disable", os.fsdecode(b"ad\xe4"))
    assert (code, complaint) == (2, "grantledger: an argument is not written in UTF-8\n")
