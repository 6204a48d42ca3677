"""The read model is rebuilt and swapped while others read and write."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from adapters.ledger import facts, processes
from adapters.ledger.any_requests import KEYS, Request, a_request, outcomes
from adapters.ledger.storage import (
    HEAVY,
    WatchedDatabase,
    WatchedPostgres,
    WatchedSqlite,
    a_database,
    a_ledger,
    database_at,
    only_postgresql,
    only_sqlite,
    rows_of,
    schema_of,
)
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.ledger import rebuild as rebuilding
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import UnknownTag
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.rebuild import MigratedMeanwhile, Rebuild, RebuildRunning, TablesInUse
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.replay import Replay
from grantledger.adapters.ledger.schema import ROWS
from grantledger.domain.kinds import KINDS
from grantledger.domain.token_grant import GRANT
from support.timeouts import TIMEOUT

OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HELD = (
    "SELECT relation::regclass::text FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND granted AND relation IS NOT NULL"
)
STEP, GIVE_UP = "step", "give up"
actions = st.lists(st.one_of(a_request, st.just(STEP), st.just(STEP), st.just(GIVE_UP)), max_size=30)


def rebuild(database: Database, *, page: int = 1_000) -> None:
    for _ in Rebuild(database, page=page, now=1_000).steps():
        pass


def differences(database: Database) -> list[str]:
    return [str(difference) for difference in Replay(database, now=lambda: 1_000).differences()]


@settings(max_examples=30)
@given(actions, st.sampled_from((1, 2, 5)))
@pytest.mark.parametrize("store", HEAVY)
def test_requests_between_the_steps_of_a_rebuild_are_not_lost(
    store: str, done: list[Request | str], page: int
):
    """Fails if the swap misses the last events, or a step loses what an earlier step has folded."""

    async def check(database: WatchedDatabase) -> None:
        ledger, plain = a_ledger(database), MemoryLedger()
        await ledger.open()
        steps = Rebuild(database, page=page, now=1_000).steps()
        for action in done:
            if isinstance(action, tuple):
                assert await outcomes(ledger, [action]) == await outcomes(plain, [action])
            elif action == GIVE_UP or next(steps, None) is None:
                steps.close()
                steps = Rebuild(database, page=page, now=1_000).steps()
        for _ in steps:
            pass
        for kind in KINDS.values():
            for key in KEYS:
                assert await ledger.load(kind, key) == await plain.load(kind, key)
        await ledger.close()

    with a_database(store) as database:
        asyncio.run(check(database))
        assert differences(database) == []


async def remember_something(ledger: EventLedger) -> None:
    await ledger.record([facts.registered(), facts.opened_account()], facts.OPERATOR)
    for name in "123":
        await ledger.record([facts.issued(name), facts.opened(name)], facts.OPERATOR)
        await ledger.record([facts.refreshed(await ledger.load(GRANT, name))], facts.OPERATOR)


@pytest.mark.parametrize(
    "by_hand",
    [
        "UPDATE token_grant SET user_id = 'glu_eve' WHERE key = '2'",
        "UPDATE user_account SET state = CAST('{}' AS BLOB)",
        "DELETE FROM code WHERE key = '3'",
        "INSERT INTO signin SELECT realm, 'eve', version, fold, 'glu_ada', 2000, state FROM user_account",
        "UPDATE token_grant SET fold = 0, state = CAST('unreadable' AS BLOB)",
    ],
)
async def test_a_rebuild_repairs_rows_that_differ(
    ledger: EventLedger, database: WatchedDatabase, by_hand: str
):
    await remember_something(ledger)
    rows_of(database, by_hand)
    assert differences(database) != []
    rebuild(database)
    assert differences(database) == []


async def test_a_rebuild_is_of_every_realm(database: WatchedDatabase):
    for realm in ("one", "two"):
        ledger = a_ledger(database, realm=realm)
        await ledger.open()
        await remember_something(ledger)
        await ledger.close()
    rows_of(database, "DELETE FROM token_grant")
    rebuild(database, page=3)
    for realm in ("one", "two"):
        assert list(Replay(database, realm=realm, now=lambda: 1_000).differences()) == []


async def test_a_rebuild_leaves_the_schema_as_it_was(ledger: EventLedger, database: WatchedDatabase):
    """Fails if an index stays with the replaced table and is dropped with it."""
    before = schema_of(database)
    await remember_something(ledger)
    rebuild(database)
    rebuild(database)
    assert schema_of(database) == before


async def test_open_connections_read_and_write_after_the_swap(ledger: EventLedger, database: WatchedDatabase):
    """A statement that was prepared for the old tables is prepared again, for the new ones."""
    await remember_something(ledger)
    before = (await ledger.grant_facts("1"), await ledger.load(GRANT, "2"))
    rebuild(database)
    assert (await ledger.grant_facts("1"), await ledger.load(GRANT, "2")) == before
    await ledger.record([facts.refreshed(before[1])], facts.OPERATOR)
    assert (await ledger.load(GRANT, "2")).version == 3
    assert differences(database) == []


@only_sqlite
async def test_an_open_read_transaction_keeps_its_view(ledger: EventLedger, database: WatchedSqlite):
    await remember_something(ledger)
    with closing(database.connect()) as connection:
        connection.execute("BEGIN")
        before = connection.execute("SELECT count(*) FROM token_grant").fetchall()
        await ledger.record([facts.opened("4")], facts.OPERATOR)
        rebuild(database)
        assert connection.execute("SELECT count(*) FROM token_grant").fetchall() == before
        connection.execute("ROLLBACK")


async def test_a_rebuild_that_dies_changes_nothing_and_can_be_repeated(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if what the dead rebuild left is not discarded first."""
    await remember_something(ledger)
    before, live = schema_of(database), rows_of(database, "SELECT * FROM token_grant")
    spawn = multiprocessing.get_context("spawn")
    dying = spawn.Process(target=processes.begin_to_rebuild_and_die, args=(database.address,))
    dying.start()
    dying.join(TIMEOUT)
    assert dying.exitcode == -9
    assert {"rebuilt_token_grant"} <= {name for _, name, _, _ in schema_of(database)}
    assert rows_of(database, "SELECT * FROM token_grant") == live
    rows_of(database, "UPDATE rebuilt_client SET version = 9")
    rebuild(database)
    assert schema_of(database) == before
    assert differences(database) == []


async def test_a_rebuild_that_is_closed_leaves_nothing_behind(ledger: EventLedger, database: WatchedDatabase):
    await remember_something(ledger)
    before = schema_of(database)
    steps = Rebuild(database, page=2, now=1_000).steps()
    next(steps)
    assert schema_of(database) != before
    steps.close()
    assert schema_of(database) == before


async def test_an_unknown_tag_stops_a_rebuild_and_changes_nothing(
    ledger: EventLedger, database: WatchedDatabase
):
    await remember_something(ledger)
    rows_of(database, "UPDATE events SET tag = 'token_grant.lent.v1' WHERE position = 5")
    live = rows_of(database, "SELECT * FROM token_grant")
    with pytest.raises(UnknownTag, match=r"token_grant\.lent\.v1"):
        rebuild(database)
    assert rows_of(database, "SELECT * FROM token_grant") == live


async def test_a_rebuild_is_not_swapped_into_a_migrated_database(
    ledger: EventLedger, database: WatchedDatabase
):
    await remember_something(ledger)
    steps = Rebuild(database, page=2, now=1_000).steps()
    next(steps)
    rows_of(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigratedMeanwhile):
        list(steps)


async def test_only_one_rebuilds_at_a_time(ledger: EventLedger, database: WatchedDatabase):
    await remember_something(ledger)
    steps = Rebuild(database, page=2, now=1_000).steps()
    next(steps)
    with pytest.raises(RebuildRunning, match="is being rebuilt already"):
        rebuild(database)
    list(steps)
    rebuild(database)


@only_postgresql
async def test_a_rebuild_that_has_lost_its_lock_changes_nothing(
    ledger: EventLedger, database: WatchedPostgres
):
    """After a restart of the server another rebuild may begin. Fails if both write to the new tables."""
    await remember_something(ledger)
    before = schema_of(database)
    other = database_at(database.address)
    forgotten = Rebuild(database, page=2, now=1_000).steps()
    next(forgotten)
    rows_of(database, OTHERS)
    begun = Rebuild(other, page=2, now=1_000).steps()
    next(begun)
    with pytest.raises(RebuildRunning, match="by another process now"):
        next(forgotten)
    list(begun)
    assert schema_of(database) == before
    assert differences(database) == []
    other.engine.dispose()


@only_postgresql
async def test_the_swap_makes_no_index(ledger: EventLedger, database: WatchedPostgres):
    """All writers wait for the swap, and an index of many rows takes long."""
    await remember_something(ledger)
    sent: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *found: sent.append(found[2].strip()))
    rebuild(database)
    swap = next(n for n, statement in enumerate(sent) if statement.startswith("ALTER"))
    assert [statement for statement in sent[:swap] if statement.startswith("CREATE INDEX")]
    assert [statement for statement in sent[swap:] if statement.startswith("CREATE INDEX")] == []


@only_postgresql
async def test_statements_lock_the_tables_in_the_order_of_the_swap(database: WatchedPostgres):
    """Fails with a deadlock if a reader holds one table and waits for another that the swap has locked.

    There is no writer: its sweep has another order, but excludes the swap by the lock of the head.
    """
    of = database.statements
    joins = (of.code_facts, of.grant_facts, of.authorization_facts, of.browser_session_facts)
    names = [table.name for table in ROWS.values()]
    with (
        psycopg.connect(database.address) as swap,
        psycopg.connect(database.address, autocommit=True) as watcher,
    ):
        for statement in (*joins, of.prunable_clients):
            numbers = ("before", "began", "most")
            parameters: dict[str, Any] = {name: 1 if name in numbers else "1" for name in statement.names}
            parameters |= statement.constants
            for at, name in enumerate(names):
                swap.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE".encode())
                reading = asyncio.create_task(database.fetch(statement, parameters))
                while not (reading.done() or watcher.execute(WAITING).fetchall()):  # noqa: ASYNC110
                    await asyncio.sleep(0)  # the server sets no event of ours
                held = {table for (table,) in watcher.execute(HELD).fetchall()} & {*names}
                swap.rollback()
                await reading
                assert held <= {*names[: at + 1]}, (statement.text, name)
    await database.close(1)


class LongTransaction:
    """Reads a table, and keeps its transaction open."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address)
        self._connection.execute("SELECT count(*) FROM consent")

    def end(self) -> None:
        self._connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "_SWAP_TIMEOUT", 50)
    monkeypatch.setattr(rebuilding, "_PAUSE", 0)


@only_postgresql
@pytest.mark.usefixtures("impatient")
async def test_a_long_transaction_ends_a_rebuild_and_not_the_requests(
    ledger: EventLedger, database: WatchedPostgres
):
    await remember_something(ledger)
    before, reading = schema_of(database), LongTransaction(database.address)
    with pytest.raises(TablesInUse):
        rebuild(database)
    reading.end()
    assert schema_of(database) == before
    await ledger.record([facts.signed_in()], facts.OPERATOR)
    rebuild(database)
    assert differences(database) == []


@only_postgresql
@pytest.mark.usefixtures("impatient")
async def test_a_swap_that_waited_too_long_is_tried_again_with_what_was_written_since(
    ledger: EventLedger, database: WatchedPostgres, monkeypatch: pytest.MonkeyPatch
):
    """Fails if the second try skips the events that the first try folded, which was rolled back."""
    await remember_something(ledger)
    reading, other = LongTransaction(database.address), database_at(database.address)

    def end_and_write(_: float) -> None:
        reading.end()
        Recorder(other).insert_events(
            [facts.stored("client:glc_other", 1, *facts.registered("glc_other").events)]
        )

    monkeypatch.setattr(rebuilding, "sleep", end_and_write)
    rebuild(database)
    assert differences(database) == []
    other.engine.dispose()


async def test_streams_of_other_programs_are_skipped(ledger: EventLedger, database: WatchedDatabase):
    Recorder(database).insert_events([StoredEvent("elsewhere:1", 1, "something.new.v1", b"{}")])
    rebuild(database)


def test_an_empty_ledger_can_be_rebuilt(database: WatchedDatabase):
    rebuild(database)
    assert differences(database) == []


@contextmanager
def busy(address: str) -> Iterator[Database]:
    """Yield a database in which another process opens a grant whenever the writers' lock is free again."""
    database, other = database_at(address), database_at(address)
    others, writing = Recorder(other), database.writing

    @contextmanager
    def and_then_others_write() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
        (opened,) = facts.opened(f"{others.max_notification_id()}").events
        others.insert_events([facts.stored(f"grant:{others.max_notification_id()}", 1, opened)])

    database.writing = and_then_others_write  # type: ignore[method-assign]
    yield database
    database.engine.dispose()
    other.engine.dispose()


@pytest.mark.parametrize("page", [2, 3, 1_000])
async def test_appends_between_two_transactions_of_a_rebuild_are_not_lost(
    ledger: EventLedger, database: WatchedDatabase, page: int
):
    """Fails if the last events are folded in one transaction and the tables swapped in another."""
    await remember_something(ledger)
    with busy(database.address) as busy_database:
        rebuild(busy_database, page=page)
    assert differences(database) == []


@pytest.mark.parametrize("database", HEAVY, indirect=True)
def test_appends_of_other_processes_during_a_rebuild_are_not_lost(database: WatchedDatabase):
    """Fails if the swap misses the last events."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results, enough = spawn.Barrier(3), spawn.Queue(), spawn.Event()
    writing = [
        spawn.Process(
            target=processes.record_many,
            args=(database.address, barrier, results, name, 0),
            kwargs={"enough": enough},
        )
        for name in ("one", "two")
    ]
    for process in writing:
        process.start()
    barrier.wait(TIMEOUT)
    try:
        rebuild(database, page=90)
        while rows_of(database, "SELECT count(*) FROM events") < [(3_000,)]:
            rebuild(database, page=90)
    finally:
        enough.set()  # only now: a rebuild after the last append would hide what the earlier ones missed
    for process in writing:
        process.join(TIMEOUT)
    assert [process.exitcode for process in writing] == [0, 0]
    counts = [results.get(timeout=TIMEOUT) for _ in writing]
    recorded = sum(recorded for _, recorded, _ in counts)
    assert recorded == max(recorded + conflicts for _, recorded, conflicts in counts)  # one opened each grant
    assert differences(database) == []
    assert rows_of(database, "SELECT count(*) FROM events") == [(2 * recorded,)]


DAY = 86_400


async def test_a_rebuild_makes_no_row_for_what_has_ended(ledger: EventLedger, database: WatchedDatabase):
    changes = [facts.issued(expires_at=2_000), facts.signed_in(expires_at=2_000), facts.opened()]
    await ledger.record([*changes, facts.issued("later")], facts.OPERATOR)
    for _ in Rebuild(database, now=40 * DAY).steps():
        pass
    assert rows_of(database, "SELECT key FROM code") == [("later",)]
    assert rows_of(database, "SELECT key FROM signin UNION SELECT key FROM token_grant") == []


@pytest.mark.parametrize("page", [1, 2, 1_000])
async def test_a_grant_that_looked_ended_and_was_refreshed_later_gets_its_row(
    ledger: EventLedger, database: WatchedDatabase, page: int
):
    """Fails if the refresh is folded into no grant, or into the grant of version 1."""
    await ledger.record([facts.opened(refresh_expires_at=5_000)], facts.OPERATOR)
    await ledger.record([facts.opened("other")], facts.OPERATOR)
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    before, now = await ledger.load(GRANT, "grant"), 5_000 + 31 * DAY
    for _ in Rebuild(database, now=now, page=page).steps():
        pass
    assert await ledger.load(GRANT, "grant") == before
    assert before.version == 2
    assert list(Replay(database, now=lambda: now).differences()) == []
