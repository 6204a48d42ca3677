"""Adding and removing resources, and the secrets of their servers. Running servers need no restart."""

from collections.abc import Callable

from msgspec import Struct

from grantledger.application.keys.signing_keys import MakeSigningKeys
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Randomness
from grantledger.application.provenance import Caller, by_operator
from grantledger.application.resources.catalogue import Catalogue
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.absolute_uri import parse
from grantledger.domain.digests import digest
from grantledger.domain.limits import MAX_SCOPE, is_longer
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource import (
    ALL_RESOURCES,
    ID_PREFIX,
    RESOURCES,
    SECRET_PREFIX,
    Event,
    HeldResource,
    Resources,
)
from grantledger.domain.resource_indicator import Resource, checked_identifier, same
from grantledger.domain.scope import checked_token
from grantledger.domain.signing_keys import ALGORITHMS

SECRET_OVERLAP = 3_600
"""Seconds for which the previous secret of a resource's server or of a client is accepted."""


MAX_NAME = 200
"""Maximum number of bytes of a resource's name."""


class ResourceOnIssuer(Refusal):
    """The resource is on the issuer's origin, where only the settings can name one."""


class NewResourceSecret(Struct, frozen=True, kw_only=True):
    """A resource with the secret of its server, which is stored only as a digest."""

    resource: HeldResource
    secret: str


class AddResource:
    """Offer a resource and make credentials for its server. One of the settings gets only the credentials."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        randomness: Randomness,
        policy: ServerPolicy,
        catalogue: Catalogue,
        make_signing_keys: MakeSigningKeys,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness
        self._issuer = policy.issuer
        self._configured = tuple(each.identifier for each in policy.resources)
        self._catalogue = catalogue
        self._make_signing_keys = make_signing_keys

    async def __call__(self, resource: Resource, caller: Caller) -> NewResourceSecret:
        """Raises `ResourceKnown`, `TooManyResources`, `ResourceOnIssuer`.

        Raises `ValueError` for an invalid identifier, scope or algorithm, and for too long a name.
        """
        checked_identifier(resource.identifier)
        for what, text, limit in (
            ("name", resource.name, MAX_NAME),
            ("scopes", " ".join(resource.scopes), MAX_SCOPE),
        ):
            if is_longer(text, limit):
                raise ValueError(f"the {what} of a resource must have at most {limit} bytes")
        for token in resource.scopes:
            checked_token(token)
        if resource.jwt not in (None, *ALGORITHMS):
            raise ValueError(f"{resource.jwt!r} is not an algorithm of JWTs")
        in_settings = any(same(resource.identifier, each) for each in self._configured)
        # For a resource on our own origin we serve the metadata (RFC 9728): only the settings add its route.
        if not in_settings and parse(resource.identifier).origin == parse(self._issuer).origin:
            raise ResourceOnIssuer(
                f"{resource.identifier!r} is on the origin of the issuer: name it in the settings"
            )
        if resource.jwt is not None and not in_settings:  # others get keys at the start
            await self._make_signing_keys(caller, (resource.jwt,))
        # The prefix keeps the command line from taking an id that begins with a dash for an option.
        resource_id = self._randomness.token(ID_PREFIX, size=12)
        secret = self._randomness.token(SECRET_PREFIX)
        after = await _recorded(
            self._ledger,
            lambda resources: resources.add(
                resource,
                configured=self._configured,
                resource_id=resource_id,
                secret_digest=digest(secret),
                now=self._clock.now(),
            ),
            caller,
        )
        self._catalogue.forget()
        return NewResourceSecret(resource=after.find(resource_id), secret=secret)


class RotateResourceSecret:
    """Make another secret for the server of a resource."""

    def __init__(self, ledger: Ledger, clock: Clock, randomness: Randomness) -> None:
        self._ledger = ledger
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, named: str, caller: Caller, *, compromised: bool = False) -> NewResourceSecret:
        """Return the new secret of the resource with that identifier or id.

        The previous secret is accepted for another hour, so that servers can be changed one by one; if it is
        `compromised`, it is refused at once. Raises `ResourceUnknown`.
        """
        secret = self._randomness.token(SECRET_PREFIX)
        after = await _recorded(
            self._ledger,
            lambda resources: resources.rotate_secret(
                named,
                secret_digest=digest(secret),
                overlap=0 if compromised else SECRET_OVERLAP,
                now=self._clock.now(),
            ),
            caller,
        )
        return NewResourceSecret(resource=after.find(named), secret=secret)


class RemoveResource:
    """Remove a resource: its tokens and the credentials of its server are refused from then on."""

    def __init__(self, ledger: Ledger, clock: Clock, catalogue: Catalogue) -> None:
        self._ledger = ledger
        self._clock = clock
        self._catalogue = catalogue

    async def __call__(self, named: str, caller: Caller) -> None:
        """Remove the resource with that identifier or id.

        If the settings name the resource, only its credentials are removed. Raises `ResourceUnknown`.
        """
        await _recorded(
            self._ledger, lambda resources: resources.remove(named, now=self._clock.now()), caller
        )
        self._catalogue.forget()


async def _recorded(
    ledger: Ledger, decision: Callable[[Resources], tuple[Event, ...]], caller: Caller
) -> Resources:
    """Apply the decision to the resources of the ledger, record it, and return the changed resources."""

    async def attempt() -> Resources:
        loaded = await ledger.load(RESOURCES, ALL_RESOURCES)
        change = loaded.then(decision(loaded.state or Resources()))
        await ledger.record([change], by_operator(caller))
        assert change.state is not None
        return change.state

    return await retry_on_conflict(attempt)
