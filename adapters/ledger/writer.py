"""Group commit: whatever waits is written in one transaction, synced once, answered together."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence

from eventsourcing.persistence import IntegrityError, OperationalError

from grantledger.adapters.ledger.append import Append
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.outcome import stands
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.application.ports import Conflict, Unavailable

_log = logging.getLogger(__name__)

_OUTAGE = (OperationalError, sqlite3.Error, OSError)

Outcome = Exception | None
"""Of one append: recorded, or what its caller is told."""


class CommitOutcomeUnknown(Exception):  # noqa: N818 - a state of knowledge
    """COMMIT was asked for and did not answer: what it was to commit may stand or not."""


class Writer:
    """The one thread of this process that writes.

    A conflict fails its own append only. An outage fails what was being written and is over when its
    cause is: the next batch opens a new connection.
    """

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        *,
        realm: str,
        queue_limit: int,
        batch_limit: int,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._realm = realm
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._queue: queue.SimpleQueue[Append | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._open = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._open = True

    def put(self, append: Append) -> None:
        """Take the append over; it is answered even if nobody waits for it any more.

        Raises `Unavailable` when too many wait already, before `start` and after `close`.
        """
        if not self._open:
            raise Unavailable("the ledger is not open")
        if self._queue.qsize() >= self._queue_limit:
            raise Unavailable("too many appends wait")
        self._queue.put(append)

    def close(self, timeout: float) -> None:
        """Write what waits, then end. Blocks, but no longer than `timeout` seconds."""
        if self._open:
            self._open = False
            self._queue.put(None)
            self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._take():
            try:
                self._write(batch)
            except BaseException as error:  # whatever it is, those who wait must hear of it
                _log.exception("the ledger's writer failed")
                self._disconnect()
                self._answer((append, _unavailable(error)) for append in batch)
        self._disconnect()

    def _take(self) -> list[Append]:
        """Return what waits, at least one; nothing when the writer is to end."""
        batch = []
        append = self._queue.get()
        while append is not None:
            batch.append(append)
            if len(batch) == self._batch_limit or self._queue.empty():
                return batch
            append = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _write(self, batch: Sequence[Append]) -> None:
        try:
            self._answer(self._transaction(batch))
        except CommitOutcomeUnknown as error:
            _log.warning("a commit did not answer", exc_info=True)
            self._disconnect()
            self._answer([(append, self._landed(append, error)) for append in batch if append.claimed])
        except _OUTAGE as error:
            _log.warning("the ledger cannot be written", exc_info=True)
            self._disconnect()
            self._answer([(append, _unavailable(error)) for append in batch])
        except Exception as error:
            self._disconnect()
            if len(batch) == 1:
                self._answer([(batch[0], error)])
                return
            _log.warning("a batch failed; its appends are tried one by one", exc_info=True)
            for append in batch:
                self._write([append])

    def _transaction(self, batch: Sequence[Append]) -> list[tuple[Append, Outcome]]:
        with self._database.queueing():
            connection = self._connected()
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            outcomes = [(append, self._record(cursor, append)) for append in batch if append.claim()]
            try:
                connection.commit()
            except Exception as error:
                raise CommitOutcomeUnknown from error
        return outcomes

    def _record(self, cursor: sqlite3.Cursor, append: Append) -> Outcome:
        try:
            self._recorder.insert_events(
                append.stored,
                envelope=append.envelope,
                rows=append.rows,
                private=append.private,
                within=cursor,
            )
        except IntegrityError as error:
            return Conflict(str(error))
        return None

    def _landed(self, append: Append, error: BaseException) -> Outcome:
        """Look for the append by its id: its first event stands where it was to stand, or does not."""
        try:
            landed = stands(self._connected().cursor(), self._realm, append)
        except _OUTAGE as still:
            return _unavailable(still)
        return None if landed else _unavailable(error)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._database.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Close the connection, which rolls back what is not committed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @staticmethod
    def _answer(outcomes: Iterable[tuple[Append, Outcome]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Append, Outcome]]] = {}
        for append, outcome in outcomes:
            by_loop.setdefault(append.answered.get_loop(), []).append((append, outcome))
        for loop, answers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, answers)
            except RuntimeError:  # that loop is closed, and nobody waits on it
                _log.info("an append was recorded after its event loop had ended")


def _settle(answers: Sequence[tuple[Append, Outcome]]) -> None:
    for append, outcome in answers:
        if append.answered.done():
            continue
        if outcome is None:
            append.answered.set_result(None)
        else:
            append.answered.set_exception(outcome)


def _unavailable(cause: BaseException) -> Unavailable:
    unavailable = Unavailable(str(cause))
    unavailable.__cause__ = cause
    return unavailable
