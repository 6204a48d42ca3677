"""`grantledger ledger copy`, between both stores."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from grantledger.adapters.ledger.copying import Copy, LedgerInUse
from grantledger.adapters.ledger.schema import metadata
from grantledger.entrypoints.cli.failures import RowsDiffer
from support import postgres
from support.leaks import seen
from support.stores import Ledger, asked, database_at
from support.written_ledger import copied

pytestmark = pytest.mark.full

EVERYTHING = {
    name: f"SELECT * FROM {name}" + (" WHERE realm <> ''" if name == "tracking" else "")
    for name in metadata.tables
}


def run(directory: Path, ledger: Ledger, *arguments: str) -> Result:
    from grantledger.entrypoints.cli.commands import cli  # noqa: PLC0415 - many modules

    secret = {"GRANTLEDGER_MASTER_SECRET_FILE": str(directory / "secrets")}
    done = CliRunner().invoke(cli, [*arguments, "--database", str(ledger)], env=secret)
    seen(" ".join(arguments), done.output)
    return done


def events(ledger: Ledger) -> int:
    ((count,),) = asked(ledger, "SELECT count(*) FROM events")
    return int(count)


def content(ledger: Ledger) -> dict[str, set[tuple[object, ...]]]:
    """Return every row of every table."""
    return {name: {tuple(row) for row in asked(ledger, statement)} for name, statement in EVERYTHING.items()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A ledger in which something of everything has happened."""
    return copied(tmp_path)


@pytest.fixture
def postgresql() -> Iterator[str]:
    with postgres.a_database() as url:
        yield url


def test_a_copy_to_postgresql_and_back_holds_the_same(source: Path, tmp_path: Path, postgresql: str):
    back = tmp_path / "back.sqlite3"
    for here, there in ((source, postgresql), (postgresql, back)):
        done = run(tmp_path, here, "ledger", "copy", "--to", str(there))
        assert done.exit_code == 0, done.output
        assert done.output.endswith(f"{events(source)} events replayed: no differences\n")
        assert content(there) == content(source)


def test_a_copy_serves_commands_with_the_same_master_secret(source: Path, tmp_path: Path, postgresql: str):
    users = run(tmp_path, source, "user", "list", "--json").output
    assert "ada@example.com" in users
    assert run(tmp_path, source, "ledger", "copy", "--to", postgresql).exit_code == 0
    assert run(tmp_path, postgresql, "user", "list", "--json").output == users


def test_a_copy_is_printed_for_programs(source: Path, tmp_path: Path):
    there = tmp_path / "copy.sqlite3"
    done = run(tmp_path, source, "ledger", "copy", "--to", str(there), "--json")
    rows = sum(map(len, content(source).values()))
    assert json.loads(done.stdout) == {
        "database": str(there),
        "rows": rows,
        "events": events(source),
        "differences": 0,
    }


def test_a_postgresql_with_another_session_is_not_copied(tmp_path: Path, source: Path, postgresql: str):
    """Fails if a copy starts while a server may still append events, which it would miss."""
    with postgres.connected(postgresql):
        done = run(tmp_path, postgresql, "ledger", "copy", "--to", str(tmp_path / "copy.sqlite3"))
    assert isinstance(done.exception, LedgerInUse)


def test_a_postgresql_with_a_session_of_another_role_is_not_copied(tmp_path: Path, postgresql: str):
    """Fails if a server with a role of its own is overlooked by a role that may not see its session."""
    with a_role(postgresql, "copying_server") as server, a_role(postgresql, "copying_operator") as operator:
        source = database_at(operator)
        with postgres.connected(server), pytest.raises(LedgerInUse):
            next(Copy(source, database_at(tmp_path / "copy.sqlite3")).steps())
        source.engine.dispose()


@contextmanager
def a_role(postgresql: str, role: str) -> Iterator[str]:
    """Yield the URL for a role with the rights of a server."""
    postgres.rows(postgresql, f"CREATE ROLE {role} LOGIN")
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    postgres.rows(postgresql, f"GRANT {rights} TO {role}")
    try:
        yield postgresql.replace("//postgres:@", f"//{role}@")
    finally:
        postgres.rows(postgresql, f"DROP OWNED BY {role}")
        postgres.rows(postgresql, f"DROP ROLE {role}")


def test_a_postgresql_is_copied_though_the_comparison_takes_long(
    source: Path, tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
):
    """Fails if the server ends the transaction of the source while only the target is read."""
    assert run(tmp_path, source, "ledger", "copy", "--to", postgresql).exit_code == 0
    monkeypatch.setattr("grantledger.adapters.ledger.postgresql._TOOL_IDLE", 200)
    back = database_at(tmp_path / "back.sqlite3")
    back.create()
    here = database_at(postgresql)
    for progress in Copy(here, back).steps():
        if progress.done > progress.rows // 2:  # the target is compared
            no_session_has_just_begun_to_idle(postgresql)
    here.engine.dispose()
    back.engine.dispose()
    assert content(tmp_path / "back.sqlite3") == content(source)


JUST_IDLE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change < interval '600 ms'"
)


def no_session_has_just_begun_to_idle(postgresql: str) -> None:
    """Return once every transaction has been idle for three times as long as it may be, or was ended."""
    while postgres.rows(postgresql, JUST_IDLE) != [(0,)]:
        time.sleep(0.05)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_copy_that_is_interrupted_leaves_the_target_empty(
    source: Path, tmp_path: Path, postgresql: str, store: str
):
    there: Ledger = postgresql if store == "postgresql" else tmp_path / "copy.sqlite3"
    target = database_at(there)
    steps = Copy(database_at(source), target).steps()
    for _ in range(3):
        next(steps)
    steps.close()
    target.engine.dispose()
    assert [rows for rows in content(there).values() if rows] == []
    assert run(tmp_path, source, "ledger", "copy", "--to", str(there)).exit_code == 0


def test_rows_that_the_log_contradicts_are_counted(source: Path, tmp_path: Path):
    """A copy holds what its source holds, including its wrong rows."""
    database = database_at(source)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE client SET version = 99")
    database.engine.dispose()
    done = run(tmp_path, source, "ledger", "copy", "--to", str(tmp_path / "copy.sqlite3"))
    assert isinstance(done.exception, RowsDiffer)
