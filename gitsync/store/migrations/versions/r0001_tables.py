"""The first tables, and the triggers that make the audit log insert-only.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

AUDIT_FLOOR_DAYS = 30
"""Younger audit lines are never deleted. Retention cuts older ones off; that is the only exception."""

_SQLITE_TRIGGERS = (
    """
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit lines are never changed'); END
    """,
    f"""
    CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
    WHEN OLD.at > CAST((julianday('now') - 2440587.5 - {AUDIT_FLOOR_DAYS}) * 86400000000 AS INTEGER)
    BEGIN SELECT RAISE(ABORT, 'audit lines are kept for {AUDIT_FLOOR_DAYS} days'); END
    """,
)

_POSTGRESQL_TRIGGERS = (
    """
    CREATE FUNCTION audit_is_never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit lines are never changed'; END $$
    """,
    f"""
    CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.at > (extract(epoch FROM clock_timestamp()) - {AUDIT_FLOOR_DAYS} * 86400) * 1000000 THEN
            RAISE EXCEPTION 'audit lines are kept for {AUDIT_FLOOR_DAYS} days';
        END IF;
        RETURN OLD;
    END $$
    """,
    """
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_never_changed()
    """,
    "CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept()",
    """
    CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_never_changed()
    """,
)


def upgrade() -> None:
    """Makes every table."""
    op.create_table(
        "agent",
        sa.Column("uid", sa.LargeBinary(), nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("conn_epoch", sa.BigInteger(), nullable=False),
        sa.Column("connected", sa.Boolean(), nullable=False),
        sa.Column("connected_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("remote_addr", sa.Text(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("label_hash", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.BigInteger(), nullable=False),
        sa.Column("components", sa.LargeBinary(), nullable=True),
        sa.Column("effective", sa.LargeBinary(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_agent")),
    )
    op.create_table(
        "attempt",
        sa.Column("uid", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("applying_at", sa.BigInteger(), nullable=True),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("healthy_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "digest", "revision", name=op.f("pk_attempt")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_table(
        "blob",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blob")),
    )
    op.create_table(
        "commits",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("parents", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("authored_at", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("diagnostics", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_commits")),
    )
    op.create_index("ix_commits_source_seen_at", "commits", ["source", "seen_at"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "payload",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("objects", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_payload")),
    )
    op.create_table(
        "pointer",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_pointer")),
    )
    op.create_table(
        "release",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("restores", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "revision", name=op.f("pk_release")),
        sa.UniqueConstraint("request_id", name=op.f("uq_release_request_id")),
    )
    op.create_table(
        "source",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source")),
    )
    op.create_table(
        "target_state",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "path", name=op.f("pk_target_state")),
    )
    op.create_table(
        "target_version",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "path", "digest", name=op.f("pk_target_version")),
    )
    op.create_table(
        "transition",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "seq", "n", name=op.f("pk_transition")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_transition_source_path_seq", "transition", ["source", "path", "seq"], unique=False)
    op.create_table(
        "agent_label",
        sa.Column("uid", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["uid"], ["agent.uid"], name=op.f("fk_agent_label_agent"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uid", "key", "rank", name=op.f("pk_agent_label")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "agent_status",
        sa.Column("uid", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("last_good", sa.LargeBinary(), nullable=True),
        sa.Column("wanted", sa.LargeBinary(), nullable=True),
        sa.Column("flag", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["uid"], ["agent.uid"], name=op.f("fk_agent_status_agent"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_agent_status")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "statement",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source", "revision"],
            ["release.source", "release.revision"],
            name=op.f("fk_statement_release"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source", "revision", "path", "version", "slot", name=op.f("pk_statement")),
    )
    op.create_index("ix_statement_config_hash", "statement", ["config_hash"], unique=False)
    op.create_table(
        "version_slot",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source", "path", "digest"],
            ["target_version.source", "target_version.path", "target_version.digest"],
            name=op.f("fk_version_slot_target_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source", "path", "digest", "slot", name=op.f("pk_version_slot")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_version_slot_config_hash", "version_slot", ["config_hash"], unique=False)
    triggers = _SQLITE_TRIGGERS if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL_TRIGGERS
    for trigger in triggers:
        op.execute(trigger)
