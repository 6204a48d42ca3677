"""Every command for programs: `--json` gives JSON on standard output and nothing else there."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from click.testing import CliRunner, Result

from grantledger.entrypoints.cli.commands import cli
from support.leaks import seen
from support.server import PASSWORD
from support.written_ledger import copied

OTHERS = {"serve", "demo", "completion", "doctor"}
"""A server, whose log is JSON by `log_format`; walks for people; a script for the shell; tested elsewhere."""

LISTS = {"user list", "client list", "grant list", "keys list", "keys rotate", "secret list", "settings show"}
LISTS |= {"ledger show", "registration-token list", "resource list"}
"""Of many things, each an object on a line of its own. All other commands print one object."""

RUNS: dict[str, list[str]] = {
    "migrate": [],
    "user add": ["new@example.com", "--password-stdin"],
    "user list": [],
    "user disable": ["bob@example.com"],
    "user enable": ["bob@example.com"],
    "user erase-password": ["bob@example.com"],
    "user set-name": ["bob@example.com", "Bob"],
    "user show": ["bob@example.com"],
    "user grant-role": ["bob@example.com", "editor"],
    "user revoke-role": ["bob@example.com", "editor"],
    "user set-password": ["bob@example.com", "--password-stdin"],
    "client list": [],
    "client show": ["CLIENT"],
    "client add": ["--name", "Claude", "--redirect-uri", "https://claude.ai/api/mcp/auth_callback"],
    "client set": ["CLIENT", "--access-token-expires-in", "300"],
    "client rotate-secret": ["CONFIDENTIAL"],
    "client disable": ["CLIENT"],
    "client enable": ["CLIENT"],
    "client approve": ["CLIENT"],
    "client delete": ["CLIENT"],
    "client prune": ["--unused-for", "0"],
    "registration-token add": ["ci"],
    "registration-token list": [],
    "registration-token revoke": ["TOKEN"],
    "resource add": ["https://files.example/mcp", "--name", "Files", "--scope", "files:read"],
    "resource list": [],
    "resource rotate-secret": ["RESOURCE"],
    "resource remove": ["RESOURCE"],
    "grant list": [],
    "grant show": ["GRANT"],
    "grant revoke": ["GRANT"],
    "keys list": [],
    "keys rotate": [],
    "secret list": [],
    "secret rotate": [],
    "secret rotate --to": ["SECRET", "--yes"],
    "secret retire": ["SECRET", "--force"],
    "ledger show": [],
    "ledger show --as-of": ["1s", "--client", "CLIENT"],
    "ledger replay": [],
    "ledger rebuild": [],
    "ledger copy": ["--to", "TARGET"],
    "settings check": [],
    "settings show": [],
}


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(cli))


def invoked(words: Sequence[str], environment: dict[str, str], stdin: str = "") -> Result:
    """Run a command in this process, which starts no interpreter."""
    done = CliRunner().invoke(cli, words, input=stdin, env=environment)
    seen(f"grantledger {' '.join(words)}", done.output)
    return done


class Operator:
    """Runs commands on a ledger that has clients, users and grants."""

    def __init__(self, directory: Path) -> None:
        self.database = copied(directory)
        self.environment = {
            "GRANTLEDGER_DATABASE": str(self.database),
            "GRANTLEDGER_MASTER_SECRET_FILE": str(directory / "secrets"),
            "GRANTLEDGER_ROLES": '{"editor": {"permissions": ["pages:write"]}}',
        }

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it without `main`, so that an error that `main` does not report is a traceback here."""
        done = invoked(arguments, self.environment, f"{PASSWORD}\n")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    def records(self, *arguments: str) -> list[dict[str, Any]]:
        code, said, complaint = self.run(*arguments, "--json")
        assert code == 0, complaint
        return [json.loads(line) for line in said.splitlines()]

    def one_of(self, table: str) -> str:
        with closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute(f"SELECT max(key) FROM {table} WHERE realm = 'main'").fetchone()[0])


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def prepared(operator: Operator, run: str) -> list[str]:
    """Prepare the ledger for the run, and return its arguments with real ids."""
    words = [*run.split(), *RUNS[run]]
    if run == "keys rotate":
        words.append("--compromised")
        words.append("--yes")
    if run == "ledger replay":
        operator.run("ledger", "rebuild")
    if "SECRET" in words:
        old, new = (
            operator.records("secret", "list")[0]["key_id"],
            operator.records("secret", "rotate")[0]["key_id"],
        )
        if run == "secret retire":
            operator.run("secret", "rotate", "--to", new, "--yes")
        words[words.index("SECRET")] = old if run == "secret retire" else new
    if run == "registration-token list":
        for name in ("ci", "team-a"):
            operator.run("registration-token", "add", name)
    if run == "resource list":
        operator.run("resource", "add", "https://files.example/mcp")
    if "RESOURCE" in words:
        words[words.index("RESOURCE")] = operator.records("resource", "add", "https://files.example")[0]["id"]
    if "TARGET" in words:
        words[words.index("TARGET")] = str(operator.database.with_name("copy.sqlite3"))
    if "TOKEN" in words:
        words[words.index("TOKEN")] = operator.records("registration-token", "add", "ci")[0]["token_id"]
    if "CONFIDENTIAL" in words:
        added = operator.records("client", "add", *RUNS["client add"])[0]
        words[words.index("CONFIDENTIAL")] = added["client_id"]
    named = {"CLIENT": lambda: operator.one_of("client"), "GRANT": lambda: operator.one_of("token_grant")}
    return [named[word]() if word in named else word for word in words]


def test_every_command_is_run_here():
    assert {" ".join(run.split()[:2]) for run in RUNS} == COMMANDS.keys() - OTHERS


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - OTHERS))
def test_every_command_takes_json(name: str):
    assert any("--json" in option.opts for option in COMMANDS[name].params)


@pytest.mark.parametrize("run", RUNS)
def test_with_json_nothing_but_objects_is_printed(operator: Operator, run: str):
    found = operator.records(*prepared(operator, run))
    assert all(isinstance(one, dict) for one in found)
    if run in LISTS:
        assert len(found) > 1 or run == "secret list"
    else:
        assert len(found) == 1


def test_an_empty_list_prints_nothing(tmp_path: Path):
    environment = {"GRANTLEDGER_DATABASE": str(tmp_path / "new.sqlite3")}
    for words in (["migrate"], ["user", "list"], ["client", "list"], ["grant", "list"], ["keys", "list"]):
        done = invoked([*words, "--json"], environment)
        assert done.exit_code == 0
        assert words == ["migrate"] or done.stdout == ""


def test_faults_of_the_settings_are_an_object_too(tmp_path: Path):
    environment = {"GRANTLEDGER_PORT": "70000", "GRANTLEDGER_REALM": "Main!"}
    done = invoked(["settings", "check", "--json"], environment)
    assert done.exit_code == 1
    printed = json.loads(done.stdout)
    assert (printed["good"], [fault["setting"] for fault in printed["faults"]]) == (False, ["port", "realm"])
