"""Messages owed to people, with the fact they tell of.

Facts that an older retrigger wrote are not announced again: nobody wants last year's alarms.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "outbox",
        sa.Column("sequence", big, sa.ForeignKey("facts.sequence"), primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("routed_at", sa.String(32)),
    )
    op.create_index("outbox_unrouted", "outbox", ["routed_at", "sequence"])
    op.create_table(
        "deliveries",
        sa.Column("sequence", big, sa.ForeignKey("outbox.sequence"), primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String(80), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", sa.String(32), nullable=False),
        sa.Column("lease_until", sa.String(32)),
        sa.Column("closed_at", sa.String(32)),
        sa.Column("unsure", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("deliveries_open", "deliveries", ["closed_at", "not_before"])
