"""The ledger on SQLite: the application's storage ports over one file."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.append import Append
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.envelope import Envelope
from grantledger.adapters.ledger.group_commit import GroupCommit
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.private_rows import PrivateRow
from grantledger.adapters.ledger.projection import row_change
from grantledger.adapters.ledger.reader import Reader
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.sealing import Sealer
from grantledger.adapters.ledger.uuid7 import uuid7
from grantledger.adapters.ledger.writer import Writer
from grantledger.application.ports import MAX_PAGE, Page, PrivateRecord, Standing, Unavailable
from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.consent import CONSENT, Consent
from grantledger.domain.token_grant import GRANT, TokenGrant
from grantledger.domain.user_account import USER, UserAccount

S = TypeVar("S")


def microseconds_now() -> int:
    return time.time_ns() // 1000


class SqliteLedger:
    """`Ledger`, `GrantReader`, `TransactionReader`, `Listings` and `PrivateRecords`.

    Reads happen on the event loop's thread in some microseconds each; appends wait for the writer's
    thread. One instance serves one event loop, and once closed it stays closed.
    """

    def __init__(
        self,
        database: Database,
        *,
        sealer: Sealer,
        address_digest: Callable[[str], bytes],
        realm: str = "main",
        now: Callable[[], int] = microseconds_now,
        random_bits: Callable[[int], int] = random.getrandbits,  # an id of ours is no secret
        timeout: float = 10.0,
        queue_limit: int = 2_048,
        batch_limit: int = 128,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._address_digest = address_digest
        self._now = now
        self._random_bits = random_bits
        self._timeout = timeout
        self._mapper = TagMapper()
        self.recorder = Recorder(database, self._mapper, realm)
        self._reader = Reader(database, self._mapper, realm)
        group_commit = GroupCommit(database, self.recorder, now)
        self._writer = Writer(group_commit, queue_limit=queue_limit, batch_limit=batch_limit)

    async def open(self) -> None:
        """Begin to take appends, or begin again after `close`.

        Raises `Unavailable` when it is open, `CannotOpen`, and `SchemaMismatch` when the database is behind
        or ahead of this release.
        """
        migrations.check(self._database)
        self._writer.start()
        self._reader.open()

    async def close(self) -> None:
        """Write what waits, then let go of the file."""
        self._writer.hand_over()
        await asyncio.to_thread(self._writer.close, self._timeout)
        self._reader.close()
        self._database.engine.dispose()

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        return self._reader.load(kind, key)

    async def standing(self, grant_id: str) -> Standing | None:
        return self._reader.standing(grant_id)

    async def is_spent(self, transaction_id: str) -> bool:
        return self._reader.is_spent(transaction_id)

    async def clients(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[ClientRegistration]:
        return self._reader.page(CLIENT, {}, after=after, limit=limit)

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> Page[UserAccount]:
        return self._reader.page(USER, {}, after=after, limit=limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> Page[TokenGrant]:
        where = {"client_id": client_id, "user_id": user_id}
        given = {name: value for name, value in where.items() if value is not None}
        return self._reader.page(GRANT, given, after=after, limit=limit)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> Page[Consent]:
        return self._reader.page(CONSENT, {"user_id": user_id}, after=after, limit=limit)

    async def find(self, name: str, lookup: str) -> str | None:
        return self._reader.owner(name, self._sealer.lookups(name, lookup), self._sealer.key_ids)

    async def value(self, subject: str, name: str) -> str | None:
        found = self._reader.sealed(subject, name)
        return None if found is None else self._sealer.open(found[0], subject, name, found[1])

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        changes = [change for change in changes if change.events]
        if not changes:
            assert not private, "private records are kept with the event that names their subject"
            return
        stored = [
            self._mapper.stored(change.kind.stream_id(change.key), version, event)
            for change in changes
            for version, event in enumerate(change.events, change.version + 1)
        ]
        answered = asyncio.get_running_loop().create_future()
        append = Append(
            stored,
            self._envelope(by, len(stored)),
            [row_change(change) for change in changes],
            [self._sealed(record) for record in private],
            answered,
        )
        self._writer.put(append)
        await self._answer(append)

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
            # It is being written at this moment: what is said now could turn out wrong.
            asyncio.get_running_loop().call_later(self._timeout, self._look_up, append)

    def _look_up(self, append: Append) -> None:
        if append.answered.done():
            return
        try:
            stands = self._reader.stands(append)
        except Unavailable as error:
            append.answer(error)
        else:
            append.answer(None if stands else Unavailable("the ledger's writer does not answer"))

    def _envelope(self, by: Provenance, events: int) -> Envelope:
        now = self._now()
        append_id, *event_ids = (uuid7(now, self._random_bits(62)) for _ in range(events + 1))
        address = by.caller.address
        return Envelope(
            append_id=append_id,
            event_ids=tuple(event_ids),
            actor_kind=by.actor_kind,
            actor_id=by.actor_id,
            client_id=by.client_id,
            correlation_id=by.caller.correlation_id,
            trace_id=by.caller.trace_id,
            address_digest=None if address is None else self._address_digest(address),
        )

    def _sealed(self, record: PrivateRecord) -> PrivateRow:
        if record.value is None:
            return PrivateRow(record.subject, record.name, (), "", None)
        # Found by its value, so that sealing it anew can make the digest anew.
        assert record.lookup in (None, record.value)
        lookups = () if record.lookup is None else tuple(self._sealer.lookups(record.name, record.lookup))
        key_id, sealed = self._sealer.seal(record.subject, record.name, record.value)
        return PrivateRow(record.subject, record.name, lookups, key_id, sealed, tuple(self._sealer.key_ids))
