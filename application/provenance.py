"""Who caused an event, and in which request. It is stored in the envelope of the event."""

from msgspec import Struct


class Caller(Struct, frozen=True, kw_only=True):
    """The request that caused an event. The address is stored only as a keyed digest.

    `operator` is the id of the operator who acts, if one does.
    """

    correlation_id: str
    trace_id: str | None = None
    address: str | None = None
    operator: str | None = None


class Provenance(Struct, frozen=True, kw_only=True):
    """Who acted, and in which request. `actor_kind` is client, user, operator or system."""

    actor_kind: str
    actor_id: str | None
    caller: Caller


def by_client(client_id: str, caller: Caller) -> Provenance:
    return Provenance(actor_kind="client", actor_id=client_id, caller=caller)


def by_user(user_id: str, caller: Caller) -> Provenance:
    return Provenance(actor_kind="user", actor_id=user_id, caller=caller)


def by_system(caller: Caller) -> Provenance:
    return Provenance(actor_kind="system", actor_id=None, caller=caller)


def by_operator(caller: Caller) -> Provenance:
    return Provenance(actor_kind="operator", actor_id=caller.operator, caller=caller)
