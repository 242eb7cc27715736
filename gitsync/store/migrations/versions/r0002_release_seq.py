"""An index that finds the release which a line of the history belongs to.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the index."""
    op.create_index("ix_release_source_seq", "release", ["source", "seq"], unique=False)
