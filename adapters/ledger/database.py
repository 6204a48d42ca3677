"""What the ledger needs from SQLite and from PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Engine

from grantledger.adapters.ledger.sql import ByRows, Statement, Statements

if TYPE_CHECKING:
    from grantledger.adapters.ledger.writer import Append, Outcome

Rows = Sequence[Sequence[Any]]


class CannotOpen(Exception):  # noqa: N818 - a sentence for the operator
    """The database does not exist, or is not a ledger."""


class UniqueTaken(Exception):  # noqa: N818 - named for the fact
    """Another row already has this unique value."""


class CommitOutcomeUnknown(Exception):  # noqa: N818 - a state of knowledge
    """COMMIT was sent and not answered: the transaction may or may not be committed."""


class TransactionAborted(Exception):  # noqa: N818 - named for the fact
    """The database has rolled the transaction back because of another one. It may be tried again."""


class Transaction(Protocol):
    """A write transaction that holds the lock of all writers. Rolled back unless `commit` returned.

    The context that gives it raises `Unavailable` in an outage, `UniqueTaken` and `TransactionAborted`.
    """

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows: ...

    async def fetch_by_rows(self, statement: ByRows, rows: Rows) -> Rows:
        """Execute the statement for all rows, a chunk at a time, and return all results."""
        ...

    async def commit(self) -> None:
        """Return when everything is on disk. Raises `CommitOutcomeUnknown`."""
        ...


class Database(Protocol):
    """One database, which holds any number of realms."""

    name: str
    """The name of the database in messages."""
    statements: Statements
    engine: Engine
    """For tools and commands. It starts no transaction by itself."""

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        """Read committed rows. Raises `Unavailable` in an outage."""
        ...

    async def fetch_after_commits(
        self, realm: str, statement: Statement, parameters: Mapping[str, Any]
    ) -> Rows:
        """Wait until every COMMIT that was sent in the realm has ended, then read. Raises `Unavailable`."""
        ...

    def transaction(self, realm: str) -> AbstractAsyncContextManager[Transaction]:
        """Wait until no other writer of the realm has a transaction, and begin one."""
        ...

    async def record(
        self,
        transaction: Transaction,
        realm: str,
        appends: Sequence["Append"],
        *,
        now: Callable[[], int],
        known_secrets: Sequence[str],
    ) -> Sequence["Outcome"]:
        """Write those of the appends that conflict with nothing, and return the outcome of each."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Read on the calling thread, all from one snapshot."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """Write on the calling thread, in one durable transaction under the lock of all writers."""
        ...

    def rebuilding(self) -> AbstractContextManager[bool]:
        """Hold the lock for rebuilds. The value is False if another process holds it."""
        ...

    def create(self) -> None:
        """Create an empty database unless it exists."""
        ...

    def why(self, error: Exception) -> str:
        """Return why the database cannot be opened, and what to do about it."""
        ...

    async def open(self) -> None: ...

    async def close(self, patience: float) -> None:
        """Close every connection, and wait for a stuck one no longer than `patience` seconds."""
        ...
