"""One line of the log, as SQL takes it and as the library knows it."""

from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from grantledger.adapters.ledger.bulk import repeated
from grantledger.adapters.ledger.envelope import Beside
from grantledger.adapters.ledger.mapper import CODEC
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import insertion

INSERT_EVENT = repeated(insertion(events))

_NO_ENVELOPE = (None,) * 10
_URN = "urn:uuid:"


def line(position: int, realm: str, stored: StoredEvent, beside: Beside | None) -> tuple[Any, ...]:
    """Return the event's line, as `INSERT_EVENT` takes it."""
    stream_id = stream_id_of(stored.originator_id)
    category, colon, _ = stream_id.partition(":")
    return (
        position,
        realm,
        category if colon else None,
        stream_id,
        stored.originator_version,
        stored.topic,
        *(_NO_ENVELOPE if beside is None else beside),
        None if beside is None else CODEC,
        stored.state,
    )


def stream_id_of(originator_id: UUID | str) -> str:
    """The library also names streams by UUID: as a URN one comes back as what it was."""
    return originator_id.urn if isinstance(originator_id, UUID) else originator_id


def originator_id_of(stream_id: str) -> UUID | str:
    return UUID(stream_id) if stream_id.startswith(_URN) else stream_id
