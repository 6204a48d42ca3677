"""The ports of who changes the master secrets: where they are kept, and what was sealed under each."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class SecretsUnchangeable(Exception):  # noqa: N818 - a sentence for the operator
    """The master secrets stand where they can only be changed by hand. The message says where."""


class SecretKeeper(Protocol):
    """The configured master secrets by their key ids; a secret itself never leaves it.

    What changes them is durable when it returns, and raises `SecretsUnchangeable`. Processes that run learn
    of it when they are started anew.
    """

    async def key_ids(self) -> Sequence[str]:
        """Return them newest first: the first one seals, all of them open."""
        ...

    async def add(self) -> str:
        """Make a secret, put it last, and return its key id."""
        ...

    async def put_first(self, key_id: str, /) -> None: ...

    async def remove(self, key_id: str, /) -> None: ...


class SealedRecords(Protocol):
    """Private records by the master secret that they are sealed under."""

    async def counts(self) -> Mapping[str, int]:
        """Return by key id how many there are."""
        ...

    def seal_anew(self, key_id: str) -> AsyncIterator[int]:
        """Seal every record that is under another secret, and yield how many each step was.

        Others may read and write them meanwhile. Raises `MasterSecretMissing` at once where this process was
        started without that secret, and at a record whose own is missing; those before it stay done.
        """
        ...


class LiveTokens(Struct, frozen=True):
    """How many live grants have tokens of a secret, and when the last of these tokens ends."""

    grants: int
    until: int


class IssuedTokens(Protocol):
    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        """Return what lives by the key id of the secret that it was sealed under."""
        ...
