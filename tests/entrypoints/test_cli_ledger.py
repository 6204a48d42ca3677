"""`grantledger ledger show --as-of`, `replay` and `rebuild`, as an operator uses them."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from grantledger.entrypoints.cli.commands import cli
from support import server
from support.leaks import seen
from support.written_ledger import START, copied


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A ledger with a history, written two days ago."""
    return copied(tmp_path)


def run(database: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process, which starts no interpreter."""
    done = CliRunner().invoke(cli, ["ledger", *arguments, "--database", str(database)])
    seen(f"ledger {' '.join(arguments)}", done.output)
    return done.exit_code, done.stdout, done.stderr


def by_hand(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def a_grant(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT min(key) FROM token_grant WHERE realm = 'main'")
        return str(found.fetchone()[0])


def test_a_replay_that_finds_nothing_says_how_much_it_compared(database: Path):
    assert run(database, "replay") == (
        0,
        "102 events replayed into 34 rows: all equal to the read model\n",
        "",
    )


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE token_grant SET user_id = 'glu_eve'", "what its events say: user_id"),
        (
            "UPDATE token_grant SET state = CAST(replace(state, '\"glu_', '\"gle_') AS BLOB)",
            "what its events say: state.user_id",
        ),
        ("UPDATE token_grant SET version = 99", "the row is at version 99"),
        ("UPDATE token_grant SET fold = 99", "the row is of fold 99"),
        ("DELETE FROM token_grant", "the row is missing"),
    ],
)
def test_a_row_changed_by_hand_is_named_and_the_exit_code_is_1(database: Path, statement: str, named: str):
    """Fails if only versions or only existing rows are compared, or rows of another fold are skipped."""
    grant = a_grant(database)
    by_hand(database, f"{statement} WHERE key = '{grant}'")
    code, said, _ = run(database, "replay")
    assert code == 1
    first, last = said.splitlines()
    assert first.startswith(f"grant {grant}: ")
    assert named in first
    assert last == "102 events replayed into 34 rows: 1 differ from the read model"


def test_a_row_without_events_is_named(database: Path):
    stray = "SELECT realm, 'eve', version, fold, user_id, ends_at, state FROM signin LIMIT 1"
    by_hand(database, f"INSERT INTO signin {stray}")
    code, said, _ = run(database, "replay")
    assert (code, said.splitlines()[0]) == (1, "signin eve: the row has no stream in the log")


def test_json_has_an_object_per_difference_and_the_total_at_the_end(database: Path):
    grant = a_grant(database)
    by_hand(database, f"DELETE FROM token_grant WHERE key = '{grant}'")
    code, said, _ = run(database, "replay", "--json")
    assert code == 1
    assert [json.loads(line) for line in said.splitlines()] == [
        {"category": "grant", "key": grant, "difference": "the row is missing"},
        {"events": 102, "rows": 34, "differences": 1},
    ]


def test_a_rebuild_corrects_the_rows(database: Path):
    by_hand(database, "DELETE FROM token_grant")
    assert run(database, "replay")[0] == 1
    assert run(database, "rebuild") == (0, "114 events replayed; the read model is rebuilt\n", "")
    assert run(database, "replay")[0] == 0


def test_more_than_fifty_differences_are_only_counted(database: Path):
    by_hand(
        database,
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 55)"
        " INSERT INTO client SELECT realm, 'eve' || n, version, fold, registered_at, prunable, state"
        " FROM numbers, (SELECT * FROM client WHERE realm = 'main' LIMIT 1)",
    )
    lines = run(database, "replay")[1].splitlines()
    assert len(lines) == 51
    assert lines[-1] == "102 events replayed into 34 rows: 55 differ from the read model (5 not shown)"


def test_times_in_events_are_shown_in_utc(database: Path):
    """Fails if they are shown as seconds since 1970, as the events have them."""
    shown = run(database, "show")[1]
    assert f"auth time: {datetime.fromtimestamp(START, UTC):%Y-%m-%d %H:%M:%S} UTC" in shown
    assert re.search(r": \d{10}\s", shown) is None


@pytest.mark.parametrize("command", ["replay", "rebuild"])
def test_a_progress_bar_is_shown_on_a_terminal_only(database: Path, command: str):
    shown = on_a_terminal(database, command)
    assert {"replay": "Replaying", "rebuild": "Rebuilding"}[command] in shown
    assert "/114" in shown or "/102" in shown
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
        except OSError:  # the terminal closes with its last program
            pass
        os.close(ours)
    seen(f"ledger {command} on a terminal", shown.decode())
    assert process.returncode == 0, shown
    return shown.decode()


@pytest.mark.parametrize("command", ["replay", "rebuild"])
def test_an_event_of_a_later_release_is_a_sentence(database: Path, command: str):
    by_hand(database, "UPDATE events SET tag = 'user.promoted.v1' WHERE tag = 'user.disabled.v1'")
    done = server.cli("ledger", command, cwd=database.parent, database=str(database))
    assert done.returncode == 1
    assert done.stderr == "grantledger: an event of tag user.promoted.v1, which only another release knows\n"


def refreshed_grant(database: Path) -> str:
    """The grant that was refreshed at START + 100, and narrowed at START + 200."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT stream_id FROM events WHERE realm = 'main' AND tag = 'token_grant.refreshed.v1'"
            " ORDER BY position LIMIT 1"
        )
        return str(found.fetchone()[0]).removeprefix("grant:")


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of the machine, which must not matter."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(
    ("hours", "written"),
    [(0, "%Y-%m-%dT%H:%M:%S"), (1, "%Y-%m-%dT%H:%M:%S%z"), (-5, "%Y%m%dT%H%M%S%z"), (0, "%s")],
)
def test_a_grant_is_shown_as_of_every_form_of_time(database: Path, hours: int, written: str):
    """Fails if a time zone is ignored, or a time without a zone is taken for local time."""
    moment = datetime.fromtimestamp(START + 340, timezone(timedelta(hours=hours)))
    asked = str(START + 340) if written == "%s" else moment.strftime(written)
    code, said, _ = run(database, "show", "--as-of", asked, "--grant", refreshed_grant(database), "--json")
    printed = json.loads(said)
    assert (code, printed["as_of"]) == (0, f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert (printed["generation"], printed["access"]["scopes"]) == (2, ["notes:read"])


@pytest.mark.parametrize(
    ("after", "generation", "status"), [(99, 0, "live"), (150, 1, "live"), (9_999_999, 2, "expired")]
)
def test_a_past_grant_has_its_generation_and_status(database: Path, after: int, generation: int, status: str):
    """Fails if the newest state is shown, or expiry is judged by the present clock."""
    grant = refreshed_grant(database)
    _, said, _ = run(database, "show", "--as-of", str(START + after), "--grant", grant, "--json")
    printed = json.loads(said)
    assert (printed["generation"], printed["status"]) == (generation, status)


def test_a_grant_is_printed_with_ids_and_no_personal_data(database: Path):
    grant = refreshed_grant(database)
    code, said, _ = run(database, "show", "--as-of", str(START + 150), "--grant", grant)
    lines = dict(line.strip().split(maxsplit=1) for line in said.splitlines())
    assert code == 0
    assert (lines["grant"], lines["status"], lines["generation"]) == (grant, "live", "1")
    assert said.count("glu_") == 1
    assert "example.com" not in said


def test_a_client_is_shown_as_it_was(database: Path):
    with closing(sqlite3.connect(database)) as connection:
        (stream,) = connection.execute(
            "SELECT stream_id FROM events WHERE tag = 'client.disabled.v1'"
        ).fetchone()
    client = stream.removeprefix("client:")
    _, said, _ = run(database, "show", "--as-of", str(START + 86_400), "--client", client)
    lines = dict(line.strip().split(maxsplit=1) for line in said.splitlines())
    assert (lines["client"], lines["status"], lines["name"]) == (client, "disabled", "Disabled")


def test_a_user_is_shown_as_it_was(database: Path):
    with closing(sqlite3.connect(database)) as connection:
        (stream,) = connection.execute(
            "SELECT stream_id FROM events WHERE tag = 'user.disabled.v1'"
        ).fetchone()
    user = stream.removeprefix("user:")
    _, said, _ = run(database, "show", "--as-of", "1s", "--user", user)
    lines = dict(line.strip().split(maxsplit=1) for line in said.splitlines())
    assert (lines["user"], lines["status"], lines["roles"]) == (user, "disabled", "none")


@pytest.mark.parametrize("forgotten", [(), ("client", "user_account", "token_grant", "private_record")])
def test_deleted_things_and_those_only_in_the_log_are_found_by_id(database: Path, forgotten: tuple[str, ...]):
    """Fails if the filter searches the read model instead of the log."""
    with closing(sqlite3.connect(database)) as connection:
        (stream,) = connection.execute(
            "SELECT stream_id FROM events WHERE tag = 'client.deleted.v1'"
        ).fetchone()
        (user,) = connection.execute("SELECT min(key) FROM user_account WHERE realm = 'main'").fetchone()
    grant = a_grant(database)
    for table in forgotten:
        by_hand(database, f"DELETE FROM {table}")
    filters = {"--client": stream.removeprefix("client:"), "--user": user, "--grant": grant}
    for option, name in filters.items():
        code, said, complaint = run(database, "show", option, name, "--json")
        assert code == 0, complaint
        assert name in said


@pytest.mark.parametrize("party", ["client", "user"])
def test_a_filter_finds_every_event_that_names_the_party_and_no_other(database: Path, party: str):
    """Fails if a use case records something of a client for a user who never consented to it (ADR 0089)."""
    named: defaultdict[str, list[int]] = defaultdict(list)
    for line in shown(database):
        if party in line["about"]:
            named[line["about"][party]].append(line["position"])
    assert len(named) > 1
    found = {each: [line["position"] for line in shown(database, f"--{party}", each)] for each in named}
    assert found == named


def shown(database: Path, *filters: str) -> list[dict[str, Any]]:
    code, said, complaint = run(database, "show", *filters, "--json")
    assert code == 0, complaint
    return [json.loads(line) for line in said.splitlines()]


def test_a_grant_that_did_not_exist_yet_is_a_failure(database: Path):
    """Fails if the newest state is shown."""
    before = datetime.fromtimestamp(START - 1, UTC)
    asked = ("show", "--as-of", str(START - 1), "--grant", refreshed_grant(database))
    done = server.cli("ledger", *asked, cwd=database.parent, database=str(database))
    assert done.returncode == 1
    assert done.stderr.startswith(f"grantledger: the grant did not exist at {before:%Y-%m-%d}T23:59:59Z")


@pytest.mark.parametrize(
    "filters",
    [
        (),
        ("--client", "c", "--grant", "g"),
        ("--user", "u", "--grant", "g"),
        ("--grant", "g", "--since", "1h"),
    ],
)
def test_as_of_needs_one_client_user_or_grant(database: Path, filters: tuple[str, ...]):
    code, _, said = run(database, "show", "--as-of", "1h", *filters)
    assert code == 2
    assert "one of --client, --user and --grant" in " ".join(said.replace("│", " ").split())


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "12345678901234567", "999999999999"])
def test_a_moment_that_cannot_be_read_is_refused(database: Path, moment: str):
    assert run(database, "show", "--as-of", moment, "--grant", "g")[0] == 2
