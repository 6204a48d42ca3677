"""What only a PostgreSQL can do to the ledger, and what the ledger asks of it."""

import asyncio
import multiprocessing
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.ledger import facts, processes
from adapters.ledger.storage import WatchedPostgres, a_ledger, rows_of, writer_in_queue
from grantledger.adapters.ledger import migrations, postgresql
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.sql import Statement
from grantledger.application.ports import Conflict, Unavailable
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT
from support import postgres
from support.timeouts import TIMEOUT

STORES = ("postgresql",)

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
OTHERS = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
DISABLED = (
    "INSERT INTO events SELECT realm, position + 1, 'client:glc_editor', 2, 'client.disabled.v1', '2', '2',"
    " 0, '', '', '', '', '', '', '', '[1]' FROM heads; UPDATE heads SET position = position + 1"
)


@contextmanager
def head_held(database: WatchedPostgres) -> Iterator["psycopg.Connection[Any]"]:
    """Hold the head of the realm, as another process does while it writes. Commits at the end."""
    with psycopg.connect(database.address) as other:
        other.execute("SELECT position FROM heads WHERE realm = 'main' FOR UPDATE")
        yield other


async def a_backend_waits(database: WatchedPostgres) -> None:
    async with asyncio.timeout(TIMEOUT):
        while rows_of(database, WAITING) == [(0,)]:  # noqa: ASYNC110 - the server sets no event of ours
            await asyncio.sleep(0.01)


@pytest.fixture
async def started(ledger: EventLedger, database: WatchedPostgres) -> EventLedger:
    """A ledger whose realm has a head and a client."""
    await ledger.record([facts.registered()], facts.OPERATOR)
    return ledger


async def test_a_batch_that_waited_for_the_head_sees_what_was_committed_meanwhile(
    started: EventLedger, database: WatchedPostgres
):
    """Fails if one statement waits for the head and checks versions: its snapshot is older than the lock."""
    client = await started.load(CLIENT, "glc_editor")
    with head_held(database) as other:
        recording = asyncio.create_task(started.record([facts.opened(), client.unchanged()], facts.OPERATOR))
        await a_backend_waits(database)
        other.execute(DISABLED)
    with pytest.raises(Conflict):
        await recording
    assert (await started.load(GRANT, "grant")).version == 0


async def test_a_batch_is_two_statements_and_a_commit(started: EventLedger, database: WatchedPostgres):
    database.sent.clear()
    appends = [
        started.record([facts.opened(f"{n}"), facts.issued(f"{n}")], facts.OPERATOR) for n in range(20)
    ]
    await asyncio.gather(*appends)
    assert [statement.split()[0] for statement in database.sent] == ["BEGIN", "WITH", "COMMIT"]
    assert database.sent[0].endswith("FOR UPDATE")


@pytest.mark.parametrize("error", [asyncpg.SerializationError, asyncpg.DeadlockDetectedError])
async def test_a_transaction_that_the_server_aborts_is_tried_again(
    started: EventLedger, database: WatchedPostgres, error: type[Exception]
):
    failures = iter([error("once"), error("twice")])

    def fail_twice() -> None:
        for failure in failures:
            raise failure

    database.before_commit = fail_twice
    await started.record([facts.opened()], facts.OPERATOR)
    assert (await started.load(GRANT, "grant")).version == 1


async def test_a_transaction_that_is_always_aborted_is_given_up(
    started: EventLedger, database: WatchedPostgres
):
    def fail() -> None:
        raise asyncpg.SerializationError("always")

    database.before_commit = fail
    with pytest.raises(Unavailable, match="always"):
        await started.record([facts.opened()], facts.OPERATOR)


async def test_an_outcome_is_read_after_the_commit_that_may_be_under_way(
    started: EventLedger, database: WatchedPostgres
):
    """Fails if the look-up reads at once: the server may still commit after the connection is lost."""
    where = {"realm": "main", "stream_id": "client:glc_editor"}
    with head_held(database) as other:
        asked = asyncio.create_task(
            database.fetch_after_commits("main", database.statements.last_version, where)
        )
        await a_backend_waits(database)
        assert not asked.done()
        other.execute(DISABLED)
    assert [tuple(row) for row in await asked] == [(2,)]


async def test_an_event_of_another_process_does_not_confirm_a_lost_commit(
    started: EventLedger, database: WatchedPostgres
):
    def lose_the_transaction_and_let_another_write() -> None:
        database.before_commit = lambda: None
        rows_of(database, OTHERS)
        rows_of(database, DISABLED.replace("client:glc_editor', 2", "grant:grant', 1"))

    database.before_commit = lose_the_transaction_and_let_another_write
    with pytest.raises(Unavailable):
        await started.record([facts.opened()], facts.OPERATOR)


async def test_connections_that_were_lost_while_idle_fail_no_request(
    started: EventLedger, database: WatchedPostgres
):
    """This happens after a restart of the server, or of a proxy in front of it."""
    rows_of(database, OTHERS)
    await started.load(CLIENT, "glc_editor")
    rows_of(database, OTHERS)
    await started.record([facts.opened()], facts.OPERATOR)
    assert (await started.load(GRANT, "grant")).version == 1


async def test_a_head_that_stays_locked_is_an_outage(
    started: EventLedger, database: WatchedPostgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgresql, "_begin", quick_begin(lock_timeout=50))
    with head_held(database), pytest.raises(Unavailable, match="lock timeout"):
        await started.record([facts.opened()], facts.OPERATOR)
    await started.record([facts.opened()], facts.OPERATOR)


async def test_a_process_that_stops_inside_a_transaction_does_not_stop_the_others(
    started: EventLedger, database: WatchedPostgres
):
    stopped = PostgresDatabase(database.address)
    inside = AsyncExitStack()
    transaction = await inside.enter_async_context(stopped.transaction("main"))
    limit = Statement("SHOW idle_in_transaction_session_timeout", (), {})
    assert [tuple(row) for row in await transaction.fetch(limit, {})] == [("5s",)]
    await transaction.fetch(Statement("SET LOCAL idle_in_transaction_session_timeout = 100", (), {}), {})
    await started.record([facts.opened()], facts.OPERATOR)
    assert (await started.load(GRANT, "grant")).version == 1
    with pytest.raises(Unavailable):  # it goes on
        await inside.aclose()
    await stopped.close(1)


def quick_begin(**timeouts: int) -> Callable[[str], str]:
    begin = postgresql._begin  # noqa: SLF001 - with the timeouts of a test
    local = "".join(f" SET LOCAL {name} = {value};" for name, value in timeouts.items())
    return lambda realm: begin(realm).replace(" SELECT", f"{local} SELECT", 1)


async def test_a_read_that_finds_no_free_connection_is_refused(
    database: WatchedPostgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgresql, "POOL_TIMEOUT", 0.05)
    small = PostgresDatabase(database.address, pool_size=1)
    slow = asyncio.create_task(small.fetch(Statement("SELECT pg_sleep(0.5)", (), {}), {}))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="every connection"):
        await small.fetch(Statement("SELECT 1", (), {}), {})
    await slow
    assert [tuple(row) for row in await small.fetch(Statement("SELECT 1", (), {}), {})] == [(1,)]
    await small.close(1)


async def test_a_read_that_takes_too_long_is_an_outage_and_the_next_one_works(
    started: EventLedger, database: WatchedPostgres, monkeypatch: pytest.MonkeyPatch
):
    impatient = PostgresDatabase(database.address)
    with monkeypatch.context() as short:
        short.setattr(postgresql, "READ_TIMEOUT", 0.1)
        with pytest.raises(Unavailable):
            await impatient.fetch(Statement("SELECT pg_sleep(60)", (), {}), {})
    assert await impatient.fetch(Statement("SELECT 1", (), {}), {})
    await impatient.close(1)


async def test_a_read_that_takes_too_long_is_sent_once(started: EventLedger, database: WatchedPostgres):
    """Fails if the read is sent again on each idle connection: each one would wait for the whole timeout."""
    impatient = WatchedPostgres(database.address)
    await asyncio.gather(*(impatient.fetch(Statement("SELECT 1", (), {}), {}) for _ in range(3)))
    for idle in impatient._idle:  # noqa: SLF001 - a read has the time with which its connection was made
        own: Any = idle._connection  # noqa: SLF001
        own._config = own._config._replace(command_timeout=0.1)  # noqa: SLF001
    with pytest.raises(Unavailable):
        await impatient.fetch(Statement("SELECT pg_sleep(60)", (), {}), {})
    assert impatient.sent.count("SELECT pg_sleep(60)") == 1
    await impatient.close(1)


@pytest.mark.parametrize("error", [asyncpg.SerializationError, asyncpg.DeadlockDetectedError])
async def test_a_read_that_the_server_aborts_is_sent_again(
    database: WatchedPostgres, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    """PostgreSQL may do so while a rebuild swaps the tables that a read joins."""
    failures = iter([error("once")])
    read_on = PostgresDatabase._read_on  # noqa: SLF001 - where the server answers

    async def fail_once(self: PostgresDatabase, connection: Any, *arguments: Any) -> Any:
        for failure in failures:
            connection.terminate()
            raise failure
        return await read_on(self, connection, *arguments)

    monkeypatch.setattr(PostgresDatabase, "_read_on", fail_once)
    assert [tuple(row) for row in await database.fetch(Statement("SELECT 1", (), {}), {})] == [(1,)]
    await database.close(1)


async def test_many_outcomes_are_looked_up_on_one_connection(started: EventLedger, database: WatchedPostgres):
    where = {"realm": "main", "stream_id": "client:glc_editor"}
    look_up = database.statements.last_version
    with head_held(database) as other:
        asked = [asyncio.create_task(database.fetch_after_commits("main", look_up, where)) for _ in range(50)]
        await a_backend_waits(database)
        assert rows_of(database, WAITING) == [(1,)]
        other.execute(DISABLED)
    assert {tuple(row) for (row,) in await asyncio.gather(*asked)} == {(2,)}


async def test_an_outcome_is_read_after_the_commit_that_begins_its_realm(database: WatchedPostgres):
    """Fails if the look-up locks nothing while the realm has no head."""
    look_up, realm = database.statements.head, {"realm": "new"}
    with psycopg.connect(database.address) as other:
        other.execute("INSERT INTO heads VALUES ('new', 7)")
        asked = asyncio.create_task(database.fetch_after_commits("new", look_up, realm))
        await a_backend_waits(database)
        assert not asked.done()
    assert [tuple(row) for row in await asked] == [(7,)]
    await database.close(1)


async def test_a_command_that_stops_inside_a_transaction_does_not_stop_the_servers(
    started: EventLedger, database: WatchedPostgres
):
    with ExitStack() as inside:
        stopped = inside.enter_context(database.writing())
        assert stopped.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "15s"
        stopped.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
        await started.record([facts.opened()], facts.OPERATOR)
        with pytest.raises(DBAPIError):  # it goes on
            inside.close()
    assert (await started.load(GRANT, "grant")).version == 1


class StuckConnection:
    """A connection that closes only while another one is being closed."""

    def __init__(self, barrier: asyncio.Barrier) -> None:
        self._barrier = barrier

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - the name is asyncpg's
        async with asyncio.timeout(timeout):
            await self._barrier.wait()


async def test_connections_are_closed_at_the_same_time(database: WatchedPostgres):
    barrier = asyncio.Barrier(3)
    database._idle.extend([StuckConnection(barrier), StuckConnection(barrier)])  # noqa: SLF001 - as if idle
    closing = asyncio.create_task(database.close(TIMEOUT))
    async with asyncio.timeout(TIMEOUT):
        await barrier.wait()
    await closing


async def test_a_host_that_is_down_is_passed_over(started: EventLedger, database: WatchedPostgres):
    await started.record([facts.opened()], facts.OPERATOR)
    several = PostgresDatabase(database.address.replace("host=", "host=/nonexistent,"))
    with several.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM heads")).scalar() == 1
    assert await several.fetch(Statement("SELECT 1", (), {}), {})
    await several.close(1)


@pytest.mark.full
async def test_a_host_that_does_not_answer_leaves_time_for_the_next(database: WatchedPostgres):
    """A host without power does not respond. Fails if the first host may use up the time for a connection."""
    with tempfile.TemporaryDirectory(prefix="pg-") as directory, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{directory}/.s.PGSQL.5432")
        silent.listen()
        several = PostgresDatabase(database.address.replace("host=", f"connect_timeout=10&host={directory},"))
        assert await several.fetch(Statement("SELECT 1", (), {}), {})
        await several.close(1)


async def test_a_server_that_is_not_there_is_an_outage_at_once():
    """Fails if the whole time for a connection is used up: it is longer than the test waits."""
    nowhere = PostgresDatabase("postgresql://postgres@/db?host=/nonexistent&connect_timeout=300")
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(Unavailable):
            await nowhere.fetch(Statement("SELECT 1", (), {}), {})
        with pytest.raises(Unavailable):
            async with nowhere.transaction("main"):
                pass


async def test_a_server_that_takes_no_writes_is_not_read(database: WatchedPostgres):
    """A standby may lag behind: a revocation would not be seen."""
    ((name,),) = rows_of(database, "SELECT current_database()")
    rows_of(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        standby = PostgresDatabase(database.address)
        with pytest.raises(Unavailable):
            await standby.fetch(Statement("SELECT 1", (), {}), {})
        await standby.close(1)
    finally:
        postgres.administer(f"ALTER DATABASE {name} RESET default_transaction_read_only")


@pytest.mark.parametrize(
    ("query", "name"), [("", "grantledger"), ("&application_name=replica-1", "replica-1")]
)
async def test_connections_are_recognised_by_their_application_name(
    database: WatchedPostgres, query: str, name: str
):
    named = PostgresDatabase(database.address + query)
    asked = "SELECT current_setting('application_name')"
    assert [tuple(row) for row in await named.fetch(Statement(asked, (), {}), {})] == [(name,)]
    with named.engine.connect() as connection:
        assert connection.execute(text(asked)).scalar() == name
    await named.close(1)


async def test_a_new_realm_waits_for_a_rebuild_or_a_migration(
    started: EventLedger, database: WatchedPostgres
):
    """Fails if `writing` locks the heads alone: the realm would write to tables that are being swapped."""
    other = a_ledger(database, realm="other")
    await other.open()
    with database.writing():
        recording = asyncio.create_task(other.record([facts.opened()], facts.OPERATOR))
        await a_backend_waits(database)
        assert not recording.done()
    await recording
    await other.close()


async def test_a_server_needs_only_the_rights_to_read_and_write_rows(database: WatchedPostgres):
    """The role that migrates owns the tables; the role of the servers may have these four rights alone."""
    with a_role(database) as server:
        migrations.migrate(server)
        ledger = a_ledger(server)
        await ledger.open()
        await ledger.record([facts.opened()], facts.OPERATOR)
        assert (await ledger.load(GRANT, "grant")).version == 1
        asked = Statement(f"SELECT 1 WHERE current_user = '{role_of(database)}'", (), {})
        assert await server.fetch(asked, {})
        await ledger.close()


@contextmanager
def a_role(database: WatchedPostgres) -> Iterator[PostgresDatabase]:
    """Yield the database for a role with the rights of a server."""
    role = role_of(database)
    rows_of(database, f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    rows_of(database, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        yield PostgresDatabase(re.sub("//.*@", f"//{role}:secret@", database.address))
    finally:
        rows_of(database, f"DROP OWNED BY {role}")
        rows_of(database, f"DROP ROLE {role}")


def role_of(database: WatchedPostgres) -> str:
    """Return the name of a role that no other test process has, if they share a server."""
    ((name,),) = rows_of(database, "SELECT current_database()")
    return f"role_of_{name}"


async def test_a_right_that_the_role_has_lost_is_an_outage(started: EventLedger, database: WatchedPostgres):
    """It is no error in the code: requests get 503 until the administrator grants the right again."""
    with a_role(database) as server:
        ledger = a_ledger(server)
        await ledger.open()
        rows_of(database, f"REVOKE INSERT ON events FROM {role_of(database)}")
        with pytest.raises(Unavailable, match="permission denied"):
            await ledger.record([facts.opened()], facts.OPERATOR)
        rows_of(database, f"GRANT INSERT ON events TO {role_of(database)}")
        await ledger.record([facts.opened()], facts.OPERATOR)
        await ledger.close()


async def test_texts_are_ordered_by_their_bytes_as_in_sqlite(database: WatchedPostgres):
    """This holds for every collation of the database, and to compare bytes is fastest."""
    other = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert rows_of(database, other) == []


@pytest.mark.full
def test_several_processes_may_migrate_an_empty_database_at_once():
    address = postgres.new_database()
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    starting = [
        spawn.Process(target=processes.migrate_once_all_are_there, args=(address, barrier)) for _ in range(3)
    ]
    for process in starting:
        process.start()
    for process in starting:
        process.join(TIMEOUT)
    assert [process.exitcode for process in starting] == [0, 0, 0]


async def test_a_conflict_in_a_batch_asks_no_second_time(started: EventLedger, database: WatchedPostgres):
    """Of fifty changes of one stream one is written, and the others are known to conflict with it."""
    with head_held(database):
        ahead = await writer_in_queue(database, started, facts.opened_account("ahead"))
        waiting = [asyncio.create_task(started.record([facts.opened()], facts.OPERATOR)) for _ in range(50)]
        await asyncio.sleep(0)
    await ahead
    database.sent.clear()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 49
    assert len([text for text in database.sent if text.startswith("WITH")]) == 1
