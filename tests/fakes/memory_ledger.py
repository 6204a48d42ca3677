"""A ledger that remembers only as long as the test runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from grantledger.application.ports import Conflict, PrivateRecord, Standing, Unavailable
from grantledger.application.provenance import Provenance
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER

S = TypeVar("S")


class Recorded(NamedTuple):
    stream_id: str
    version: int
    event: Struct
    by: Provenance


class MemoryLedger:
    """Implements all four storage ports. `log` is everything recorded, in order.

    While `outage` is true every method raises `Unavailable`.
    """

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.outage = False
        self._streams: dict[str, Versioned[Any]] = {}
        self._private: dict[tuple[str, str], PrivateRecord] = {}

    @property
    def events(self) -> list[Struct]:
        return [recorded.event for recorded in self.log]

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        self._check()
        return self._streams.get(kind.stream_id(key), Versioned(kind=kind, key=key))

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        self._check()
        changes = [change for change in changes if change.events]
        assert changes or not private, "private records are kept with the event that names their subject"
        after = dict(self._streams)
        log = []
        for change in changes:
            stream_id = change.kind.stream_id(change.key)
            before = after.get(stream_id, Versioned(kind=change.kind, key=change.key))
            if before.version != change.version:
                raise Conflict(stream_id)
            after[stream_id] = before.evolved(change.events)
            versions = range(change.version + 1, change.version + 1 + len(change.events))
            log += [Recorded(stream_id, *of, by) for of in zip(versions, change.events, strict=True)]
        beside = self._private | {(record.subject, record.name): record for record in private}
        _check_unique(state.transaction_id for state in _states(after, CODE))
        _check_unique((found.name, found.lookup) for found in beside.values() if found.lookup is not None)
        self._streams, self._private = after, beside
        self.log += log

    async def standing(self, grant_id: str) -> Standing | None:
        grant = await self.load(GRANT, grant_id)
        if grant.state is None:
            return None
        client = await self.load(CLIENT, grant.state.client_id)
        user = await self.load(USER, grant.state.user_id)
        return Standing(grant=grant, client=client.state, user=user.state)

    async def is_spent(self, transaction_id: str) -> bool:
        self._check()
        return any(code.transaction_id == transaction_id for code in _states(self._streams, CODE))

    async def find(self, name: str, lookup: str) -> str | None:
        self._check()
        return next(
            (
                found.subject
                for found in self._private.values()
                if (found.name, found.lookup) == (name, lookup)
            ),
            None,
        )

    async def value(self, subject: str, name: str) -> str | None:
        self._check()
        found = self._private.get((subject, name))
        return None if found is None else found.value

    def _check(self) -> None:
        if self.outage:
            raise Unavailable("the test says so")


def _states(streams: dict[str, Versioned[Any]], kind: Kind[S]) -> list[S]:
    return [stream.state for stream in streams.values() if stream.kind is kind and stream.state is not None]


def _check_unique(values: Any) -> None:
    values = list(values)
    if len(set(values)) != len(values):
        raise Conflict("a unique value is taken")
