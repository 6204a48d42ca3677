"""What is configured now. A resource or scope that was removed from the settings is refused everywhere."""

from collections.abc import Iterable

from msgspec import Struct

from grantledger.domain import resource_indicator
from grantledger.domain.refusal import Refusal


class NoLongerOffered(Refusal):
    """The resource, or all that was granted there, is not configured any more."""


class Offer(Struct, frozen=True):
    """The configured resources and scopes."""

    resources: frozenset[str]
    scopes: frozenset[str]

    def left_of(self, scopes: tuple[str, ...], *, resource: str) -> tuple[str, ...]:
        """Return those of the granted scopes that are still configured.

        Raises `NoLongerOffered` if the resource is not configured any more, or if none of the scopes is.
        """
        if resource not in self.resources and not self.has(resource):
            raise NoLongerOffered("the resource is not configured any more")
        if self.scopes.issuperset(scopes):
            return scopes
        left = tuple(scope for scope in scopes if scope in self.scopes)
        if not left:
            raise NoLongerOffered("no scope of it is configured any more")
        return left

    def check_all(self, scopes: Iterable[str], *, resource: str) -> None:
        """Raise `NoLongerOffered` unless the resource and every scope is still configured."""
        if resource not in self.resources or not self.scopes.issuperset(scopes):
            raise NoLongerOffered("the resource or a scope is not configured any more")

    def has(self, resource: str) -> bool:
        """Whether the resource is configured, perhaps in another spelling."""
        return any(resource_indicator.same(resource, other) for other in self.resources)
