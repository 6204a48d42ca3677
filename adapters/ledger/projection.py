"""From events to rows, pure: the live append and the replay use the same functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.kinds import KINDS

FOLDS: dict[str, int] = {
    "client": 2,
    "code": 2,
    "grant": 1,
    "consent": 2,
    "user": 3,
    "signin": 2,
    "keys": 1,
    "secrets": 1,
}
"""By category, the number of the way in which events are folded, kept in each row.

Raised with every change to a state, an `evolve` or the set of tags of a kind. A row with another number
was folded by another release, which may know less or more than this one: it is not believed but folded
again from its events, and an event of an unknown tag is met instead of overlooked.
"""

_COLUMNS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "client": lambda client: (client.registered_at,),
    "code": lambda code: (code.transaction_id,),
    "consent": lambda consent: (consent.user_id,),
    "grant": lambda grant: (grant.client_id, grant.user_id, grant.opened_at),
    "user": lambda user: (user.opened_at,),
}
_DECODERS = {category: msgspec.json.Decoder(kind.state) for category, kind in KINDS.items()}
_encode = msgspec.json.Encoder().encode


class Row(NamedTuple):
    """One stream as the read model holds it; `columns` are those that only its table has."""

    category: str
    key: str
    version: int
    fold: int
    columns: tuple[Any, ...]
    state: bytes


class RowChange(NamedTuple):
    """A row and the version of the one it replaces, 0 for none."""

    row: Row
    replaces: int


def row(kind: Kind[Any], key: str, version: int, state: Any) -> Row:
    """Return the row of a stream that is at `version`, where its events fold to `state`."""
    columns = _COLUMNS.get(kind.category)
    return Row(
        kind.category, key, version, FOLDS[kind.category], columns(state) if columns else (), _encode(state)
    )


def row_change(change: Change[Any]) -> RowChange:
    """Return what the change does to its stream's row."""
    before = Versioned(kind=change.kind, key=change.key, version=change.version, state=change.state)
    after = before.evolved(change.events)
    return RowChange(row(change.kind, change.key, after.version, after.state), change.version)


def state_of(category: str, state: bytes) -> Any:
    """Return the state that a row of this release's fold holds."""
    return _DECODERS[category].decode(state)
