"""What a user has allowed a client, per resource."""

from typing import assert_never

from msgspec import Struct

from grantledger.domain.aggregate import Kind, composed_key


class ConsentGiven(Struct, frozen=True, kw_only=True, tag="consent.given.v1"):
    user_id: str
    client_id: str
    client_registration: int
    resource: str
    scopes: tuple[str, ...]
    given_at: int


Event = ConsentGiven


class Consent(Struct, frozen=True, kw_only=True):
    """All that one user has allowed one registration of a client."""

    user_id: str
    client_id: str
    client_registration: int
    allowed: dict[str, tuple[str, ...]]

    def covers(self, *, client_registration: int, resource: str, scopes: tuple[str, ...]) -> bool:
        """Whether the user has already said yes to all of this."""
        same_client = client_registration == self.client_registration
        return same_client and set(scopes) <= set(self.allowed.get(resource, ()))


def give(
    consent: Consent | None,
    *,
    user_id: str,
    client_id: str,
    client_registration: int,
    resource: str,
    scopes: tuple[str, ...],
    now: int,
) -> tuple[Event, ...]:
    """Remember that the user said yes, or nothing when that was remembered before."""
    if consent is not None and consent.covers(
        client_registration=client_registration, resource=resource, scopes=scopes
    ):
        return ()
    return (
        ConsentGiven(
            user_id=user_id,
            client_id=client_id,
            client_registration=client_registration,
            resource=resource,
            scopes=scopes,
            given_at=now,
        ),
    )


def evolve(consent: Consent | None, event: Event) -> Consent:
    match event:
        case ConsentGiven():
            same = consent is not None and consent.client_registration == event.client_registration
            allowed = dict(consent.allowed) if consent is not None and same else {}
            # A later yes adds to an earlier one: consenting to less elsewhere takes nothing away.
            before = allowed.get(event.resource, ())
            allowed[event.resource] = before + tuple(s for s in event.scopes if s not in before)
            return Consent(
                user_id=event.user_id,
                client_id=event.client_id,
                client_registration=event.client_registration,
                allowed=allowed,
            )
        case _:
            assert_never(event)


def consent_key(user_id: str, client_id: str) -> str:
    """Return the key of the consent stream of this user and client."""
    return composed_key(user_id, client_id)


CONSENT: Kind[Consent] = Kind(category="consent", state=Consent, events=(ConsentGiven,), evolve=evolve)
