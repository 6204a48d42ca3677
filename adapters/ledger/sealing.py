"""What the ledger needs to keep private values: they are sealed before they come near the database."""

from collections.abc import Sequence
from typing import Protocol


class Sealer(Protocol):
    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of all keys that this process has, newest first."""
        ...

    def seal(self, subject: str, name: str, value: str) -> tuple[str, bytes]:
        """Return the id of the newest key and the value sealed under it, for this subject and name only."""
        ...

    def open(self, key_id: str, subject: str, name: str, sealed: bytes) -> str:
        """Return the value."""
        ...

    def lookups(self, name: str, value: str) -> Sequence[bytes]:
        """Return the keyed digests of the value, one per live master secret, newest first."""
        ...
