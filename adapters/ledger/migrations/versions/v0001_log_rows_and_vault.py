"""The log, the rows folded from it, the private records and the tracking of followers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("category", sa.Text()),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary()),
        sa.Column("append_id", sa.LargeBinary()),
        sa.Column("causation_id", sa.LargeBinary()),
        sa.Column("recorded_at", sa.BigInteger()),
        sa.Column("actor_kind", sa.Text()),
        sa.Column("actor_id", sa.Text()),
        sa.Column("client_id", sa.Text()),
        sa.Column("correlation_id", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("address_digest", sa.LargeBinary()),
        sa.Column("codec", sa.SmallInteger()),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("realm", "stream_id", "version", name="events_stream_version"),
    )
    _create_rows("client")
    _create_rows(
        "code",
        sa.Column("transaction_id", sa.Text()),
        sa.UniqueConstraint("realm", "transaction_id", name="code_transaction"),
    )
    _create_rows(
        "token_grant",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
    )
    for name in ("consent", "user_account", "signin"):
        _create_rows(name)
    op.create_table(
        "private_record",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lookup", sa.LargeBinary()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "subject", "name"),
        sa.UniqueConstraint("realm", "name", "lookup", name="private_record_lookup"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracking",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("application_name", sa.Text(), nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "application_name"),
        sqlite_with_rowid=False,
    )


def _create_rows(name: str, *own: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fold", sa.SmallInteger(), nullable=False),
        *own,
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "key"),
    )
