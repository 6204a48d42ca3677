"""What is kept beside each event: which append it belongs to, who caused it, when and from where."""

from typing import Any, NamedTuple

Beside = tuple[Any, ...]
"""Of one event: the columns of the log from `event_id` to `address_digest`, in their order."""


class Envelope(NamedTuple):
    """Of one append. `event_ids` has one id per event; the first event is the cause of the others."""

    append_id: bytes
    event_ids: tuple[bytes, ...]
    actor_kind: str
    actor_id: str | None
    client_id: str | None
    correlation_id: str
    trace_id: str | None
    address_digest: bytes | None

    def beside(self, recorded_at: int) -> list[Beside]:
        """Return what is kept beside each event of the append.

        `recorded_at`: microseconds since 1970, UTC, when nobody could write before it any more; says nothing
        about order, positions do.
        """
        first = self.event_ids[0]
        shared = (
            recorded_at,
            self.actor_kind,
            self.actor_id,
            self.client_id,
            self.correlation_id,
            self.trace_id,
            self.address_digest,
        )
        return [
            (event_id, self.append_id, None if event_id is first else first, *shared)
            for event_id in self.event_ids
        ]
