"""The tables: the log with its heads, the read model, the private records, the counts of throttles, and the
tracking of followers.

Rows of `events` are never rewritten, not even by a migration. A row of the read model belongs to one stream
and can be folded again from the log; a private record cannot.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    column,
)
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its bytes, as in SQLite. Other collations of PostgreSQL are slower, and may change
with the operating system, which breaks indexes.
"""


def _not_null(name: str, kind: TypeEngine[Any] | type[BigInteger] | type[LargeBinary]) -> Column[Any]:
    return Column(name, kind, nullable=False)


heads = Table(
    "heads",
    metadata,
    Column("realm", _TEXT, primary_key=True),
    _not_null("position", BigInteger),
)
"""The last position of each realm. In PostgreSQL its row is the lock on which a realm's writers queue."""

events = Table(
    "events",
    metadata,
    Column("realm", _TEXT, primary_key=True),
    # Gapless and in commit order, because it comes from the realm's head in the same transaction.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _not_null("stream_id", _TEXT),
    _not_null("version", BigInteger),
    _not_null("tag", _TEXT),
    # From here to `address_digest`: the envelope. Unknown values are empty, never null.
    _not_null("event_id", LargeBinary),
    _not_null("append_id", LargeBinary),
    _not_null("recorded_at", BigInteger),
    _not_null("actor_kind", _TEXT),
    _not_null("actor_id", _TEXT),
    _not_null("client_id", _TEXT),
    _not_null("user_id", _TEXT),
    _not_null("correlation_id", _TEXT),
    _not_null("trace_id", _TEXT),
    _not_null("address_digest", LargeBinary),
    _not_null("data", LargeBinary),
    UniqueConstraint("realm", "stream_id", "version", name="events_stream_version"),
)


def _first_events(name: str, party: str, condition: ColumnElement[bool]) -> Index:
    """An index to find the streams of a user or the consents to a client, by the first event of each.

    The migration has the condition for PostgreSQL too. Here it would make every command import SQLAlchemy's
    dialect for PostgreSQL, which takes 0.04 s.
    """
    first = and_(column("version") == 1, condition)
    return Index(name, events.c.realm, events.c[party], sqlite_where=first)


_first_events("events_user", "user_id", column("user_id") != "")
# Not of codes and grants: each of them would change one more page (ADR 0089).
_first_events("events_consent", "client_id", column("tag") == "consent.given.v1")


def _fixed(name: str, kind: TypeEngine[Any] | type[BigInteger]) -> Column[Any]:
    """A column that never changes after the first event, so updates of a row do not touch its indexes."""
    return Column(name, kind, nullable=False, info={"fixed": True})


def _folded(name: str, *own: SchemaItem) -> Table:
    return Table(
        name,
        metadata,
        Column("realm", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        _not_null("version", BigInteger),
        Column("fold", SmallInteger, nullable=False),
        *own,
        _not_null("state", LargeBinary),
    )


ROWS: dict[str, Table] = {
    "signin": _folded(
        "signin",
        _fixed("user_id", _TEXT),
        _fixed("ends_at", BigInteger),
        Index("signin_ends", "realm", "ends_at"),
    ),
    "code": _folded(
        "code",
        _fixed("client_id", _TEXT),
        _fixed("user_id", _TEXT),
        _fixed("ends_at", BigInteger),
        Index("code_ends", "realm", "ends_at"),
    ),
    "grant": _folded(
        "token_grant",
        _fixed("client_id", _TEXT),
        _fixed("user_id", _TEXT),
        _fixed("client_registration", BigInteger),
        _fixed("opened_at", BigInteger),
        # 0 before the first refresh
        _not_null("refreshed_at", BigInteger),
        # Not indexed, because each refresh changes it. The sweep finds ended grants by walking the keys.
        _not_null("ends_at", BigInteger),
        Index("token_grant_opened", "realm", "opened_at", "key"),
        Index("token_grant_client", "realm", "client_id", "opened_at", "key"),
        Index("token_grant_user", "realm", "user_id", "opened_at", "key"),
    ),
    "client": _folded(
        "client",
        _not_null("registered_at", BigInteger),
        # 1 if it may be deleted because it was never used
        _not_null("prunable", BigInteger),
        Index("client_registered", "realm", "registered_at", "key"),
        Index("client_prunable", "realm", "prunable", "registered_at", "key"),
    ),
    "user": _folded(
        "user_account",
        _fixed("opened_at", BigInteger),
        Index("user_account_opened", "realm", "opened_at", "key"),
    ),
    "consent": _folded(
        "consent",
        _fixed("user_id", _TEXT),
        _fixed("client_id", _TEXT),
        Index("consent_parties", "realm", "user_id", "client_id"),
        Index("consent_client", "realm", "client_id", "user_id"),
    ),
    "keys": _folded("signing_keys"),
    "secrets": _folded("master_secrets"),
    "regtokens": _folded("registration_tokens"),
    "resources": _folded("resources"),
}
"""The read model. The key is the category.

The swap of a rebuild locks the tables in this order, and the statements that join them have the same order
(ADR 0085).

SQL reserves `grant` and `user`, so their tables have longer names.
"""

private_record = Table(
    "private_record",
    metadata,
    Column("realm", _TEXT, primary_key=True),
    Column("subject", _TEXT, primary_key=True),
    Column("name", _TEXT, primary_key=True),
    Column("lookup", LargeBinary),
    _not_null("key_id", _TEXT),
    _not_null("sealed", LargeBinary),
    UniqueConstraint("realm", "lookup", "name", name="private_record_lookup"),
    Index("private_record_key", "realm", "key_id"),
)

throttles = Table(
    "throttle",
    metadata,
    Column("realm", _TEXT, primary_key=True),
    Column("kind", _TEXT, primary_key=True),
    # A keyed digest, because the key may be an e-mail address or a network.
    Column("key", LargeBinary, primary_key=True),
    _not_null("full_at", BigInteger),
    _not_null("merged_at", BigInteger),
    Index("throttle_merged", "realm", "merged_at"),
    Index("throttle_full", "realm", "full_at"),
)
"""The throttle counts that the processes of a realm share: when the bucket of a key is full (ADR 0082)."""

tracking = Table(
    "tracking",
    metadata,
    Column("realm", _TEXT, primary_key=True),
    Column("application_name", _TEXT, primary_key=True),
    _not_null("notification_id", BigInteger),
)
"""How far each follower of the log has read."""
