"""Many appends, one transaction, one sync of the disk."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from eventsourcing.persistence import IntegrityError, OperationalError

from grantledger.adapters.ledger.append import Append, Outcome
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.outcome import stands
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.application.ports import Conflict, Unavailable

_log = logging.getLogger(__name__)

_OUTAGE = (OperationalError, sqlite3.Error, OSError)


class CommitOutcomeUnknown(Exception):  # noqa: N818 - a state of knowledge
    """COMMIT was asked for and did not answer: what it was to commit may stand or not."""


class GroupCommit:
    """Writes batches on a connection that is opened anew after every error.

    So an outage is over when its cause is. Used by one thread only.
    """

    def __init__(self, database: Database, recorder: Recorder, now: Callable[[], int]) -> None:
        self._database = database
        self._recorder = recorder
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None

    def write(self, batch: Sequence[Append]) -> list[tuple[Append, Outcome]]:
        """Write the appends that are not abandoned, and return what became of them.

        A conflict fails its own append only, an outage all of them. After any other error they are tried
        one by one, so that it fails the append that caused it.
        """
        try:
            return self._transaction(batch)
        except CommitOutcomeUnknown as error:
            _log.warning("a commit did not answer: %s", error.__cause__)
            return [(append, self._looked_up(append, error)) for append in batch if append.claimed]
        except _OUTAGE as error:
            _log.warning("the ledger cannot be written: %s", error)
            return [(append, unavailable(error)) for append in batch]
        except Exception as error:  # noqa: BLE001 - the append that raises it alone gets it
            if len(batch) == 1:
                return [(batch[0], error)]
            _log.warning("a batch failed; its appends are tried one by one", exc_info=True)
            return [answer for append in batch for answer in self.write([append])]

    def disconnect(self) -> None:
        """Close the connection, which rolls back what is not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _transaction(self, batch: Sequence[Append]) -> list[tuple[Append, Outcome]]:
        with self._database.queueing():
            try:
                return self._written(batch)
            except BaseException:
                self.disconnect()  # before the next process begins
                raise

    def _written(self, batch: Sequence[Append]) -> list[tuple[Append, Outcome]]:
        connection = self._connected()
        # Closed on this thread, for an error's traceback could take it to another: see `Database.writing`.
        with closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            # Not when it was asked for: what waited here was not yet so, and was answered accordingly.
            now = self._now()
            outcomes = self._recorded(cursor, [append for append in batch if append.claim()], now)
        try:
            connection.commit()
        except Exception as error:
            raise CommitOutcomeUnknown from error
        return outcomes

    def _recorded(
        self, cursor: sqlite3.Cursor, appends: Sequence[Append], now: int
    ) -> list[tuple[Append, Outcome]]:
        """Record all at once; where some conflict, one by one, so that the others do not suffer."""
        if self._conflict(cursor, appends, now) is None:
            return [(append, None) for append in appends]
        return [(append, self._conflict(cursor, [append], now)) for append in appends]

    def _conflict(self, cursor: sqlite3.Cursor, appends: Sequence[Append], now: int) -> Conflict | None:
        """Record the appends, all or none of them; return what was in the way."""
        try:
            self._recorder.insert_events(
                [stored for append in appends for stored in append.stored],
                envelope=[beside for append in appends for beside in append.envelope.beside(now)],
                rows=[change for append in appends for change in append.rows],
                private=[row for append in appends for row in append.private],
                within=cursor,
            )
        except IntegrityError as error:
            return Conflict(str(error))
        return None

    def _looked_up(self, append: Append, error: CommitOutcomeUnknown) -> Outcome:
        try:
            with closing(self._connected().cursor()) as cursor:
                landed = stands(cursor, self._recorder.realm, append)
        except _OUTAGE as still:
            self.disconnect()
            return unavailable(still)
        return None if landed else unavailable(error)

    def _connected(self) -> sqlite3.Connection:
        place = self._database.place()
        if self._place != place:
            self.disconnect()
        if self._connection is None:
            self._connection, self._place = self._database.connect(), place
        return self._connection


def unavailable(cause: BaseException) -> Unavailable:
    unavailable = Unavailable(str(cause))
    unavailable.__cause__ = cause
    return unavailable
