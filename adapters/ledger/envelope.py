"""What is kept beside each event: which append it belongs to, who caused it, when and from where."""

from typing import NamedTuple


class Envelope(NamedTuple):
    """Of one append. `event_ids` has one id per event; the first event is the cause of the others."""

    append_id: bytes
    event_ids: tuple[bytes, ...]
    recorded_at: int
    """Microseconds since 1970, UTC; says nothing about order, positions do."""
    actor_kind: str
    actor_id: str | None
    client_id: str | None
    correlation_id: str
    trace_id: str | None
    address_digest: bytes | None
