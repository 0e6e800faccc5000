"""What teams keep here, and what is billed by images, seconds and characters."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

UNITS = ("images", "seconds", "characters")


def upgrade() -> None:
    for table in ("usage", "usage_daily"):
        for unit in UNITS:
            op.add_column(table, sa.Column(unit, sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "objects",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("objects_listed", "objects", ["kind", "team", "parent", "position"])
    owned, ends = sa.text("parent != ''"), sa.text("until IS NOT NULL")
    op.create_index("objects_parent", "objects", ["parent"], sqlite_where=owned, postgresql_where=owned)
    op.create_index("objects_until", "objects", ["until"], sqlite_where=ends, postgresql_where=ends)


def downgrade() -> None:
    op.drop_table("objects")
    for table in ("usage", "usage_daily"):
        for unit in UNITS:
            op.drop_column(table, unit)
