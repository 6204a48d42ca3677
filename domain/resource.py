"""Resources that operators add by command, and the credentials of the servers of all resources.

The settings name resources too. For those, the ledger holds only the credentials.
"""

import hmac
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain import resource_indicator
from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal
from grantledger.domain.resource_indicator import Resource

ALL_RESOURCES = "all"
"""The key of the one stream of all resources."""

ID_PREFIX = "glr_"
"""The prefix of a resource's id. The resource's server authenticates with this id and a secret."""

SECRET_PREFIX = "glrs_"

MAX_RESOURCES = 100
"""Maximum number of resources that the ledger holds at one time."""


class ResourceAdded(Struct, frozen=True, kw_only=True, array_like=True, tag="resource.added.v1"):
    """An operator added a resource, or made credentials for one that the settings name.

    `in_settings` says which. Then `name` and `scopes` are empty, because the settings have them.
    """

    resource_id: str
    identifier: str
    name: str
    scopes: tuple[str, ...]
    in_settings: bool
    secret_digest: str
    added_at: int
    access_token_expires_in: int | None = None
    jwt: str | None = None


class ResourceSecretRotated(
    Struct, frozen=True, kw_only=True, array_like=True, tag="resource.secret_rotated.v1"
):
    """The server of the resource got a new secret. The previous one is accepted until `previous_until`."""

    resource_id: str
    secret_digest: str
    previous_until: int
    rotated_at: int


class ResourceRemoved(Struct, frozen=True, kw_only=True, array_like=True, tag="resource.removed.v1"):
    """An operator removed the resource and its credentials."""

    resource_id: str
    removed_at: int


Event = ResourceAdded | ResourceSecretRotated | ResourceRemoved


class ResourceUnknown(Refusal):
    """No resource of the ledger has that identifier or id."""


class ResourceKnown(Refusal):
    """The resource was added before."""


class TooManyResources(Refusal):
    """There are 100 resources in the ledger already."""


class ResourceAuthenticationFailed(Refusal):
    """The id of a resource server is unknown, or its secret is wrong."""


class HeldResource(Struct, frozen=True, kw_only=True):
    """A resource as the ledger holds it. Secrets are stored only as digests."""

    resource_id: str
    identifier: str
    name: str
    scopes: tuple[str, ...]
    in_settings: bool
    added_at: int
    secret_digest: str
    previous_digest: str = ""
    previous_until: int = 0
    access_token_expires_in: int | None = None
    jwt: str | None = None

    @property
    def offered(self) -> Resource:
        return Resource(self.identifier, self.name, self.scopes, self.access_token_expires_in, self.jwt)

    def authenticate(self, presented_digest: str, *, now: int) -> None:
        """Raise `ResourceAuthenticationFailed` unless the digest is that of a secret that is accepted now."""
        accepted = [self.secret_digest]
        if now < self.previous_until:
            accepted.append(self.previous_digest)
        if not any(hmac.compare_digest(digest, presented_digest) for digest in accepted):
            raise ResourceAuthenticationFailed("the secret of the resource is missing or wrong")


class Resources(Struct, frozen=True, kw_only=True):
    """All resources of the ledger, oldest first."""

    resources: tuple[HeldResource, ...] = ()

    @property
    def added(self) -> tuple[Resource, ...]:
        """The resources that commands have added."""
        return tuple(each.offered for each in self.resources if not each.in_settings)

    def find(self, named: str) -> HeldResource:
        """Return the resource with that id or identifier. Raises `ResourceUnknown`."""
        for each in self.resources:
            if named == each.resource_id or resource_indicator.same(named, each.identifier):
                return each
        raise ResourceUnknown(f"there is no resource {named!r} in the ledger")

    def with_id(self, resource_id: str) -> HeldResource:
        """Raises `ResourceUnknown`."""
        for each in self.resources:
            if resource_id == each.resource_id:
                return each
        raise ResourceUnknown(f"there is no resource with the id {resource_id!r}")

    def add(
        self,
        resource: Resource,
        *,
        configured: tuple[str, ...],
        resource_id: str,
        secret_digest: str,
        now: int,
    ) -> tuple[Event, ...]:
        """Add a resource. If it is `configured` in the settings, add only the credentials of its server.

        Raises `ResourceKnown`, `TooManyResources`.
        """
        held = [each.identifier for each in self.resources]
        if any(resource_indicator.same(resource.identifier, each) for each in held):
            raise ResourceKnown(f"the resource {resource.identifier!r} was added before")
        for each in (*configured, *held):
            if resource_indicator.differ_by_a_slash(resource.identifier, each):
                raise ResourceKnown(f"the resource {resource.identifier!r} differs from {each!r} by a slash")
        in_settings = any(resource_indicator.same(resource.identifier, each) for each in configured)
        if len(self.resources) >= MAX_RESOURCES:
            raise TooManyResources(f"there are {MAX_RESOURCES} resources already")
        added = ResourceAdded(
            resource_id=resource_id,
            identifier=resource.identifier,
            name="" if in_settings else resource.name,
            scopes=() if in_settings else resource.scopes,
            in_settings=in_settings,
            secret_digest=secret_digest,
            added_at=now,
            access_token_expires_in=None if in_settings else resource.access_token_expires_in,
            jwt=None if in_settings else resource.jwt,
        )
        return (added,)

    def rotate_secret(self, named: str, *, secret_digest: str, overlap: int, now: int) -> tuple[Event, ...]:
        """Replace the secret; the previous secret is accepted for `overlap` more seconds.

        Raises `ResourceUnknown`.
        """
        found = self.find(named)
        rotated = ResourceSecretRotated(
            resource_id=found.resource_id,
            secret_digest=secret_digest,
            previous_until=now + overlap,
            rotated_at=now,
        )
        return (rotated,)

    def remove(self, named: str, *, now: int) -> tuple[Event, ...]:
        """Raises `ResourceUnknown`."""
        return (ResourceRemoved(resource_id=self.find(named).resource_id, removed_at=now),)


def evolve(state: Resources | None, event: Event) -> Resources:
    resources = state.resources if state else ()
    match event:
        case ResourceAdded():
            added = HeldResource(
                resource_id=event.resource_id,
                identifier=event.identifier,
                name=event.name,
                scopes=event.scopes,
                in_settings=event.in_settings,
                added_at=event.added_at,
                secret_digest=event.secret_digest,
                access_token_expires_in=event.access_token_expires_in,
                jwt=event.jwt,
            )
            return Resources(resources=(*resources, added))
        case ResourceSecretRotated():
            return Resources(resources=tuple(_rotated(each, event) for each in resources))
        case ResourceRemoved():
            return Resources(
                resources=tuple(each for each in resources if each.resource_id != event.resource_id)
            )
        case _:
            assert_never(event)


def _rotated(resource: HeldResource, event: ResourceSecretRotated) -> HeldResource:
    if resource.resource_id != event.resource_id:
        return resource
    return replace(
        resource,
        secret_digest=event.secret_digest,
        previous_digest=resource.secret_digest,
        previous_until=event.previous_until,
    )


RESOURCES: Kind[Resources] = Kind(
    category="resources",
    state=Resources,
    events=(ResourceAdded, ResourceSecretRotated, ResourceRemoved),
    evolve=evolve,
)
