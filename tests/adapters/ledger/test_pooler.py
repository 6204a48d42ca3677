"""The ledger behind PgBouncer, which gives a client a connection for each transaction."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedPostgres, a_ledger
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.rebuild import Rebuild
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.replay import Replay
from grantledger.domain.token_grant import GRANT
from support.postgres import ON_ITS_SOCKET
from support.timeouts import TIMEOUT

STORES = ("postgresql",)

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(PGBOUNCER is None and "CI" not in os.environ, reason="there is no PgBouncer"),
    ON_ITS_SOCKET,
]


@pytest.fixture
def pooler(database: WatchedPostgres) -> Iterator[str]:
    """The URL of the database through a pooler that has two connections for all clients."""
    url = urlsplit(database.address)
    assert PGBOUNCER is not None
    (host,) = parse_qs(url.query)["host"]
    with tempfile.TemporaryDirectory(prefix="pgb-") as directory:
        Path(directory).chmod(0o777)  # PgBouncer does not run as root
        settings = Path(directory) / "pgbouncer.ini"
        settings.write_text(
            f"""
[databases]
{url.path[1:]} = host={host} user={url.username}
[pgbouncer]
listen_addr =
unix_socket_dir = {directory}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""
        )
        # As root it changes to the user who may reach the server's socket.
        run_as = ["-u", Path(host).owner()] if os.geteuid() == 0 else []
        process = subprocess.Popen([PGBOUNCER, "-q", *run_as, str(settings)], stderr=subprocess.DEVNULL)
        try:
            pooled = f"postgresql://{url.username}@{url.path}?host={directory}&port=6432"
            _wait_for(pooled)
            yield pooled
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.05)
        else:
            return


async def test_many_clients_of_a_pooler_share_two_connections(pooler: str, database: WatchedPostgres):
    """Fails with a statement cache, and if a statement is prepared and executed in two transactions."""
    databases = [PostgresDatabase(pooler, pooler=True) for _ in range(4)]
    ledgers = [a_ledger(each) for each in databases]
    for ledger in ledgers:
        await ledger.open()

    async def live(number: int) -> None:
        ledger = ledgers[number % len(ledgers)]
        await ledger.record([facts.issued(f"{number}"), facts.opened(f"{number}")], facts.OPERATOR)
        for _ in range(3):
            await ledger.record([facts.refreshed(await ledger.load(GRANT, f"{number}"))], facts.OPERATOR)
            assert await ledger.grant_facts(f"{number}")

    await asyncio.gather(*(live(number) for number in range(60)))
    for ledger in ledgers:
        await ledger.close()
    assert Recorder(database).max_notification_id() == 60 * 5
    assert list(Replay(database, now=lambda: 1_000).differences()) == []


async def test_commands_and_tools_work_through_a_pooler(pooler: str, database: WatchedPostgres):
    tools = PostgresDatabase(pooler, pooler=True)
    (opened,) = facts.opened().events
    for number in range(10):
        Recorder(tools).insert_events([facts.stored(f"grant:{number}", 1, opened)])
    for _ in Rebuild(tools, now=1_000).steps():
        pass
    assert list(Replay(tools, now=lambda: 1_000).differences()) == []
    tools.engine.dispose()
