"""What all aggregates have in common: a category, a closed set of events, and one fold."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.digests import length_prefixed, sha256

S = TypeVar("S")


class Kind(Struct, Generic[S], frozen=True, kw_only=True):
    """One kind of aggregate: how its streams are named and how its events are folded into a state.

    `evolve(state, event)` does not check anything and never fails for an event that a decision returned.
    """

    category: str
    state: type[S]
    events: tuple[type[Struct], ...]
    evolve: Callable[[S | None, Any], S]

    def stream_id(self, key: str) -> str:
        """Return the stream's id, `category:key`."""
        return f"{self.category}:{key}"


class Change(Struct, Generic[S], frozen=True, kw_only=True):
    """Events to append to one stream, provided that the stream is still at `version`."""

    kind: Kind[S]
    key: str
    version: int
    state: S | None
    events: tuple[Struct, ...]


class Versioned(Struct, Generic[S], frozen=True, kw_only=True):
    """An aggregate as it was at `version`; 0 and None if its stream has no events."""

    kind: Kind[S]
    key: str
    version: int = 0
    state: S | None = None

    def then(self, events: Iterable[Struct]) -> Change[S]:
        """Return the change that appends `events` to what was loaded."""
        return Change(
            kind=self.kind, key=self.key, version=self.version, state=self.state, events=tuple(events)
        )

    def evolved(self, events: Iterable[Struct]) -> "Versioned[S]":
        """Return the aggregate as it is after `events`."""
        after = self
        for event in events:
            state = self.kind.evolve(after.state, event)
            after = replace(after, version=after.version + 1, state=state)
        return after


def composed_key(*parts: str) -> str:
    """Return the key of a stream that is named by several ids.

    It is the base64url SHA-256 of the parts, each prefixed with its length, so that no two lists collide.
    """
    return sha256(length_prefixed(*parts))
