"""One line of the log, as SQL takes it and as the library knows it."""

from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from grantledger.adapters.ledger.envelope import Envelope
from grantledger.adapters.ledger.mapper import CODEC
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import insertion

INSERT_EVENT = insertion(events)

_NO_ENVELOPE = (None,) * 11
_URN = "urn:uuid:"


def line(
    position: int, realm: str, stored: StoredEvent, envelope: Envelope | None, index: int
) -> tuple[Any, ...]:
    """Return the parameters of `INSERT_EVENT` for the event at `index` of its append."""
    stream_id = stream_id_of(stored.originator_id)
    category, colon, _ = stream_id.partition(":")
    return (
        position,
        realm,
        category if colon else None,
        stream_id,
        stored.originator_version,
        stored.topic,
        *(_NO_ENVELOPE if envelope is None else _beside(envelope, index)),
        stored.state,
    )


def _beside(envelope: Envelope, index: int) -> tuple[Any, ...]:
    return (
        envelope.event_ids[index],
        envelope.append_id,
        envelope.event_ids[0] if index else None,
        envelope.recorded_at,
        envelope.actor_kind,
        envelope.actor_id,
        envelope.client_id,
        envelope.correlation_id,
        envelope.trace_id,
        envelope.address_digest,
        CODEC,
    )


def stream_id_of(originator_id: UUID | str) -> str:
    """The library also names streams by UUID: as a URN one comes back as what it was."""
    return originator_id.urn if isinstance(originator_id, UUID) else originator_id


def originator_id_of(stream_id: str) -> UUID | str:
    return UUID(stream_id) if stream_id.startswith(_URN) else stream_id
