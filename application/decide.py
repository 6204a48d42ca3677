"""The use cases that only load one aggregate, decide and record."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from grantledger.application.ports import Ledger, PrivateRecord
from grantledger.application.provenance import Provenance
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

S = TypeVar("S")


async def decide(
    ledger: Ledger,
    kind: Kind[S],
    key: str,
    decision: Callable[[S], tuple[Struct, ...]],
    *,
    unknown: Refusal,
    by: Provenance,
    private: Sequence[PrivateRecord] = (),
) -> None:
    """Record the events that `decision` returns for the current state.

    `private` is recorded with them. Without events, nothing is recorded. After a conflict, the state is
    loaded again and `decision` is called again. Raises `unknown` where the stream does not exist, and what
    `decision` raises.
    """

    async def attempt() -> None:
        loaded = await ledger.load(kind, key)
        if loaded.state is None:
            raise unknown
        events = decision(loaded.state)
        if events:
            await ledger.record([loaded.then(events)], by, private)

    await retry_on_conflict(attempt)
