"""Each failure that docs/errors.md lists under Commands: what is printed, and exit code 1."""

import re
import shutil
import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from grantledger.adapters.ledger import rebuild
from grantledger.adapters.ledger.copying import Copy
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.entrypoints.cli.failures import report_failures
from support import postgres, server
from support.leaks import issued, seen
from support.written_ledger import copied

CATALOGUE = Path(__file__).parents[2] / "docs" / "errors.toml"
PRINTED = {name: entry["printed"] for name, entry in tomllib.loads(CATALOGUE.read_text())["Commands"].items()}
SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCE"
issued("master secret", SECRET)


class Operator:
    def __init__(self, directory: Path) -> None:
        self.database = copied(directory)
        self.settings = {"database": str(self.database), "master_secret_file": str(directory / "secrets")}

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> tuple[int, str]:
        done = server.cli(*arguments, cwd=self.database.parent, stdin=stdin, **self.settings | settings)
        return done.returncode, done.stderr

    def by_hand(self, statement: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def after(self, statement: str, *arguments: str) -> tuple[int, str]:
        self.by_hand(statement)
        return self.run(*arguments)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def another_secret(operator: Operator) -> tuple[int, str]:
    Path(operator.settings["master_secret_file"]).write_text(f"{SECRET}\n")
    return operator.run("user", "list")


def secret_in_a_variable(operator: Operator) -> tuple[int, str]:
    shutil.move(operator.settings.pop("master_secret_file"), operator.database.parent / "elsewhere")
    text = (operator.database.parent / "elsewhere").read_text().strip()
    return operator.run("secret", "rotate", master_secret=text)


def twice(*arguments: str) -> Callable[[Operator], tuple[int, str]]:
    def run(operator: Operator) -> tuple[int, str]:
        operator.run(*arguments)
        return operator.run(*arguments)

    return run


def during_a_rebuild(operator: Operator) -> tuple[int, str]:
    steps = Rebuild(SqliteDatabase(operator.database), page=10, now=1_000).steps()
    next(steps)
    answer = operator.run("ledger", "rebuild")
    steps.close()
    return answer


def migrated_during_a_rebuild(operator: Operator, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    steps = Rebuild(SqliteDatabase(operator.database), page=10, now=1_000).steps()
    next(steps)
    operator.by_hand("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SystemExit) as ended, report_failures():
        list(steps)
    complaint = capsys.readouterr().err
    seen("a rebuild during a migration", complaint)
    return int(str(ended.value.code)), complaint


def copy(operator: Operator) -> tuple[int, str]:
    return operator.run("ledger", "copy", "--to", "copy.sqlite3")


def copy_of_a_ledger_in_use(operator: Operator) -> tuple[int, str]:
    with closing(sqlite3.connect(operator.database)) as other:
        other.execute("PRAGMA journal_mode=WAL")  # as every server does
        other.execute("SELECT count(*) FROM events").fetchall()
        return copy(operator)


def copy_twice(operator: Operator) -> tuple[int, str]:
    assert copy(operator) == (0, "")
    return copy(operator)


def changed_during_a_copy(operator: Operator, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    there = SqliteDatabase(operator.database.parent / "copy.sqlite3")
    steps = Copy(SqliteDatabase(operator.database), there).steps()
    while (step := next(steps)).done <= step.rows // 2:
        pass
    with closing(sqlite3.connect(there.path)) as other, other:
        other.execute("DELETE FROM user_account")
    with pytest.raises(SystemExit) as ended, report_failures():
        list(steps)
    complaint = capsys.readouterr().err
    seen("a copy that was changed", complaint)
    return int(str(ended.value.code)), complaint


def rebuilt_beside_a_long_transaction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr(rebuild, "_SWAP_TIMEOUT", 50)
    monkeypatch.setattr(rebuild, "_SWAPS", 1)
    with postgres.a_database() as url, psycopg.connect(url) as backup:
        backup.execute("SELECT count(*) FROM consent")
        database = PostgresDatabase(url)
        with pytest.raises(SystemExit) as ended, report_failures():
            list(Rebuild(database, now=1_000).steps())
        backup.rollback()
        database.engine.dispose()
    complaint = capsys.readouterr().err
    return int(str(ended.value.code)), complaint


USERS = ("user", "list")
MET: dict[str, Callable[[Operator], tuple[int, str]]] = {
    "SettingsInvalid": lambda it: it.run(*USERS, port="70000"),
    "CannotOpen": lambda it: it.run(*USERS, "--database", "nowhere.sqlite3"),
    "SchemaOlder": lambda it: it.after("UPDATE alembic_version SET version_num = '0000'", *USERS),
    "SchemaNewer": lambda it: it.after("UPDATE alembic_version SET version_num = '9999'", *USERS),
    "EventUnreadable": lambda it: it.after("UPDATE events SET data = x'7b7d'", "ledger", "show"),
    "UnknownTag": lambda it: it.after("UPDATE events SET tag = 'user.promoted.v1'", "ledger", "show"),
    "MasterSecretMissing": another_secret,
    "Unavailable": lambda it: it.after("UPDATE private_record SET sealed = x'00'", *USERS),
    "RowsDiffer": lambda it: it.after("UPDATE client SET version = 99", "ledger", "replay"),
    "RebuildRunning": during_a_rebuild,
    "LedgerInUse": copy_of_a_ledger_in_use,
    "TargetNotEmpty": copy_twice,
    "ClientNotFound": lambda it: it.run("client", "show", "glc_nobody"),
    "GrantNotFound": lambda it: it.run("grant", "revoke", "nobody"),
    "UserNotFound": lambda it: it.run("user", "disable", "nobody@example.com"),
    "NotThereThen": lambda it: it.run("ledger", "show", "--as-of", "1h", "--client", "glc_nobody"),
    "AddressRefused": lambda it: it.run(
        "user", "add", "nobody", "--password-stdin", stdin=f"{server.PASSWORD}\n"
    ),
    "NameRefused": lambda it: it.run(
        "user", "add", "a@example.com", "--name", "x" * 201, "--password-stdin", stdin=f"{server.PASSWORD}\n"
    ),
    "RoleNotChanged": lambda it: it.run(
        "user", "grant-role", "bob@example.com", "admin", roles='{"editor": {}}'
    ),
    "ClientNotChanged": lambda it: it.run(
        "client", "add", "--name", "x", "--redirect-uri", "https://x.example/#fragment"
    ),
    "ResourceNotChanged": lambda it: it.run("resource", "remove", "https://files.example"),
    "RegistrationTokenNotChanged": lambda it: it.run("registration-token", "revoke", "none"),
    "PasswordRefused": lambda it: it.run("user", "add", "a@example.com", "--password-stdin", stdin="x\n"),
    "RotationTooEarly": twice("keys", "rotate"),
    "SecretRefused": twice("secret", "rotate"),
    "SecretsByHand": secret_in_a_variable,
}


def check(name: str, answer: tuple[int, str]) -> None:
    code, complaint = answer
    assert code == 1
    assert complaint.count("\n") == 1
    assert "sqlalche.me" not in complaint
    pattern = re.escape(PRINTED[name]).replace("…", ".+")
    assert re.fullmatch(f"grantledger: {pattern}\n", complaint), complaint


def test_every_failure_of_the_catalogue_is_tested():
    assert {*MET, "MigratedMeanwhile", "TablesInUse", "CopyDiffers"} == PRINTED.keys()


@pytest.mark.parametrize("name", MET)
def test_a_failed_command_prints_the_sentence_of_the_catalogue(operator: Operator, name: str):
    check(name, MET[name](operator))


def test_a_migration_during_a_rebuild_prints_the_sentence_of_the_catalogue(
    operator: Operator, capsys: pytest.CaptureFixture[str]
):
    check("MigratedMeanwhile", migrated_during_a_rebuild(operator, capsys))


def test_a_rebuild_beside_a_long_transaction_prints_the_sentence_of_the_catalogue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    check("TablesInUse", rebuilt_beside_a_long_transaction(monkeypatch, capsys))


def test_a_copy_that_another_program_changes_prints_the_sentence_of_the_catalogue(
    operator: Operator, capsys: pytest.CaptureFixture[str]
):
    check("CopyDiffers", changed_during_a_copy(operator, capsys))


@pytest.mark.parametrize("command", [("ledger", "show"), ("migrate",), ("serve",)])
@pytest.mark.parametrize(
    ("content", "what"), [("no database", "it is not a ledger"), (None, "it is not a file")]
)
def test_the_sentence_about_a_database_that_cannot_be_opened_says_what_to_do(
    tmp_path: Path, content: str | None, what: str, command: tuple[str, ...]
):
    """Fails if the message is the one of the database driver, or the server starts without the database."""
    path = tmp_path / "ledger.sqlite3"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content * 100)
        path.chmod(0o600)
    done = server.cli(*command, cwd=tmp_path, database=str(path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"grantledger: {path} cannot be opened: {what}")
    assert "--database" in done.stderr
    assert done.stderr.count("\n") == 1
