"""Who caused an event, in which request: stored with each event, outside of its data."""

from msgspec import Struct


class Caller(Struct, frozen=True, kw_only=True):
    """The request that caused an event. The address is stored only as a keyed digest.

    `operator` is the id of the operator who acts, where one does.
    """

    correlation_id: str
    trace_id: str | None = None
    address: str | None = None
    operator: str | None = None


class Provenance(Struct, frozen=True, kw_only=True):
    """Who acted (`actor_kind` is client, user, operator or system), for which client, in which request."""

    actor_kind: str
    actor_id: str | None
    caller: Caller
    client_id: str | None = None


def by_client(client_id: str, caller: Caller) -> Provenance:
    return Provenance(actor_kind="client", actor_id=client_id, client_id=client_id, caller=caller)


def by_user(user_id: str, caller: Caller, *, client_id: str | None = None) -> Provenance:
    return Provenance(actor_kind="user", actor_id=user_id, client_id=client_id, caller=caller)


def by_system(caller: Caller) -> Provenance:
    return Provenance(actor_kind="system", actor_id=None, caller=caller)


def by_operator(caller: Caller, *, client_id: str | None = None) -> Provenance:
    return Provenance(actor_kind="operator", actor_id=caller.operator, client_id=client_id, caller=caller)
