"""`grantledger ledger replay` and `rebuild`, as an operator meets them."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.entrypoints.cli.main import cli
from support import server
from support.old_history import copied


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A ledger of an older release, brought to this one's schema and folds."""
    file = Database(copied("first", tmp_path))
    migrations.migrate(file)
    for _ in Rebuild(file, TagMapper()).steps():
        pass
    file.engine.dispose()
    return file.path


def run(database: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process, which starts no interpreter."""
    done = CliRunner().invoke(cli, ["ledger", *arguments, "--database", str(database)])
    return done.exit_code, done.stdout, done.stderr


def by_hand(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def a_grant(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT min(key) FROM token_grant WHERE realm = 'main'")
        return str(found.fetchone()[0])


def test_a_replay_that_finds_nothing_says_how_much_it_compared(database: Path):
    assert run(database, "replay") == (0, "91 events replayed into 55 rows: all as it says\n", "")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE token_grant SET user_id = 'glu_eve'", "what its events say: user_id"),
        (
            "UPDATE token_grant SET state = CAST(replace(state, '\"revoked\":', '\"reviled\":') AS BLOB)",
            "what its events say: state.revoked, state.reviled",
        ),
        ("UPDATE token_grant SET version = 99", "the row is at version 99"),
        ("UPDATE token_grant SET fold = 99", "the row is of fold 99"),
        ("DELETE FROM token_grant", "the row is missing"),
    ],
)
def test_a_row_changed_by_hand_is_named_and_the_exit_code_is_1(database: Path, statement: str, named: str):
    """Seen to catch: only versions compared; only rows that are there compared; a fold passed over."""
    grant = a_grant(database)
    by_hand(database, f"{statement} WHERE key = '{grant}'")
    code, said, _ = run(database, "replay")
    assert code == 1
    first, last = said.splitlines()
    assert first.startswith(f"grant {grant}: ")
    assert named in first
    assert last == "91 events replayed into 55 rows: 1 of them differ from it"


def test_a_row_without_events_is_named(database: Path):
    stray = "SELECT realm, 'eve', version, fold, state FROM signin WHERE realm = 'main' LIMIT 1"
    by_hand(database, f"INSERT INTO signin {stray}")
    code, said, _ = run(database, "replay")
    assert (code, said.splitlines()[0]) == (1, "signin eve: the row has no stream in the log")


def test_with_json_each_difference_is_an_object_and_the_last_line_is_the_sum(database: Path):
    grant = a_grant(database)
    by_hand(database, f"DELETE FROM token_grant WHERE key = '{grant}'")
    code, said, _ = run(database, "replay", "--json")
    assert code == 1
    assert [json.loads(line) for line in said.splitlines()] == [
        {"category": "grant", "key": grant, "difference": "the row is missing"},
        {"events": 91, "rows": 55, "differences": 1},
    ]


def test_a_rebuild_makes_it_right(database: Path):
    by_hand(database, "DELETE FROM token_grant")
    assert run(database, "replay")[0] == 1
    assert run(database, "rebuild") == (0, "100 events folded into new rows, which are in place\n", "")
    assert run(database, "replay")[0] == 0


def test_more_differences_than_a_person_reads_are_counted(database: Path):
    for table in ("client", "code", "token_grant", "consent", "user_account", "signin"):
        by_hand(database, f"DELETE FROM {table}")
    lines = run(database, "replay")[1].splitlines()
    assert len(lines) == 51
    assert lines[-1] == "91 events replayed into 55 rows: 55 of them differ from it (5 of them not shown)"


@pytest.mark.parametrize("command", ["replay", "rebuild"])
def test_on_a_terminal_a_bar_shows_how_far_it_is_and_elsewhere_none(database: Path, command: str):
    shown = on_a_terminal(database, command)
    assert {"replay": "Replaying", "rebuild": "Rebuilding"}[command] in shown
    assert "/100" in shown or "/91" in shown
    assert command.capitalize()[:6] not in "".join(run(database, command)[1:])


def on_a_terminal(database: Path, command: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "GRANTLEDGER_DATABASE": str(database)}
    with subprocess.Popen(
        [sys.executable, "-m", "grantledger", "ledger", command],
        cwd=database.parent,
        env=environment,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while read := os.read(ours, 65_536):
                shown += read
        except OSError:  # the terminal is gone with its last program
            pass
        os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


@pytest.mark.parametrize("command", ["replay", "rebuild"])
def test_an_event_of_a_later_release_is_a_sentence(database: Path, command: str):
    by_hand(database, "UPDATE events SET tag = 'user.promoted.v1' WHERE tag = 'user.disabled.v1'")
    done = server.cli("ledger", command, cwd=database.parent, database=str(database))
    assert done.returncode == 1
    assert done.stderr == "grantledger: an event of tag user.promoted.v1, which only another release knows\n"
