"""One request is found among millions by its id."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("usage_request", "usage", ["request_id"])


def downgrade() -> None:
    op.drop_index("usage_request", "usage")
