"""The writer: queued appends are checked, written and synced together, and then answered."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from grantledger.adapters.ledger.database import (
    CommitOutcomeUnknown,
    Database,
    Transaction,
    TransactionAborted,
    UniqueTaken,
)
from grantledger.adapters.ledger.events import Appended, Envelope
from grantledger.adapters.ledger.private_records import PrivateRow
from grantledger.adapters.ledger.read_model import Retention, Row
from grantledger.application.ports import Conflict, Unavailable

_log = logging.getLogger(__name__)

Outcome = Exception | None
"""None if the append was recorded; otherwise the exception that the caller gets."""

Work = Callable[[Transaction], Awaitable[None]]
"""What is written in a transaction of its own."""

SWEEP_EVERY = 1.0
"""Seconds between two sweeps, which delete rows that ended."""

SWEEP_IDLE = 10.0
"""The same while nothing is written."""

_TURNS = 3
"""Turns of the event loop before a batch is taken. In them the server reads the requests that have arrived
and begins to answer them, so that their appends share the transaction.
"""

_SWEPT = 1_000
"""How many rows of each table one sweep deletes or checks."""


_TRIES = 8
"""How often a batch is tried whose transaction the database aborts because of another one."""

_MOST_WORK = 64
"""How many pieces of work may be queued. Each caller of `perform` queues one at a time, so there are few."""


class Append:
    """The changes of one caller that are recorded together, and the future that the caller awaits.

    Either the writer claims it or its caller abandons it, never both: an abandoned append is not written. An
    append that was claimed may still be withdrawn: if its transaction fails, it is not claimed again.
    """

    __slots__ = ("answered", "claimed", "envelope", "events", "expected", "given_up", "private", "rows")

    def __init__(
        self,
        *,
        expected: Sequence[tuple[str, int]],
        events: Sequence[Appended],
        envelope: Envelope,
        rows: Sequence[Row],
        private: Sequence[PrivateRow],
    ) -> None:
        self.expected = expected
        self.events = events
        self.envelope = envelope
        self.rows = rows
        self.private = private
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.claimed = False
        self.given_up = False

    def claim(self) -> bool:
        """Claim the append for a transaction, and return whether that succeeded."""
        self.claimed = not self.given_up
        return self.claimed

    def abandon(self) -> bool:
        """Abandon the append, and return whether that succeeded: then it will never be written."""
        self.given_up = not self.claimed
        return self.given_up

    def withdraw(self) -> None:
        """Let no further transaction write the append. The one that has claimed it may still do so."""
        self.given_up = True

    def answer(self, outcome: Outcome) -> None:
        """Answer the caller, unless it was answered before or was cancelled."""
        _set(self.answered, outcome)


class QueuedWork:
    """Work in the queue, and the future that its caller awaits. Once the future is done, work is dropped."""

    __slots__ = ("begun", "ended", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun = False

    def give_up(self) -> None:
        """Answer the caller with `Unavailable`, unless the work has begun: then its outcome will be known."""
        if not self.begun:
            self.end(Unavailable("the ledger's writer does not answer"))

    def end(self, outcome: Outcome) -> None:
        """Answer the caller, unless it was answered before or was cancelled."""
        _set(self.ended, outcome)


class Writer:
    """One per process and realm, on one event loop. At most one transaction is open at a time."""

    def __init__(
        self,
        database: Database,
        realm: str,
        *,
        now: Callable[[], int],
        known_secrets: Callable[[], Sequence[str]],
        retention: Retention,
        queue_limit: int,
        batch_limit: int,
    ) -> None:
        self._database = database
        self._statements = database.statements
        self._realm = realm
        self._now = now
        self._known_secrets = known_secrets
        self._retention = retention
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._waiting: deque[Append] = deque()
        self._work: deque[QueuedWork] = deque()
        self._open = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._swept_at = float("-inf")
        self._walked = ""
        self._began_at: float | None = None
        self.is_failing = False
        """Whether a transaction has failed since the last append that was written."""

    def start(self) -> None:
        """Start, or start again after `close`. Raises `Unavailable` while the last transaction is open."""
        if self._open or self._task is not None:
            raise Unavailable("the ledger is open already, or was closed and has not ended")
        self._open = True
        # The first sweep comes later, so that a short command does not pay for one.
        self._swept_at = asyncio.get_running_loop().time()
        self._sweep_when_idle()

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def busy_for(self) -> float:
        """The seconds since the current transaction began, 0 if there is none."""
        return 0.0 if self._began_at is None else asyncio.get_running_loop().time() - self._began_at

    def put(self, append: Append) -> None:
        """Queue the append. It is written even if its caller is cancelled.

        Raises `Unavailable` if the queue is full, before `start` and after `close`.
        """
        if not self._open:
            raise Unavailable("the ledger is not open")
        if len(self._waiting) >= self._queue_limit:
            raise Unavailable("too many appends wait")
        self._waiting.append(append)
        self._wake()

    def perform(self, work: Work) -> QueuedWork:
        """Queue `work` for a transaction between two batches. See `EventLedger.perform`.

        Raises `Unavailable` if the queue is full, before `start` and after `close`.
        """
        if not self._open:
            raise Unavailable("the ledger is not open")
        self._work = deque(queued for queued in self._work if not queued.ended.done())
        if len(self._work) >= _MOST_WORK:
            raise Unavailable("too much work waits")
        queued = QueuedWork(work)
        self._work.append(queued)
        self._wake()
        return queued

    async def close(self, patience: float) -> None:
        """Write the queued appends, then stop. Wait for that at most `patience` seconds."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience)

    def _wake(self) -> None:
        # The task starts in the next turn of the event loop: all appends of this turn share its transaction.
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    def _sweep_when_idle(self) -> None:
        if self._is_sweep_due(SWEEP_IDLE):
            self._wake()
        self._timer = asyncio.get_running_loop().call_later(SWEEP_IDLE, self._sweep_when_idle)

    def _is_sweep_due(self, every: float) -> bool:
        return asyncio.get_running_loop().time() - self._swept_at >= every

    async def _drain(self) -> None:
        try:
            while self._waiting or self._work or self._is_sweep_due(SWEEP_IDLE):
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                size = min(len(self._waiting), self._batch_limit)
                sweep = self._is_sweep_due(SWEEP_EVERY)
                if sweep:
                    self._swept_at = asyncio.get_running_loop().time()
                if size or sweep:
                    await self._answer([self._waiting.popleft() for _ in range(size)], sweep=sweep)
                if self._work:
                    await self._perform(self._work.popleft())
        finally:
            self._task = None

    async def _perform(self, queued: QueuedWork) -> None:
        if queued.ended.done():
            return
        self._began_at = asyncio.get_running_loop().time()
        outcome: Outcome = None
        try:
            await self._committed(queued)
        except CommitOutcomeUnknown as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - the caller must be answered
            outcome = unavailable(error)
        finally:
            self._began_at = None
        self.is_failing = self.is_failing or outcome is not None
        queued.end(outcome)

    async def _committed(self, queued: QueuedWork, tries: int = _TRIES) -> None:
        try:
            async with self._database.transaction(self._realm) as transaction:
                if queued.ended.done():  # while the transaction waited for the lock
                    return
                queued.begun = True
                await queued.work(transaction)
                await transaction.commit()
        except TransactionAborted:
            if tries == 1:
                raise
            await self._committed(queued, tries - 1)

    async def _answer(self, batch: Sequence[Append], *, sweep: bool) -> None:
        self._began_at = asyncio.get_running_loop().time()
        try:
            outcomes = await self._write(batch, sweep=sweep)
        except Exception as error:  # noqa: BLE001 - the callers must be answered
            _log.critical("the ledger's writer failed", exc_info=True)
            outcomes = [(append, unavailable(error)) for append in batch]
        finally:
            self._began_at = None
        for append, outcome in outcomes:
            append.answer(outcome)

    async def _write(
        self, batch: Sequence[Append], *, sweep: bool, tries: int = _TRIES
    ) -> list[tuple[Append, Outcome]]:
        """Write the appends that are not abandoned, and return the outcome of each.

        A conflict fails its own append only, an outage fails all of them. After any other error they are
        written one by one, so that only the append that caused it fails.
        """
        try:
            async with self._database.transaction(self._realm) as transaction:
                outcomes, written = await self._recorded(transaction, batch)
                if sweep:
                    await self._sweep(transaction)
                if written or sweep:
                    await transaction.commit()
                if written:
                    self.is_failing = False
                return outcomes
        except CommitOutcomeUnknown as error:
            self.is_failing = True
            _log.warning("a commit did not answer: %s", error)
            doubtful = [append for append in batch if append.claimed]
            found = await asyncio.gather(*(self._looked_up(append, error) for append in doubtful))
            return list(zip(doubtful, found, strict=True))
        except TransactionAborted as error:
            if tries > 1:
                return await self._write(batch, sweep=sweep, tries=tries - 1)
            return [(append, unavailable(error)) for append in batch]
        except Unavailable as error:
            self.is_failing = True
            _log.warning("the ledger cannot be written: %s", error)
            return [(append, unavailable(error)) for append in batch]
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0], Conflict(str(error)) if isinstance(error, UniqueTaken) else error)]
            if not batch:
                raise
            if not isinstance(error, UniqueTaken):
                _log.warning("a batch failed; its appends are tried one by one", exc_info=True)
            return [answer for append in batch for answer in await self._write([append], sweep=False)]

    async def _recorded(
        self, transaction: Transaction, batch: Sequence[Append]
    ) -> tuple[list[tuple[Append, Outcome]], bool]:
        """Return the outcomes, and whether anything was written."""
        claimed = [append for append in batch if append.claim()]
        if not claimed:
            return [], False
        outcomes = await self._database.record(
            transaction, self._realm, claimed, now=self._now, known_secrets=self._known_secrets()
        )
        return list(zip(claimed, outcomes, strict=True)), None in outcomes

    async def _sweep(self, transaction: Transaction) -> None:
        """Delete some of the rows that can never be used again, as `Retention` says."""
        horizons = self._retention.horizons(self._now() // 1_000_000)
        realm = {"realm": self._realm}
        for category, statement in self._statements.sweep.items():
            await transaction.fetch(
                statement, {**realm, "of": self._realm, "horizon": horizons[category], "most": _SWEPT}
            )
        # Grants are not indexed by their end: each sweep checks the next keys, in rounds.
        walk = {**realm, "key": self._walked}
        ((last, walked),) = await transaction.fetch(self._statements.sweep_end, {**walk, "most": _SWEPT})
        if walked:
            await transaction.fetch(
                self._statements.sweep_grants, {**walk, "last": last, "horizon": horizons["grant"]}
            )
        self._walked = last if walked == _SWEPT else ""

    async def _looked_up(self, append: Append, error: CommitOutcomeUnknown) -> Outcome:
        try:
            return None if await is_committed(self._database, self._realm, append) else unavailable(error)
        except Unavailable as still:
            return still


async def is_committed(database: Database, realm: str, append: Append) -> bool:
    """Whether the append's first event is in the log, with this append's id. Raises `Unavailable`."""
    first = append.events[0]
    where = {"realm": realm, "stream_id": first.stream_id, "version": first.version}
    found = await database.fetch_after_commits(realm, database.statements.append_at, where)
    return [bytes(row[0]) for row in found] == [append.envelope.append_id]


def _set(waiting: "asyncio.Future[None]", outcome: Outcome) -> None:
    if waiting.done():
        return
    if outcome is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(outcome)


def unavailable(cause: BaseException) -> Unavailable:
    if isinstance(cause, Unavailable):
        return cause
    failed = Unavailable(str(cause))
    failed.__cause__ = cause
    return failed
