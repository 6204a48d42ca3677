"""Pure functions from events to rows, which the live append, the replay and the rebuild share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from grantledger.adapters.ledger.events import Parties
from grantledger.domain.aggregate import Kind
from grantledger.domain.kinds import KINDS
from grantledger.domain.token_grant import TokenGrant

FOLDS: dict[str, int] = dict.fromkeys(KINDS, 1) | {"client": 3, "grant": 3, "keys": 2, "user": 4}
"""By category, the number of the current fold, which each row holds.

Raised with every change to a state, an `evolve` or the set of tags of a kind. A row with another number was
folded by another release: it is folded again from its events, so that an unknown tag is noticed.
"""

_COLUMNS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "client": lambda client: (client.registered_at, int(client.may_be_pruned)),
    "code": lambda code: (code.client_id, code.user_id, code.expires_at),
    "grant": lambda grant: (
        grant.client_id,
        grant.user_id,
        grant.client_registration,
        grant.opened_at,
        grant.issued_at if grant.generation else 0,
        _grant_ends(grant),
    ),
    "consent": lambda consent: (consent.user_id, consent.client_id),
    "user": lambda user: (user.opened_at,),
    "signin": lambda session: (session.user_id, session.expires_at),
    "keys": lambda _: (),
    "secrets": lambda _: (),
    "regtokens": lambda _: (),
    "resources": lambda _: (),
}
"""By category, the values of the columns that only its table has."""

_PARTIES: dict[str, Callable[[Any], Parties]] = {
    "client": lambda client: Parties(client_id=client.client_id),
    "code": lambda code: Parties(code.client_id, code.user_id),
    "grant": lambda grant: Parties(grant.client_id, grant.user_id),
    "consent": lambda consent: Parties(consent.client_id, consent.user_id),
    "user": lambda user: Parties(user_id=user.user_id),
    "signin": lambda session: Parties(user_id=session.user_id),
    "keys": lambda _: Parties(),
    "secrets": lambda _: Parties(),
    "regtokens": lambda _: Parties(),
    "resources": lambda _: Parties(),
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

    def values(self, realm: str) -> tuple[Any, ...]:
        """Return the columns of its table in their order."""
        return (realm, self.key, self.version, self.fold, *self.columns, self.state)


class Retention(NamedTuple):
    """How long rows are kept that can never be used again, in seconds.

    Codes and browser sessions go once they have expired, grants `ended_grants` later. The log keeps them all.
    """

    ended_grants: int = 30 * 86_400

    def horizons(self, now: int) -> dict[str, int]:
        """Return by category the second before which a row that ended may be deleted."""
        return {"code": now, "signin": now, "grant": now - self.ended_grants}

    def is_over(self, category: str, state: Any, *, now: int) -> bool:
        """Whether the row of this state may be missing from the read model."""
        horizon = self.horizons(now).get(category)
        return horizon is not None and _COLUMNS[category](state)[-1] <= horizon


RETENTION = Retention()


def row_of(kind: Kind[Any], key: str, version: int, state: Any) -> Row:
    """Return the row of a stream that is at `version`, where its events fold to `state`."""
    category = kind.category
    return Row(category, key, version, FOLDS[category], _COLUMNS[category](state), _encode(state))


def parties_of(kind: Kind[Any], state: Any) -> Parties:
    """Return whom the stream is about."""
    return _PARTIES[kind.category](state)


def state_of(category: str, state: bytes) -> Any:
    """Return the state that a row of this release's fold holds."""
    return _DECODERS[category].decode(state)


def _grant_ends(grant: TokenGrant) -> int:
    """Return the second from which no token of the grant is accepted."""
    if grant.revoked_at is not None:
        return grant.revoked_at
    access_expires_at = grant.access_expires_at if grant.generation > grant.access_revoked_through else 0
    return max(access_expires_at, grant.refresh_expires_at or 0) or grant.issued_at
