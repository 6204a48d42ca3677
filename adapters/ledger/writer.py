"""The thread that writes: whatever waits is written together and answered together."""

import asyncio
import logging
import queue
import threading
from collections.abc import Iterable, Sequence

from grantledger.adapters.ledger.append import Append, Outcome
from grantledger.adapters.ledger.group_commit import GroupCommit, unavailable
from grantledger.application.ports import Unavailable

_log = logging.getLogger(__name__)


class Writer:
    """One per process. It ends when it is closed, and for no other reason."""

    def __init__(self, group_commit: GroupCommit, *, queue_limit: int, batch_limit: int) -> None:
        self._group_commit = group_commit
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._gathered: list[Append] = []
        self._queue: queue.SimpleQueue[Append | None] = queue.SimpleQueue()
        self._open = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, or begin again after `close`. Raises `Unavailable` while the last thread still writes."""
        if self._thread is not None and self._thread.is_alive():
            raise Unavailable("the ledger is open already, or was closed and has not ended")
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        self._open = True

    def put(self, append: Append) -> None:
        """Take the append over; it is written even if nobody waits for the answer any more.

        Raises `Unavailable` when too many wait already, before `start` and after `close`.
        """
        if not (self._open and self._thread and self._thread.is_alive()):
            raise Unavailable("the ledger is not open")
        if len(self._gathered) + self._queue.qsize() >= self._queue_limit:
            raise Unavailable("too many appends wait")
        self._gathered.append(append)
        if len(self._gathered) == 1:
            # At the end of this turn of the loop: a writer that woke up at the first append would wrest the
            # interpreter from the other requests of the turn, and write less at once. Measured over HTTP
            # with 16 connections: a third less CPU.
            asyncio.get_running_loop().call_soon(self.hand_over)

    def hand_over(self) -> None:
        """Give the writer's thread what was taken over. Only on the event loop's thread."""
        gathered, self._gathered = self._gathered, []
        for append in gathered:
            self._queue.put(append)

    def close(self, timeout: float) -> None:
        """Write what waits, then end. Blocks, but no longer than `timeout` seconds."""
        if self._open and self._thread is not None:
            self._open = False
            self._queue.put(None)
            self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._take():
            try:
                outcomes = self._group_commit.write(batch)
            except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                _log.critical("the ledger's writer failed", exc_info=True)
                outcomes = [(append, unavailable(error)) for append in batch]
            _answer(outcomes)
        self._group_commit.disconnect()

    def _take(self) -> list[Append]:
        """Wait for an append and return it with those behind it; nothing when the writer is to end."""
        batch: list[Append] = []
        append = self._queue.get()
        while append is not None:
            batch.append(append)
            if len(batch) == self._batch_limit or self._queue.empty():
                return batch
            append = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch


def _answer(outcomes: Iterable[tuple[Append, Outcome]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Append, Outcome]]] = {}
    for append, outcome in outcomes:
        by_loop.setdefault(append.answered.get_loop(), []).append((append, outcome))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, answers)
        except RuntimeError:
            _log.info("appends were recorded after the event loop that asked for them had ended")


def _settle(answers: Sequence[tuple[Append, Outcome]]) -> None:
    for append, outcome in answers:
        append.answer(outcome)
