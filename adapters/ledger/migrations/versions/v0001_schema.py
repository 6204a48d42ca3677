"""The first schema.

The log, the rows folded from it, private records, the counts of throttles, and how far each
follower of the log has read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""In the order of its bytes, as in SQLite."""


def upgrade() -> None:
    op.create_table(
        "heads",
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm"),
    )
    op.create_table(
        "events",
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream_id", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("event_id", sa.LargeBinary(), nullable=False),
        sa.Column("append_id", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", TEXT, nullable=False),
        sa.Column("actor_id", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("trace_id", TEXT, nullable=False),
        sa.Column("address_digest", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "position"),
        sa.UniqueConstraint("realm", "stream_id", "version", name="events_stream_version"),
    )
    for name, party, condition in (
        ("events_user", "user_id", sa.column("user_id") != ""),
        ("events_consent", "client_id", sa.column("tag") == "consent.given.v1"),
    ):
        first = sa.and_(sa.column("version") == 1, condition)
        op.create_index(name, "events", ["realm", party], sqlite_where=first, postgresql_where=first)
    _create_rows("client", _number("registered_at"), _number("prunable"))
    op.create_index("client_registered", "client", ["realm", "registered_at", "key"])
    op.create_index("client_prunable", "client", ["realm", "prunable", "registered_at", "key"])
    _create_rows("code", _text("client_id"), _text("user_id"), _number("ends_at"))
    op.create_index("code_ends", "code", ["realm", "ends_at"])
    _create_rows(
        "token_grant",
        _text("client_id"),
        _text("user_id"),
        _number("client_registration"),
        _number("opened_at"),
        _number("refreshed_at"),
        _number("ends_at"),
    )
    op.create_index("token_grant_opened", "token_grant", ["realm", "opened_at", "key"])
    op.create_index("token_grant_client", "token_grant", ["realm", "client_id", "opened_at", "key"])
    op.create_index("token_grant_user", "token_grant", ["realm", "user_id", "opened_at", "key"])
    _create_rows("consent", _text("user_id"), _text("client_id"))
    op.create_index("consent_parties", "consent", ["realm", "user_id", "client_id"])
    op.create_index("consent_client", "consent", ["realm", "client_id", "user_id"])
    _create_rows("user_account", _number("opened_at"))
    op.create_index("user_account_opened", "user_account", ["realm", "opened_at", "key"])
    _create_rows("signin", _text("user_id"), _number("ends_at"))
    op.create_index("signin_ends", "signin", ["realm", "ends_at"])
    _create_rows("signing_keys")
    _create_rows("master_secrets")
    _create_rows("registration_tokens")
    _create_rows("resources")
    op.create_table(
        "private_record",
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("lookup", sa.LargeBinary()),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "subject", "name"),
        sa.UniqueConstraint("realm", "lookup", "name", name="private_record_lookup"),
    )
    op.create_index("private_record_key", "private_record", ["realm", "key_id"])
    op.create_table(
        "throttle",
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.Column("merged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "kind", "key"),
    )
    op.create_index("throttle_merged", "throttle", ["realm", "merged_at"])
    op.create_index("throttle_full", "throttle", ["realm", "full_at"])
    op.create_table(
        "tracking",
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("application_name", TEXT, nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "application_name"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _create_rows(name: str, *own: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("realm", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fold", sa.SmallInteger(), nullable=False),
        *own,
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "key"),
    )
