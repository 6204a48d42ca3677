"""The ledger: the application's storage ports over one realm of a database."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import CommitOutcomeUnknown, Database, Transaction
from grantledger.adapters.ledger.events import Appended, Envelope, uuid7
from grantledger.adapters.ledger.private_records import Sealer, sealed_row
from grantledger.adapters.ledger.read_model import RETENTION, Retention, parties_of, row_of
from grantledger.adapters.ledger.reader import Reader
from grantledger.adapters.ledger.writer import Append, Work, Writer, is_committed
from grantledger.application.ports import PrivateRecord, Unavailable
from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change


def microseconds_now() -> int:
    return time.time_ns() // 1000


class EventLedger(Reader):
    """`Ledger`, `DecisionReader`, `Listings` and `PrivateRecords`. One instance serves one event loop."""

    def __init__(
        self,
        database: Database,
        *,
        sealer: Sealer,
        address_digest: Callable[[str], bytes],
        realm: str = "main",
        retention: Retention = RETENTION,
        now: Callable[[], int] = microseconds_now,
        random_bits: Callable[[int], int] = random.getrandbits,  # event ids are not secret
        timeout: float = 10.0,
        queue_limit: int = 2_048,
        batch_limit: int = 128,
    ) -> None:
        super().__init__(database, sealer=sealer, realm=realm)
        self._address_digest = address_digest
        self._now = now
        self._random_bits = random_bits
        self._timeout = timeout
        self._look_ups: set[asyncio.Task[None]] = set()
        self._writer = Writer(
            database,
            realm,
            now=now,
            known_secrets=lambda: sealer.key_ids,
            retention=retention,
            queue_limit=queue_limit,
            batch_limit=batch_limit,
        )

    async def open(self) -> None:
        """Begin to take appends, or begin again after `close`.

        Raises `Unavailable` if it is already open, `CannotOpen`, and `SchemaMismatch` if the database is
        behind or ahead of this release.
        """
        migrations.check(self._database)
        self._writer.start()
        await self._database.open()

    async def close(self) -> None:
        """Write the queued appends, then close the database."""
        await self._writer.close(self._timeout)
        await self._database.close(self._timeout)

    async def check_ready(self) -> None:
        """Return if requests can be answered. Raises `Unavailable`, which says why not.

        A schema newer than this release is accepted, because the earlier servers go on during an upgrade.
        """
        if not self._writer.is_open:
            raise Unavailable("the ledger is closed")
        if self._writer.busy_for > self._timeout:
            raise Unavailable("the ledger's writer hangs")
        found = await self._database.fetch(self._statements.revision, {})
        if not found or found[0][0] < migrations.HEAD:
            raise Unavailable(f"the schema is older than this release, which needs {migrations.HEAD}")
        if self._writer.is_failing:  # while writes succeed, a check writes nothing
            await self._check_writes()

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        changing = [change for change in changes if change.events]
        if not changing:
            assert not private, "private records are recorded with the event that names their subject"
            return
        now = self._now()
        append = Append(
            expected=[(change.kind.stream_id(change.key), change.version) for change in changes],
            events=[event for change in changing for event in self._appended(change, now)],
            envelope=self._envelope(by, now),
            rows=[
                row_of(change.kind, change.key, change.version + len(change.events), change.state)
                for change in changing
            ],
            private=[sealed_row(record, self._sealer) for record in private],
        )
        self._writer.put(append)
        await self._answer(append)

    async def perform(self, work: Work) -> None:
        """Write something other than events, in a transaction between two batches of appends.

        `work` may run several times. Raises `Unavailable` if nothing was written, and `CommitOutcomeUnknown`.
        Work that does not begin in time is dropped. Once it has begun, the caller waits for its end: a caller
        that got an error and tried again could write it twice.
        """
        queued = self._writer.perform(work)
        timer = asyncio.get_running_loop().call_later(self._timeout, queued.give_up)
        try:
            await queued.ended
        finally:
            timer.cancel()

    async def _check_writes(self) -> None:
        async def write_what_is_there(transaction: Transaction) -> None:
            # To begin and commit would not be enough: on a full disk that succeeds.
            for (position,) in await transaction.fetch(self._statements.head, {"realm": self._realm}):
                head = {"at": self._realm, "position": position}
                await transaction.fetch(self._statements.move_head, head)

        try:
            await self.perform(write_what_is_there)
        except CommitOutcomeUnknown as error:
            raise Unavailable(f"the ledger cannot be written: {error}") from error
        self._writer.is_failing = False

    def _appended(self, change: Change[Any], now: int) -> list[Appended]:
        stream_id, parties = change.kind.stream_id(change.key), parties_of(change.kind, change.state)
        return [
            Appended(stream_id, version, tag, uuid7(now, self._random_bits(62)), parties, data)
            for version, (tag, data) in enumerate(map(self._codec.encode, change.events), change.version + 1)
        ]

    def _envelope(self, by: Provenance, now: int) -> Envelope:
        caller = by.caller
        return Envelope(
            append_id=uuid7(now, self._random_bits(62)),
            actor_kind=by.actor_kind,
            actor_id=by.actor_id or "",
            correlation_id=caller.correlation_id,
            trace_id=caller.trace_id or "",
            address_digest=b"" if caller.address is None else self._address_digest(caller.address),
        )

    async def _answer(self, append: Append) -> None:
        """Wait for the writer. A cancelled caller stops waiting; the append goes on."""
        timer = asyncio.get_running_loop().call_later(self._timeout, self._give_up, append)
        try:
            await append.answered
        finally:
            timer.cancel()

    def _give_up(self, append: Append) -> None:
        if append.abandon():
            append.answer(Unavailable("the ledger's writer is too busy"))
        else:
            # It is being written at this moment: an answer now could turn out wrong.
            loop = asyncio.get_running_loop()
            loop.call_later(self._timeout, self._start_look_up, append)

    def _start_look_up(self, append: Append) -> None:
        task = asyncio.get_running_loop().create_task(self._look_up(append))
        self._look_ups.add(task)
        task.add_done_callback(self._look_ups.discard)

    async def _look_up(self, append: Append) -> None:
        if append.answered.done():
            return
        append.withdraw()  # before the look-up, so that an append that was refused is not written later
        try:
            committed = await is_committed(self._database, self._realm, append)
        except Unavailable as error:
            append.answer(error)
        else:
            append.answer(None if committed else Unavailable("the ledger's writer does not answer"))
