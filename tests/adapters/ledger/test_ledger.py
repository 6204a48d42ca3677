"""Every append gets its true outcome, and in time."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import (
    HEAVY,
    WatchedDatabase,
    WatchedSqlite,
    a_ledger,
    commits_hung,
    only_sqlite,
    rows_of,
    time_passes,
    writer_in_queue,
    writers_held_up,
)
from grantledger.adapters.ledger import writer
from grantledger.adapters.ledger.database import Transaction
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.writer import Append, Outcome
from grantledger.application.ports import Unavailable
from grantledger.domain.token_grant import GRANT
from support.timeouts import TIMEOUT


async def test_the_append_of_a_cancelled_request_is_still_written(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if an append is cancelled with its request."""
    with writers_held_up(database):
        request = await writer_in_queue(database, ledger, facts.opened())
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    await ledger.record([facts.issued()], facts.OPERATOR)  # behind it in the queue
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_a_commit_whose_answer_is_lost_is_found_by_its_append_id(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if a commit whose answer is lost counts as failed."""

    def lose_the_answer() -> None:
        database.after_commit = lambda: None
        raise sqlite3.OperationalError("disk I/O error")

    database.after_commit = lose_the_answer
    await ledger.record([facts.opened()], facts.OPERATOR)
    assert (await ledger.load(GRANT, "grant")).version == 1


async def test_a_failed_commit_is_not_taken_for_a_lost_answer(ledger: EventLedger, database: WatchedDatabase):
    def fail() -> None:
        database.before_commit = lambda: None
        raise sqlite3.OperationalError("disk I/O error")

    database.before_commit = fail
    with pytest.raises(Unavailable):
        await ledger.record([facts.opened()], facts.OPERATOR)
    assert (await ledger.load(GRANT, "grant")).version == 0
    await ledger.record([facts.opened()], facts.OPERATOR)


@only_sqlite
async def test_an_event_of_another_process_does_not_confirm_a_failed_commit(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if any event at that version counts as the one that was appended."""

    def fail_and_let_another_take_the_place() -> None:
        database.before_commit = lambda: None
        for connection in database.live_connections:
            connection.rollback()
        rows_of(
            database,
            "INSERT INTO events VALUES ('main', 1, 'grant:grant', 1, 'token_grant.opened.v1', '', 'another',"
            " 0, '', '', '', '', '', '', '', '{}')",
        )
        raise sqlite3.OperationalError("disk I/O error")

    database.before_commit = fail_and_let_another_take_the_place
    with pytest.raises(Unavailable):
        await ledger.record([facts.opened()], facts.OPERATOR)


async def test_an_append_that_waits_too_long_is_refused_and_never_written(database: WatchedDatabase):
    """Fails if an append is written although its request was refused."""
    ledger = a_ledger(database, timeout=0.5)
    await ledger.open()
    with writers_held_up(database), pytest.raises(Unavailable, match="busy"):
        await ledger.record([facts.opened()], facts.OPERATOR)
    ledger._timeout = TIMEOUT  # noqa: SLF001 - the second append has time, however slow the disk is
    await ledger.record([facts.issued()], facts.OPERATOR)
    await ledger.close()
    assert rows_of(database, "SELECT stream_id FROM events") == [("code:code",)]


async def after_the_look_up_of(*recordings: "asyncio.Task[None]") -> list[Any]:
    """Advance the clock until the appends are looked up, and return their outcomes."""
    await time_passes(TIMEOUT)  # an append that a transaction has taken is looked up, not refused
    await time_passes(TIMEOUT)
    return await asyncio.gather(*recordings, return_exceptions=True)


@pytest.mark.parametrize("database", HEAVY, indirect=True)
async def test_an_append_whose_commit_hangs_gets_an_answer(ledger: EventLedger, database: WatchedDatabase):
    with commits_hung(database, "before") as hung:
        recording = asyncio.create_task(ledger.record([facts.opened()], facts.OPERATOR))
        await hung.wait()
        (refused,) = await after_the_look_up_of(recording)
    assert isinstance(refused, Unavailable)
    assert "does not answer" in str(refused)


async def test_a_hanging_commit_that_turns_out_durable_is_answered_as_recorded(
    ledger: EventLedger, database: WatchedDatabase
):
    """Fails if a commit that hangs counts as failed."""
    with commits_hung(database, "after") as hung:
        recording = asyncio.create_task(ledger.record([facts.opened()], facts.OPERATOR))
        await hung.wait()
        assert await after_the_look_up_of(recording) == [None]


@only_sqlite
async def test_an_append_refused_while_its_batch_hung_is_not_written_later(
    ledger: EventLedger, database: WatchedSqlite, monkeypatch: pytest.MonkeyPatch
):
    """Fails if the look-up of a claimed append leaves it to the next transaction."""
    record = database.record

    async def fail_for_several(
        transaction: Any, realm: str, appends: Sequence[Append], **options: Any
    ) -> Sequence[Outcome]:
        if len(appends) > 1:
            raise RuntimeError("a batch of several appends fails, so that each is written alone")
        return await record(transaction, realm, appends, **options)

    monkeypatch.setattr(database, "record", fail_for_several)
    with commits_hung(database, "before") as hung:
        batch = [asyncio.create_task(ledger.record([facts.issued(n)], facts.OPERATOR)) for n in "12"]
        await hung.wait()  # in the commit of the first append alone
        assert {type(refused) for refused in await after_the_look_up_of(*batch)} == {Unavailable}
    await ledger.close()
    assert rows_of(database, "SELECT stream_id FROM events") == [("code:1",)]


@only_sqlite
async def test_a_system_exit_in_a_commit_fails_only_that_commit(
    ledger: EventLedger, database: WatchedSqlite, caplog: pytest.LogCaptureFixture
):
    """Fails if the writer thread ends with the error."""

    def die() -> None:
        database.before_commit = lambda: None
        raise SystemExit

    database.before_commit = die
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        await ledger.record([facts.opened()], facts.OPERATOR)
    assert "a commit did not answer: SystemExit" in caplog.text
    await ledger.record([facts.opened()], facts.OPERATOR)


async def test_a_full_queue_refuses_at_once(database: WatchedDatabase):
    ledger = a_ledger(database, queue_limit=2, batch_limit=1)
    await ledger.open()
    with writers_held_up(database):
        waiting = [await writer_in_queue(database, ledger, facts.issued("0"))]
        waiting += [asyncio.create_task(ledger.record([facts.issued(n)], facts.OPERATOR)) for n in "12"]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many"):
            await ledger.record([facts.opened()], facts.OPERATOR)
    await asyncio.gather(*waiting)
    await ledger.close()


async def test_closing_writes_queued_appends(database: WatchedDatabase):
    """Fails if closing drops queued appends."""
    ledger = a_ledger(database)
    await ledger.open()
    with writers_held_up(database):
        waiting = [await writer_in_queue(database, ledger, facts.issued("1"))]
        waiting += [asyncio.create_task(ledger.record([facts.issued(n)], facts.OPERATOR)) for n in "23"]
        await asyncio.sleep(0)
        closing = asyncio.create_task(ledger.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        thread = database.thread if isinstance(database, WatchedSqlite) else None
    await closing
    if thread is not None:
        thread.join(TIMEOUT)  # it ends a moment after the last answer
        assert not thread.is_alive()
    await asyncio.gather(*waiting)
    assert rows_of(database, "SELECT count(*) FROM events") == [(3,)]


async def test_closing_ends_while_the_writer_is_blocked(database: WatchedDatabase):
    ledger = a_ledger(database, timeout=0.1)
    await ledger.open()
    with writers_held_up(database):
        waiting = await writer_in_queue(database, ledger, facts.opened())
        await ledger.close()
        with pytest.raises(Unavailable):
            await waiting


@pytest.mark.parametrize("state", ["never opened", "closed"])
async def test_a_ledger_that_is_not_open_takes_no_appends(database: WatchedDatabase, state: str):
    ledger = a_ledger(database)
    if state == "closed":
        await ledger.open()
        await ledger.close()
    with pytest.raises(Unavailable):
        await ledger.record([facts.opened()], facts.OPERATOR)


async def test_a_closed_ledger_reads_nothing(database: WatchedDatabase):
    ledger = a_ledger(database)
    await ledger.open()
    await ledger.close()
    with pytest.raises(Unavailable):
        await ledger.load(GRANT, "grant")


async def test_an_open_ledger_is_ready_until_it_is_closed(ledger: EventLedger):
    await ledger.check_ready()
    await ledger.close()
    with pytest.raises(Unavailable, match="closed"):
        await ledger.check_ready()


async def test_a_ledger_whose_writer_hangs_is_not_ready(database: WatchedDatabase):
    ledger = a_ledger(database, timeout=0.05)
    await ledger.open()
    with writers_held_up(database):
        recording = await writer_in_queue(database, ledger, facts.opened())
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable, match="hangs"):
            await ledger.check_ready()
    await asyncio.gather(recording, return_exceptions=True)
    async with asyncio.timeout(TIMEOUT):
        while not await is_ready(ledger):  # noqa: ASYNC110 - the writer sets no event of ours
            await asyncio.sleep(0.01)
    await ledger.close()


async def nothing(transaction: Transaction) -> None:
    """Write nothing in the transaction."""


async def test_queued_work_is_bounded_and_cancelled_work_makes_room(
    ledger: EventLedger, database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "_MOST_WORK", 2)
    with writers_held_up(database):
        recording = await writer_in_queue(database, ledger, facts.opened())
        waiting = [asyncio.create_task(ledger.perform(nothing)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too much"):
            await ledger.perform(nothing)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        last = asyncio.create_task(ledger.perform(nothing))
    await asyncio.gather(recording, waiting[1], last)


async def test_a_ledger_whose_writer_hangs_without_appends_is_not_ready(
    database: WatchedDatabase,
):
    ledger = a_ledger(database, timeout=0.05)
    await ledger.open()
    with writers_held_up(database):
        with pytest.raises(Unavailable):
            await ledger.perform(nothing)
        async with asyncio.timeout(TIMEOUT):
            while await is_ready(ledger):  # noqa: ASYNC110 - the writer sets no event of ours
                await asyncio.sleep(0.01)
    async with asyncio.timeout(TIMEOUT):
        while not await is_ready(ledger):  # noqa: ASYNC110 - the writer sets no event of ours
            await asyncio.sleep(0.01)
    await ledger.close()


async def test_a_ledger_is_not_ready_from_a_write_that_fails_until_one_succeeds(
    ledger: EventLedger, database: WatchedDatabase
):
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    await ledger.record([facts.opened()], facts.OPERATOR)
    database.before_commit = fail
    with pytest.raises(Unavailable):
        await ledger.record([facts.issued()], facts.OPERATOR)
    assert [await is_ready(ledger) for _ in range(2)] == [False, False]
    database.before_commit = lambda: None
    assert await is_ready(ledger)


@only_sqlite
async def test_a_ledger_in_which_only_empty_transactions_succeed_is_not_ready(
    ledger: EventLedger, database: WatchedSqlite
):
    """Fails if the check of a full disk writes nothing."""

    def fail_if_written() -> None:
        if any(connection.total_changes for connection in database.live_connections):
            raise sqlite3.OperationalError("database or disk is full")

    await ledger.record([facts.opened()], facts.OPERATOR)
    database.before_commit = fail_if_written
    with pytest.raises(Unavailable):
        await ledger.record([facts.issued()], facts.OPERATOR)
    assert not await is_ready(ledger)
    database.before_commit = lambda: None
    assert await is_ready(ledger)


async def test_a_check_writes_nothing_while_writes_succeed(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.OPERATOR)
    queued = database.came_to_queue
    await ledger.check_ready()
    assert database.came_to_queue == queued


async def is_ready(ledger: EventLedger) -> bool:
    try:
        await ledger.check_ready()
    except Unavailable:
        return False
    return True


async def test_a_ledger_with_an_older_schema_is_not_ready(ledger: EventLedger, database: WatchedDatabase):
    rows_of(database, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(Unavailable, match="older than this release"):
        await ledger.check_ready()


async def test_a_ledger_that_was_migrated_by_a_later_release_stays_ready(
    ledger: EventLedger, database: WatchedDatabase
):
    """Otherwise the first step of an upgrade would take all servers out of service at once."""
    rows_of(database, "UPDATE alembic_version SET version_num = '9999'")
    await ledger.check_ready()


async def test_a_ledger_whose_database_cannot_be_read_is_not_ready(
    ledger: EventLedger, database: WatchedDatabase
):
    rows_of(database, "ALTER TABLE alembic_version RENAME TO away")
    with pytest.raises(Unavailable):
        await ledger.check_ready()
    rows_of(database, "ALTER TABLE away RENAME TO alembic_version")
    await ledger.check_ready()
