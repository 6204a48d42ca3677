from msgspec.structs import replace

from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Ledger, Unavailable
from grantledger.domain.authorization_request import Askable
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.offer import NoLongerOffered, Offer
from grantledger.domain.resource import ALL_RESOURCES, RESOURCES, Resources
from grantledger.domain.resource_indicator import Resource, ResourceForeign, resolve, same


class Offered:
    """The resources at one moment, the default one first."""

    def __init__(self, policy: ServerPolicy) -> None:
        self.resources: dict[str, Resource] = {each.identifier: each for each in policy.resources}
        self.offer: Offer = policy.offer
        self.askable: Askable = policy.askable
        self._access_token_lifetime = policy.access_token_lifetime

    def has(self, identifiers: tuple[str, ...]) -> bool:
        """Whether the identifiers name one of the resources. True if there are no identifiers."""
        if self.offer.resources.issuperset(identifiers):
            return True
        try:
            resolve(identifiers, configured=tuple(self.resources))
        except ResourceForeign:
            return False
        return True

    def access_token_lifetime(self, identifier: str, client: ClientRegistration) -> int:
        """Return how long an access token is valid: the shortest of the server's, resource's and client's."""
        limits = (
            self._access_token_lifetime,
            self.resource(identifier).access_token_expires_in,
            client.access_token_lifetime,
        )
        return min(limit for limit in limits if limit is not None)

    def resource(self, identifier: str) -> Resource:
        """Return the resource with that identifier, perhaps in another spelling. Raises `NoLongerOffered`."""
        found = self.resources.get(identifier)
        if found is not None:
            return found
        for each in self.resources.values():
            if same(identifier, each.identifier):
                return each
        raise NoLongerOffered("the resource is not configured any more")

    def name_of(self, identifier: str) -> str:
        """Return the resource's name for people, or its identifier."""
        resource = self.resources.get(identifier)
        return resource.name or identifier if resource is not None else identifier


class Catalogue:
    """Every resource that is offered: those of the settings, and those that commands have added.

    A resource of the settings needs no read. The ledger is read at most once a second, and once more for a
    resource that is not known yet. So an added resource is known at once, and a removed one is refused within
    a second (ADR 0063).
    """

    def __init__(self, ledger: Ledger, clock: Clock, policy: ServerPolicy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._policy = policy
        self._in_settings = Offered(policy)
        self._latest = self._in_settings
        self._version = 0
        self._read_at: int | None = None

    @property
    def latest(self) -> Offered:
        """What was read last. It is good enough for names on pages, and for discovery during an outage."""
        return self._latest

    async def names(self) -> dict[str, str]:
        """Return the names of all resources by identifier; in an outage, those that were read last."""
        try:
            offered = await self.all()
        except Unavailable:
            offered = self._latest
        return {identifier: offered.name_of(identifier) for identifier in offered.resources}

    async def including(self, identifiers: tuple[str, ...]) -> Offered:
        """Return what is offered. For these resources it is as current as `all`; others may be missing.

        Raises `Unavailable`.
        """
        if self._in_settings.has(identifiers):
            return self._in_settings
        return await self.all() if self._latest.has(identifiers) else await self._read()

    async def all(self) -> Offered:
        """Return everything that is offered, as it was at most a second ago. Raises `Unavailable`."""
        return self._latest if self._read_at == self._clock.now() else await self._read()

    def forget(self) -> None:
        """Read again at the next request."""
        self._read_at = None

    async def _read(self) -> Offered:
        now = self._clock.now()
        loaded = await self._ledger.load(RESOURCES, ALL_RESOURCES)
        if loaded.version != self._version:
            self._latest, self._version = self._merged(loaded.state or Resources()), loaded.version
        self._read_at = now
        return self._latest

    def _merged(self, held: Resources) -> Offered:
        # The first resource of the settings is the default one. If both name a resource, the settings win.
        taken = self._in_settings.offer
        added = [each for each in held.added if not taken.has(each.identifier)]
        return Offered(replace(self._policy, resources=(*self._policy.resources, *added)))
