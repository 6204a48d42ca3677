"""What lists are read by: when clients, users and grants began, and under which secret a record is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _with_columns("client", registered_at=sa.BigInteger())
    op.create_index("client_registered", "client", ["realm", "registered_at", "key"])
    _with_columns("user_account", opened_at=sa.BigInteger())
    op.create_index("user_account_opened", "user_account", ["realm", "opened_at", "key"])
    _with_columns("token_grant", client_id=sa.Text(), user_id=sa.Text(), opened_at=sa.BigInteger())
    op.create_index("token_grant_opened", "token_grant", ["realm", "opened_at", "key"])
    op.create_index("token_grant_client", "token_grant", ["realm", "client_id", "opened_at", "key"])
    op.create_index("token_grant_user", "token_grant", ["realm", "user_id", "opened_at", "key"])
    op.create_index("private_record_key", "private_record", ["realm", "key_id"])


def _with_columns(table: str, **own: sa.types.TypeEngine[int] | sa.types.TypeEngine[str]) -> None:
    """Make the table anew with these columns, each filled with what the state says of it."""
    op.rename_table(table, f"{table}_0001")
    op.create_table(
        table,
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fold", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in own.items()),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "key"),
    )
    said = ", ".join(f"json_extract(CAST(state AS TEXT), '$.{name}')" for name in own)
    op.execute(
        f"INSERT INTO {table} (realm, key, version, fold, {', '.join(own)}, state) "  # noqa: S608 - names of our own
        f"SELECT realm, key, version, fold, {said}, state FROM {table}_0001"
    )
    op.drop_table(f"{table}_0001")
