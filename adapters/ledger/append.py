"""One request to the writer, and its answer."""

import asyncio
import threading
from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from grantledger.adapters.ledger.envelope import Envelope
from grantledger.adapters.ledger.private_rows import PrivateRow
from grantledger.adapters.ledger.projection import RowChange

Outcome = Exception | None
"""None: recorded. Else what the caller is told."""


class Append:
    """What is to be recorded together, and the future of who waits for it.

    Either the writer claims it or its caller abandons it, never both: what was abandoned is not written.
    """

    __slots__ = ("_turn", "answered", "claimed", "envelope", "private", "rows", "stored")

    def __init__(
        self,
        stored: Sequence[StoredEvent],
        envelope: Envelope,
        rows: Sequence[RowChange],
        private: Sequence[PrivateRow],
        answered: "asyncio.Future[None]",
    ) -> None:
        self.stored = stored
        self.envelope = envelope
        self.rows = rows
        self.private = private
        self.answered = answered
        self.claimed = False
        self._turn = threading.Lock()

    def claim(self) -> bool:
        """Whether the writer may write it; only the writer asks."""
        self.claimed = self.claimed or self._turn.acquire(blocking=False)
        return self.claimed

    def abandon(self) -> bool:
        """Whether it will never be written."""
        return self._turn.acquire(blocking=False)

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it was told or waits no more. Only on its own event loop."""
        if self.answered.done():
            return
        if outcome is None:
            self.answered.set_result(None)
        else:
            self.answered.set_exception(outcome)
