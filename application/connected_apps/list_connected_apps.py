from collections.abc import Iterable

from msgspec import Struct

from grantledger.application.ports import Clock, Ledger, Listings
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.consent import Consent
from grantledger.domain.token_grant import Access, TokenGrant

_MAX_PAGES = 10
"""Of a user's consents, and of the grants for each client, at most 2,000 are read."""


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

    def __init__(self, ledger: Ledger, listings: Listings, clock: Clock) -> None:
        self._ledger = ledger
        self._listings = listings
        self._clock = clock

    async def __call__(self, user_id: str) -> tuple[ConnectedApp, ...]:
        """Return the apps, the most recently connected first."""
        apps = [await self._app(consent) for consent in await self._consents(user_id)]
        shown = [app for app in apps if app is not None]
        return tuple(sorted(shown, key=lambda app: app.since or 0, reverse=True))

    async def _consents(self, user_id: str) -> list[Consent]:
        # Every grant has a consent, so the consents name all clients.
        consents: list[Consent] = []
        after: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._listings.consents(user_id, after=after)
            consents += [item.state for item in page.items if item.state is not None]
            after = page.after
            if after is None:
                break
        return consents

    async def _grants(self, user_id: str, client_id: str) -> list[TokenGrant]:
        grants: list[TokenGrant] = []
        after: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._listings.grants(client_id=client_id, user_id=user_id, after=after)
            grants += [item.state for item in page.items if item.state is not None]
            after = page.after
            if after is None:
                break
        return grants

    async def _app(self, given: Consent) -> ConnectedApp | None:
        client = (await self._ledger.load(CLIENT, given.client_id)).state
        if client is None or client.deleted:
            return None
        consent = given if given.client_registration == client.registration else None
        grants = await self._grants(given.user_id, given.client_id)
        now = self._clock.now()
        alive = [g for g in grants if g.client_registration == client.registration and g.is_usable(now=now)]
        if not alive and (consent is None or not consent.allowed):
            return None
        refreshed = [grant.issued_at for grant in alive if grant.generation > 0]
        return ConnectedApp(
            client=client,
            hosts=tuple(dict.fromkeys(host for host, _, _ in consent.allowed)) if consent else (),
            access=_merged(_allowed(alive, consent)),
            connections=len(alive),
            since=min((grant.opened_at for grant in alive), default=None),
            last_refresh=max(refreshed, default=None),
        )


def _allowed(alive: list[TokenGrant], consent: Consent | None) -> Iterable[Access]:
    remembered = consent.allowed if consent else ()
    return [
        *(grant.consented for grant in alive),
        *(Access(resource, scopes) for _, resource, scopes in remembered),
    ]


def _merged(allowed: Iterable[Access]) -> tuple[Access, ...]:
    """Return one `Access` per resource, with the scopes merged."""
    scopes: dict[str, dict[str, None]] = {}
    for access in allowed:
        scopes.setdefault(access.resource, {}).update(dict.fromkeys(access.scopes))
    return tuple(Access(resource, tuple(of)) for resource, of in scopes.items())
