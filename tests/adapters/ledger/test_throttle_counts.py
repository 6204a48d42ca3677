"""Throttles that processes share through the database, on both stores."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from adapters.ledger.storage import (
    WatchedDatabase,
    a_ledger,
    database_at,
    rows_of,
    writers_held_up,
)
from grantledger.adapters import throttles
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.throttle_counts import LedgerThrottleCounts
from grantledger.adapters.throttles import ThrottleCount, Throttles
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import TooManyActions, TooManyGuesses
from grantledger.domain.rate import Rate
from grantledger.domain.refusal import Refusal
from support.timeouts import TIMEOUT

KEY = b"a key that all processes derive"
HOME = "192.0.2.1"


class Time:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class WrongPassword(Refusal):
    pass


class Process:
    """One of several on the same database, with a limit of three guesses an hour."""

    def __init__(self, database: Database, time: Time, **options: Any) -> None:
        self.database = database
        self.ledger = a_ledger(database, **options)
        self.counts = LedgerThrottleCounts(self.ledger, self.database, "main")
        self.throttles = Throttles(KEY, now=time)
        self._guesses = self.throttles.guess_limit("passwords", Rate(3, 3_600))
        self.refreshes = self.throttles.action_limit("refreshes", Rate(60, 60))

    async def merge(self) -> None:
        await self.throttles.merge(self.counts)

    def guess(self, subject: str = "ada@example.com", *, right: bool = False) -> int:
        """Guess once, and return the seconds to wait if it was refused."""
        try:
            with suppress(WrongPassword), self._guesses.guess(subject, HOME):
                if not right:
                    raise WrongPassword
        except TooManyGuesses as refused:
            return refused.retry_after
        return 0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def start(database: WatchedDatabase, time: Time) -> AsyncIterator[Callable[[], Any]]:
    """Return a function that starts one more process. A test can disturb the database of a `watched` one."""
    started: list[Process] = []

    async def start(*, watched: bool = False, **options: Any) -> Process:
        process = Process(database if watched else database_at(database.address), time, **options)
        await process.ledger.open()
        await process.merge()
        started.append(process)
        return process

    yield start
    for process in started:
        await process.ledger.close()


async def test_what_one_process_has_counted_is_refused_by_all(start: Any):
    first, second = await start(), await start()
    assert [first.guess() for _ in range(4)] == [0, 0, 0, 1_200]
    await first.merge()
    await second.merge()
    assert second.guess() == 1_200


async def test_counts_of_the_same_second_add_up(start: Any):
    first, second = await start(), await start()
    for process in (first, second):
        assert [process.guess() for _ in range(3)] == [0, 0, 0]
    await first.merge()
    await second.merge()
    await first.merge()
    assert [first.guess(), second.guess()] == [4_800, 4_800]  # six were counted, three too many


async def test_what_is_counted_during_a_merge_counts_too(start: Any):
    first, second = await start(), await start()
    first.guess()
    merge = first.counts.merge

    async def guessing_meanwhile(counted: Any, *, now: int) -> Any:
        found = await merge(counted, now=now)
        first.guess()
        return found

    first.counts.merge = guessing_meanwhile
    await first.merge()
    first.counts.merge = merge
    await first.merge()
    await second.merge()
    assert [process.guess() for process in (first, second)] == [0, 0]
    assert [process.guess() for process in (first, second)] == [1_200, 1_200]


async def test_an_attempt_that_is_returned_counts_in_no_process(start: Any):
    first, second = await start(), await start()
    for _ in range(2):
        first.guess()
    await first.merge()
    for _ in range(5):
        assert first.guess(right=True) == 0
    await first.merge()
    await second.merge()
    assert [second.guess() for _ in range(2)] == [0, 1_200]


async def test_the_limit_refills_at_its_rate_for_all_together(start: Any, time: Time):
    first, second = await start(), await start()
    for _ in range(3):
        first.guess()
    await first.merge()
    await second.merge()
    time.now += 1_200
    assert second.guess() == 0
    await second.merge()
    await first.merge()
    assert [first.guess(), second.guess()] == [1_200, 1_200]


async def test_a_restart_forgets_no_guess(start: Any):
    first = await start()
    for _ in range(3):
        first.guess()
    await first.merge()
    assert (await start()).guess() == 1_200


async def test_in_an_outage_each_process_counts_for_itself_and_shares_later(start: Any):
    first, second = await start(), await start()
    await first.ledger.close()
    assert [first.guess() for _ in range(4)] == [0, 0, 0, 1_200]
    with pytest.raises(Unavailable):
        await first.merge()
    assert first.guess() == 1_200
    await first.ledger.open()
    await first.merge()
    await second.merge()
    assert second.guess() == 1_200


async def counts_again_once(process: Process) -> None:
    """Merge until it succeeds, and check that the guess before counts once."""
    async with asyncio.timeout(TIMEOUT):
        while not await merged(process):
            pass
    assert [process.guess() for _ in range(3)] == [0, 0, 1_200]


async def merged(process: Process) -> bool:
    try:
        await process.merge()
    except Unavailable:
        return False
    return True


async def test_a_guess_counts_once_after_many_merges_that_met_a_stuck_writer(
    start: Any, database: WatchedDatabase
):
    """Fails if the writer later does the work of each merge that gave up."""
    first = await start(timeout=0.05)
    with writers_held_up(database):
        first.guess()
        assert [await merged(first) for _ in range(4)] == [False] * 4
    await counts_again_once(first)


async def test_a_guess_counts_once_though_its_commit_takes_longer_than_merges_wait(
    start: Any, database: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
):
    """Fails if what may have been written is written again."""
    first = await start(watched=True, timeout=0.05)
    first.guess()
    go_on = threading.Event()
    database.before_commit = lambda: waiting_for(go_on)
    with monkeypatch.context() as impatient:
        impatient.setattr(throttles, "MERGE_TIMEOUT", 0.1)
        try:
            assert [await merged(first) for _ in range(3)] == [False] * 3
        finally:
            go_on.set()
    await counts_again_once(first)


def waiting_for(event: threading.Event) -> None:
    event.wait(TIMEOUT)


async def test_a_guess_counts_once_though_the_answer_to_its_commit_was_lost(
    start: Any, database: WatchedDatabase
):
    def lose_the_answer() -> None:
        database.after_commit = lambda: None
        raise sqlite3.OperationalError("disk I/O error")

    first = await start(watched=True)
    first.guess()
    database.after_commit = lose_the_answer
    await first.merge()
    await counts_again_once(first)


async def test_a_guess_whose_commit_failed_is_shared_by_the_next_merge(start: Any, database: WatchedDatabase):
    def fail() -> None:
        database.before_commit = lambda: None
        raise sqlite3.OperationalError("disk I/O error")

    first, second = await start(watched=True), await start()
    for _ in range(3):
        first.guess()
    database.before_commit = fail
    await merged(first)
    await first.merge()
    await second.merge()
    assert second.guess() == 1_200


async def test_a_guess_is_shared_though_its_merge_was_cancelled(start: Any, database: WatchedDatabase):
    """Fails if a server that stops during a merge forgets what it was sharing."""
    first, second = await start(watched=True), await start()
    with writers_held_up(database):
        for _ in range(3):
            first.guess()
        before = database.came_to_queue
        merging = asyncio.create_task(first.merge())
        async with asyncio.timeout(TIMEOUT):
            while database.came_to_queue == before:  # noqa: ASYNC110 - the writer sets no event of ours
                await asyncio.sleep(0.001)
        merging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await merging
    await first.merge()
    await second.merge()
    assert [first.guess(), second.guess()] == [1_200, 1_200]


async def test_a_merge_gives_up_while_the_writer_is_stuck(database: WatchedDatabase):
    """Fails if a server could not stop while its disk hangs."""
    ledger = a_ledger(database, timeout=0.1)
    counts = LedgerThrottleCounts(ledger, database, "main")
    await ledger.open()
    with writers_held_up(database), pytest.raises(Unavailable):
        await counts.merge([ThrottleCount("passwords", b"key", 2_000)], now=1_000)
    await ledger.close()


async def test_a_refresh_now_and_then_writes_nothing(start: Any, database: WatchedDatabase):
    first = await start()
    for n in range(100):
        with first.refreshes.counted(f"grant {n}"):
            pass
    await first.merge()
    assert rows_of(database, "SELECT kind FROM throttle") == []


async def test_a_grant_that_refreshes_in_a_loop_is_limited_everywhere(start: Any):
    first, second = await start(), await start()
    for _ in range(60):
        with first.refreshes.counted("grant"):
            pass
    await first.merge()
    await second.merge()
    with pytest.raises(TooManyActions), second.refreshes.counted("grant"):
        pass


async def test_the_database_holds_no_address_and_no_network_in_clear(start: Any, database: WatchedDatabase):
    first = await start()
    first.guess()
    await first.merge()
    rows = rows_of(database, "SELECT realm, kind, key FROM throttle ORDER BY kind")
    kinds = ["passwords, network", "passwords, subject", "passwords, subject and network"]
    assert [(realm, kind) for realm, kind, _ in rows] == [("main", kind) for kind in kinds]
    assert {len(bytes(key)) for *_, key in rows} == {16}


async def test_full_buckets_are_swept_and_the_fullest_of_too_many(start: Any, database: WatchedDatabase):
    counts = (await start()).counts
    buckets = [ThrottleCount("passwords", bytes([n]), 1_000 + n) for n in range(10)]
    await counts.merge(buckets, now=1_000)
    await counts.sweep(now=1_002, most=100)
    assert sorted(rows_of(database, "SELECT full_at FROM throttle")) == [(1_000 + n,) for n in range(3, 10)]
    await counts.sweep(now=1_002, most=4)
    assert sorted(rows_of(database, "SELECT full_at FROM throttle")) == [(1_000 + n,) for n in range(6, 10)]


async def test_a_realm_has_counts_of_its_own(start: Any):
    first = await start()
    await first.counts.merge([ThrottleCount("passwords", b"key", 2_000)], now=1_000)
    other = LedgerThrottleCounts(first.ledger, first.database, "other")
    assert await other.changed(0, most=10) == []
