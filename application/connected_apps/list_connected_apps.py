from msgspec import Struct

from grantledger.application.ports import AppFacts, Clock, DecisionReader
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.token_grant import Access


class ConnectedApp(Struct, frozen=True, kw_only=True):
    """A client and what the user has allowed it. Times are seconds since 1970, UTC.

    `connections` is the number of usable grants. If it is 0, only remembered consent is left.
    """

    client: ClientRegistration
    hosts: tuple[str, ...]
    access: tuple[Access, ...]
    connections: int
    since: int | None
    last_refresh: int | None


class ListConnectedApps:
    """List the clients that have a usable grant or remembered consent of a user."""

    def __init__(self, facts: DecisionReader, clock: Clock) -> None:
        self._facts = facts
        self._clock = clock

    async def __call__(self, user_id: str) -> tuple[ConnectedApp, ...]:
        """Return the apps, the most recently connected first, at most 200."""
        found = await self._facts.connected_apps(user_id, now=self._clock.now())
        return tuple(app for facts in found if (app := _shown(facts)) is not None)


def _shown(facts: AppFacts) -> ConnectedApp | None:
    """Return the app, or None if the client was deleted, or has neither a grant nor consent any more."""
    client, consent = facts.client, facts.consent
    # Every grant comes from consent to the same registration, so the consent lists what all of them may do.
    allowed = consent.allowed if consent.client_registration == client.registration else ()
    if client.deleted or not (facts.connections or allowed):
        return None
    return ConnectedApp(
        client=client,
        hosts=tuple(dict.fromkeys(host for host, _, _ in allowed)),
        access=_merged(allowed),
        connections=facts.connections,
        since=facts.since,
        last_refresh=facts.last_refresh,
    )


def _merged(allowed: tuple[tuple[str, str, tuple[str, ...]], ...]) -> tuple[Access, ...]:
    """Return one `Access` per resource, with the scopes merged."""
    scopes: dict[str, dict[str, None]] = {}
    for _, resource, some in allowed:
        scopes.setdefault(resource, {}).update(dict.fromkeys(some))
    return tuple(Access(resource, tuple(of)) for resource, of in scopes.items())
