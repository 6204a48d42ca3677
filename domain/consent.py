"""What a user has allowed a client, per resource."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind, composed_key


class Asked(Struct, frozen=True, kw_only=True):
    """All that a consent page names: for which registration of the client, where to, what for, where at."""

    client_registration: int
    redirect_host: str
    resource: str
    scopes: tuple[str, ...]


class ConsentGiven(Struct, frozen=True, kw_only=True, tag="consent.given.v1"):
    """The user allowed a client these scopes at one resource, for answers to one host.

    It adds to what was allowed before.
    """

    user_id: str
    client_id: str
    client_registration: int
    redirect_host: str
    resource: str
    scopes: tuple[str, ...]
    given_at: int


class ConsentWithdrawn(Struct, frozen=True, kw_only=True, tag="consent.withdrawn.v1"):
    """The user disconnected the client: all that was allowed is forgotten, and it has to ask again."""

    withdrawn_at: int


Event = ConsentGiven | ConsentWithdrawn


class Consent(Struct, frozen=True, kw_only=True):
    """All that one user has allowed one registration of a client: scopes by redirect host and resource."""

    user_id: str
    client_id: str
    client_registration: int
    allowed: tuple[tuple[str, str, tuple[str, ...]], ...]

    def covers(self, asked: Asked) -> bool:
        """Whether the user has already seen and allowed all of this."""
        same_client = asked.client_registration == self.client_registration
        return same_client and set(asked.scopes) <= set(self.scopes(asked.redirect_host, asked.resource))

    def scopes(self, redirect_host: str, resource: str) -> tuple[str, ...]:
        """Return what was allowed to go to that host, for that resource."""
        places = {(host, at): scopes for host, at, scopes in self.allowed}
        return places.get((redirect_host, resource), ())

    def withdraw(self, *, now: int) -> tuple[Event, ...]:
        """Forget every yes, so that the client has to ask again for anything."""
        return (ConsentWithdrawn(withdrawn_at=now),) if self.allowed else ()


def give(
    consent: Consent | None, asked: Asked, *, user_id: str, client_id: str, now: int
) -> tuple[Event, ...]:
    """Remember that the user said yes, or nothing when that was remembered before."""
    if consent is not None and consent.covers(asked):
        return ()
    return (
        ConsentGiven(
            user_id=user_id,
            client_id=client_id,
            client_registration=asked.client_registration,
            redirect_host=asked.redirect_host,
            resource=asked.resource,
            scopes=asked.scopes,
            given_at=now,
        ),
    )


def evolve(consent: Consent | None, event: Event) -> Consent:
    match event:
        case ConsentGiven():
            return Consent(
                user_id=event.user_id,
                client_id=event.client_id,
                client_registration=event.client_registration,
                allowed=_allowed(consent, event),
            )
        case ConsentWithdrawn():
            assert consent is not None
            return replace(consent, allowed=())
        case _:
            assert_never(event)


def _allowed(consent: Consent | None, event: ConsentGiven) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Add a later yes to the earlier ones: consenting to less elsewhere takes nothing away."""
    if consent is None or consent.client_registration != event.client_registration:
        return ((event.redirect_host, event.resource, event.scopes),)
    before = consent.scopes(event.redirect_host, event.resource)
    scopes = before + tuple(scope for scope in event.scopes if scope not in before)
    here = (event.redirect_host, event.resource)
    others = tuple(place for place in consent.allowed if place[:2] != here)
    return (*others, (*here, scopes))


def consent_key(user_id: str, client_id: str) -> str:
    """Return the key of the consent stream of this user and client."""
    return composed_key(user_id, client_id)


CONSENT: Kind[Consent] = Kind(
    category="consent", state=Consent, events=(ConsentGiven, ConsentWithdrawn), evolve=evolve
)
