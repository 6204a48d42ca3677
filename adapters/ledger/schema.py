"""The tables: the log, the rows folded from it, what is kept sealed beside it.

What stands in `events` is never rewritten, not by a migration either. A row of the read model belongs to
one stream and can be folded again from the log; a private record cannot.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData()

events = Table(
    "events",
    metadata,
    # Ours, gapless and in commit order. Exactly INTEGER makes it SQLite's own row number.
    Column("position", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("realm", Text, nullable=False),
    Column("category", Text),
    Column("stream_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("tag", Text, nullable=False),
    # From here to `codec` null where one of the library's own tools wrote: they know of no envelope.
    Column("event_id", LargeBinary),
    Column("append_id", LargeBinary),
    Column("causation_id", LargeBinary),
    Column("recorded_at", BigInteger),
    Column("actor_kind", Text),
    Column("actor_id", Text),
    Column("client_id", Text),
    Column("correlation_id", Text),
    Column("trace_id", Text),
    Column("address_digest", LargeBinary),
    Column("codec", SmallInteger),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("realm", "stream_id", "version", name="events_stream_version"),
)


def _folded(name: str, *own: SchemaItem) -> Table:
    # With SQLite's row number: measured at 100,000 rows of 650 bytes, WITHOUT ROWID reads 1.4 times and
    # writes 2.5 times slower, since whole rows then stand in the inner pages of the tree.
    return Table(
        name,
        metadata,
        Column("realm", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("fold", SmallInteger, nullable=False),
        *own,
        Column("state", LargeBinary, nullable=False),
    )


def _fixed(name: str, kind: type[Text] | type[BigInteger]) -> Column[Any]:
    """A column that no event of a stream changes: replacing the row leaves its indexes alone."""
    return Column(name, kind, nullable=False, info={"fixed": True})


ROWS: dict[str, Table] = {
    "client": _folded(
        "client",
        Column("registered_at", BigInteger, nullable=False),
        Index("client_registered", "realm", "registered_at", "key"),
    ),
    "code": _folded(
        "code",
        Column("transaction_id", Text),
        UniqueConstraint("realm", "transaction_id", name="code_transaction"),
    ),
    "grant": _folded(
        "token_grant",
        _fixed("client_id", Text),
        _fixed("user_id", Text),
        _fixed("opened_at", BigInteger),
        Index("token_grant_opened", "realm", "opened_at", "key"),
        Index("token_grant_client", "realm", "client_id", "opened_at", "key"),
        Index("token_grant_user", "realm", "user_id", "opened_at", "key"),
    ),
    "consent": _folded(
        "consent",
        _fixed("user_id", Text),
        Index("consent_user", "realm", "user_id", "key"),
    ),
    "user": _folded(
        "user_account",
        _fixed("opened_at", BigInteger),
        Index("user_account_opened", "realm", "opened_at", "key"),
    ),
    "signin": _folded("signin"),
    "keys": _folded("signing_keys"),
    "secrets": _folded("master_secrets"),
}
"""The read model, by category. Two are not named as their category: SQL reserves `grant` and `user`."""

private_record = Table(
    "private_record",
    metadata,
    Column("realm", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("lookup", LargeBinary),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("realm", "name", "lookup", name="private_record_lookup"),
    Index("private_record_key", "realm", "key_id"),
    sqlite_with_rowid=False,
)

tracking = Table(
    "tracking",
    metadata,
    Column("realm", Text, primary_key=True),
    Column("application_name", Text, primary_key=True),
    Column("notification_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
