"""A user's consent for one client: the allowed scopes by redirect host and resource."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind, composed_key


class Asked(Struct, frozen=True, kw_only=True, array_like=True):
    """What a consent page asks for: client registration, redirect host, resource and scopes."""

    client_registration: int
    redirect_host: str
    resource: str
    scopes: tuple[str, ...]


class ConsentGiven(Struct, frozen=True, kw_only=True, array_like=True, tag="consent.given.v1"):
    """The user allowed a client these scopes at one resource, for responses to one redirect host.

    They add to the scopes that were allowed before.
    """

    user_id: str
    client_id: str
    client_registration: int
    redirect_host: str
    resource: str
    scopes: tuple[str, ...]
    given_at: int


class ConsentWithdrawn(Struct, frozen=True, kw_only=True, array_like=True, tag="consent.withdrawn.v1"):
    """The user disconnected the client, which withdraws all consent: the client has to ask again."""

    withdrawn_at: int


Event = ConsentGiven | ConsentWithdrawn


class Consent(Struct, frozen=True, kw_only=True, array_like=True):
    """All consent of one user for one registration of a client.

    `allowed` lists (redirect host, resource, scopes).
    """

    user_id: str
    client_id: str
    client_registration: int
    allowed: tuple[tuple[str, str, tuple[str, ...]], ...]

    def covers(self, asked: Asked) -> bool:
        """Whether the user has already consented to all of this."""
        same_client = asked.client_registration == self.client_registration
        return same_client and set(asked.scopes) <= set(self.allowed_before(asked))

    def allowed_before(self, asked: Asked) -> tuple[str, ...]:
        """Return the scopes that the same client has been allowed for the same redirect host and resource."""
        if asked.client_registration != self.client_registration:
            return ()
        return self.scopes(asked.redirect_host, asked.resource)

    def scopes(self, redirect_host: str, resource: str) -> tuple[str, ...]:
        """Return the scopes allowed for this redirect host and resource."""
        by_target = {(host, at): scopes for host, at, scopes in self.allowed}
        return by_target.get((redirect_host, resource), ())

    @property
    def redirect_hosts(self) -> frozenset[str]:
        """The redirect hosts for which the user has given consent."""
        return frozenset(host for host, _, _ in self.allowed)

    def withdraw(self, *, now: int) -> tuple[Event, ...]:
        """Withdraw all consent, so that the client has to ask again."""
        return (ConsentWithdrawn(withdrawn_at=now),) if self.allowed else ()


def give(
    consent: Consent | None, asked: Asked, *, user_id: str, client_id: str, now: int
) -> tuple[Event, ...]:
    """Give consent. Returns no events if the consent already covers it."""
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
    """Return what is allowed after the event.

    The scopes of the event are added to those allowed before for the same redirect host and resource.
    """
    if consent is None or consent.client_registration != event.client_registration:
        return ((event.redirect_host, event.resource, event.scopes),)
    before = consent.scopes(event.redirect_host, event.resource)
    scopes = before + tuple(scope for scope in event.scopes if scope not in before)
    target = (event.redirect_host, event.resource)
    others = tuple(entry for entry in consent.allowed if entry[:2] != target)
    return (*others, (*target, scopes))


def consent_key(user_id: str, client_id: str) -> str:
    """Return the key of the consent stream of this user and client."""
    return composed_key(user_id, client_id)


CONSENT: Kind[Consent] = Kind(
    category="consent", state=Consent, events=(ConsentGiven, ConsentWithdrawn), evolve=evolve
)
