"""A command imports only what it uses, so that it starts fast (bench/startup.py has the figures)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import cli

RUN = """
import sys
from grantledger.entrypoints.cli import main
sys.argv = ["grantledger", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, file=sys.stderr)
"""

SERVER = {"alembic", "argon2", "jinja2", "joserfc", "litestar", "structlog", "uvicorn"}
LEDGER = {"cryptography", "dependency_injector", "eventsourcing", "sqlalchemy"}


def imported(*arguments: str, cwd: Path, **environ: str) -> set[str]:
    """Return the top-level packages that one run of a command has imported."""
    return {name.partition(".")[0] for name in modules(*arguments, cwd=cwd, **environ)}


def modules(*arguments: str, cwd: Path, **environ: str) -> set[str]:
    """Return the modules that one run of a command has imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=cwd,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a ledger."""
    database = str(tmp_path / "grantledger.sqlite3")
    password = "correct horse battery staple"
    added = cli(
        "user", "add", "a@example.com", "--password-stdin", cwd=tmp_path, stdin=password, database=database
    )
    assert added.returncode == 0, added.stderr
    return tmp_path


def test_the_package_imports_only_the_standard_library(tmp_path: Path):
    code = "import sys; before = {*sys.modules}; import grantledger; print(*{*sys.modules} - before)"
    names = subprocess.check_output([sys.executable, "-I", "-c", code], cwd=tmp_path, text=True).split()
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"grantledger"}


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("completion", "bash"), ("ledger", "show", "--help"), ("doctor", "--help")],
)
def test_help_and_completion_import_neither_a_ledger_nor_a_server(tmp_path: Path, arguments: tuple[str, ...]):
    assert not imported(*arguments, cwd=tmp_path) & (SERVER | LEDGER | {"pygments", "asyncio"})


def test_completing_a_command_imports_no_rich_either(tmp_path: Path):
    variables = {
        "_GRANTLEDGER_COMPLETE": "bash_complete",
        "COMP_WORDS": "grantledger user li",
        "COMP_CWORD": "2",
    }
    assert not imported(cwd=tmp_path, **variables) & (SERVER | LEDGER | {"rich", "asyncio"})


@pytest.mark.parametrize(
    ("arguments", "most"),
    [
        (("completion", "bash"), 240),
        (("--help",), 360),
        (("user", "list"), 640),
        (("ledger", "show"), 540),
    ],
)
def test_a_command_imports_few_modules(directory: Path, arguments: tuple[str, ...], most: int):
    """Each takes time. The limits are a tenth above what is imported today."""
    assert len(modules(*arguments, cwd=directory)) <= most


def test_the_ledger_is_shown_without_the_wiring(directory: Path):
    assert not imported("ledger", "show", cwd=directory) & (SERVER | {"cryptography", "dependency_injector"})


def test_as_json_the_ledger_is_shown_without_rich(directory: Path):
    assert "rich" not in imported("ledger", "show", "--json", cwd=directory)


def test_users_are_listed_without_a_server(directory: Path):
    assert not imported("user", "list", cwd=directory) & (SERVER | {"pydantic", "pydantic_settings", "yaml"})


def test_a_ledger_with_this_schema_is_migrated_without_alembic(directory: Path):
    assert "alembic" not in imported("migrate", cwd=directory)


def test_a_new_ledger_is_migrated_with_alembic(tmp_path: Path):
    assert "alembic" in imported("migrate", cwd=tmp_path)
