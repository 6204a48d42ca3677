"""What the ledger needs of a database, in words that fit every one."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from grantledger.adapters.ledger.sql import ByRows, Statement, Statements

Rows = Sequence[Sequence[Any]]


class CannotOpen(Exception):  # noqa: N818 - a sentence for the operator
    """The database is not there, or is none of ours."""


class UniqueTaken(Exception):  # noqa: N818 - named for the fact
    """A row with this unique value is there already."""


class CommitOutcomeUnknown(Exception):  # noqa: N818 - a state of knowledge
    """COMMIT was sent and not answered: the transaction may be committed or not."""


class Transaction(Protocol):
    """A write transaction that holds the lock of all writers. Rolled back unless `commit` returned.

    Every method raises `Unavailable` in an outage, and `UniqueTaken`.
    """

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows: ...

    async def fetch_by_rows(self, statement: ByRows, rows: Rows) -> Rows:
        """Execute the statement for all rows, a chunk at a time, and return what it gives."""
        ...

    async def commit(self) -> None:
        """Return when all is on disk. Raises `CommitOutcomeUnknown`."""
        ...


class Database(Protocol):
    """One database, which holds any number of realms."""

    name: str
    """How messages call it."""
    statements: Statements
    engine: Engine
    """For tools and commands. It begins no transaction by itself."""

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        """Read what was committed before. Raises `Unavailable` in an outage."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Read on the calling thread, all of it as of one moment."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """Write on the calling thread, in one durable transaction under the lock of all writers."""
        ...

    def rebuilding(self) -> AbstractContextManager[bool]:
        """Hold the lock of those who rebuild the read model; False when another process has it."""
        ...

    def create(self) -> None:
        """Make an empty database unless it is there."""
        ...

    def why(self, error: Exception) -> str:
        """Return what is in the way where the database cannot be opened, and what to do about it."""
        ...

    async def open(self) -> None: ...

    async def close(self, patience: float) -> None:
        """Close every connection, and wait for a stuck one no longer than `patience` seconds."""
        ...
