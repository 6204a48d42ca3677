"""What the apps of a user are found by: whose consent a row holds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.rename_table("consent", "consent_0003")
    op.create_table(
        "consent",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fold", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "key"),
    )
    op.execute(
        "INSERT INTO consent (realm, key, version, fold, user_id, state) SELECT realm, key, version, fold, "
        "json_extract(CAST(state AS TEXT), '$.user_id'), state FROM consent_0003"
    )
    op.drop_table("consent_0003")
    op.create_index("consent_user", "consent", ["realm", "user_id", "key"])
