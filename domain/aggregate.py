"""What all aggregates have in common: a category, a closed set of events, and one fold."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct

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
    """Events to append to one stream, on condition that it is still at `version`.

    Without events it only asserts that version. `state` is the stream folded after the events.
    """

    kind: Kind[S]
    key: str
    version: int
    state: S | None
    events: tuple[Struct, ...] = ()

    @property
    def after(self) -> "Versioned[S]":
        """The aggregate once the change is recorded."""
        return Versioned(
            kind=self.kind, key=self.key, version=self.version + len(self.events), state=self.state
        )


class Versioned(Struct, Generic[S], frozen=True, kw_only=True):
    """An aggregate at `version`. Before the first event, the version is 0 and there is no state.

    A version without state is a finished stream: it can get no more events, and its row was deleted.
    """

    kind: Kind[S]
    key: str
    version: int = 0
    state: S | None = None

    @property
    def is_finished(self) -> bool:
        return self.state is None and self.version > 0

    def then(self, events: Iterable[Struct]) -> Change[S]:
        """Return the change that appends `events` to this aggregate. They are folded only once, here."""
        events = tuple(events)
        assert not (events and self.is_finished), "a finished stream can get no more events"
        state = self.state
        for event in events:
            state = self.kind.evolve(state, event)
        return Change(kind=self.kind, key=self.key, version=self.version, state=state, events=events)

    def unchanged(self) -> Change[S]:
        """Return the assertion that nothing was appended since this was loaded."""
        return Change(kind=self.kind, key=self.key, version=self.version, state=self.state)

    def evolved(self, events: Iterable[Struct]) -> "Versioned[S]":
        """Return the aggregate as it is after `events`."""
        return self.then(events).after


def composed_key(*parts: str) -> str:
    """Return the key of a stream that is named by several ids.

    It is the base64url SHA-256 of the parts, each prefixed with its length, so that no two lists collide.
    """
    return sha256(length_prefixed(*parts))
