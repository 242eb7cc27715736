"""The tables, for both dialects.

Rules
- Instants are microseconds since 1970 (UTC) in BIGINT: exact, equal in both dialects, comparable with database time.
- Structured values are JSON text with a version number (`codec`); columns exist for what SQL must search or join.
- Digests, uids and envelopes are raw bytes.
- `agent_status` has no index on what changes, so that PostgreSQL can update it in place (HOT).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """The instant, aware, UTC."""
    return _EPOCH + micros * _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Instant to number."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Number to instant."""
        return None if value is None else from_micros(value)


def clean(text: str) -> str:
    """The text as every database takes it: without NUL and without lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Words(TypeDecorator[str]):
    """Text that may come from outside: what no database can keep is replaced, so that one bad value blocks nothing."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Text to storable text."""
        return None if value is None else clean(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Words, nullable=False),
    Column("ref", Words, nullable=False),
    Column("head", Text),
    Column("fetched_at", Instant),
    Column("error", Words, nullable=False),
)

commits = Table(
    "commits",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("tree", Text, nullable=False),
    Column("parents", Text, nullable=False),
    Column("author", Words, nullable=False),
    Column("authored_at", Instant, nullable=False),
    Column("subject", Words, nullable=False),
    Column("signer", Words),
    Column("verdict", Text, nullable=False),
    Column("diagnostics", Text, nullable=False),
    Column("files", Text, nullable=False),
    Column("error", Words, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Index("ix_commits_source_seen_at", "source", "seen_at"),
)

payload = Table(
    "payload",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("objects", Text, nullable=False),
    Column("provenance", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)

target_version = Table(
    "target_version",
    metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("body", Text, nullable=False),
)

# Which payloads a version uses: what the body says too, in a form that SQL can join.
version_slot = Table(
    "version_slot",
    metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("config_hash", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["source", "path", "digest"],
        ["target_version.source", "target_version.path", "target_version.digest"],
        ondelete="CASCADE",
    ),
    Index("ix_version_slot_config_hash", "config_hash"),
    sqlite_with_rowid=False,
)

# `seq` and `epoch` are those of the pointer that this release made: what a repeated publication answers.
release = Table(
    "release",
    metadata,
    Column("source", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("restores", BigInteger),
    Column("request_id", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Index("ix_release_source_seq", "source", "seq"),
)

statement = Table(
    "statement",
    metadata,
    Column("source", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("path", Text, primary_key=True),
    Column("version", LargeBinary, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("config_hash", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    ForeignKeyConstraint(["source", "revision"], ["release.source", "release.revision"], ondelete="CASCADE"),
    Index("ix_statement_config_hash", "config_hash"),
)

target_state = Table(
    "target_state",
    metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

pointer = Table(
    "pointer",
    metadata,
    Column("source", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

transition = Table(
    "transition",
    metadata,
    Column("source", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Words, nullable=False),
    Column("cause", Words, nullable=False),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    Column("reason", Words, nullable=False),
    Index("ix_transition_source_path_seq", "source", "path", "seq"),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

# `silent`: not seen for so long that live lists leave it out. `label_hash`: of what stands in agent_label.
agent = Table(
    "agent",
    metadata,
    Column("uid", LargeBinary, primary_key=True),
    Column("replica_id", Text, nullable=False),
    Column("conn_epoch", BigInteger, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("connected_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("transport", Text, nullable=False),
    Column("remote_addr", Words, nullable=False),
    Column("silent", Boolean, nullable=False),
    Column("labels", Text, nullable=False),
    Column("label_hash", LargeBinary, nullable=False),
    Column("description", Text, nullable=False),
    Column("capabilities", BigInteger, nullable=False),
    Column("components", LargeBinary),
    Column("effective", LargeBinary),
    Column("started_at", Instant),
)

agent_label = Table(
    "agent_label",
    metadata,
    Column("uid", LargeBinary, ForeignKey("agent.uid", ondelete="CASCADE"), primary_key=True),
    Column("key", Words, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("value", Words, nullable=False),
    sqlite_with_rowid=False,
)

# `source`, `path`: the agent's target. `digest`, `revision`: of its current attempt.
agent_status = Table(
    "agent_status",
    metadata,
    Column("uid", LargeBinary, ForeignKey("agent.uid", ondelete="CASCADE"), primary_key=True),
    Column("source", Text),
    Column("path", Text),
    Column("digest", LargeBinary),
    Column("revision", BigInteger),
    Column("state", Text, nullable=False),
    Column("reason", Words, nullable=False),
    Column("healthy", Boolean),
    Column("error", Words, nullable=False),
    Column("last_good", LargeBinary),
    Column("wanted", LargeBinary),
    Column("flag", Words),
    Column("changed_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    postgresql_with={"fillfactor": 70},
)

attempt = Table(
    "attempt",
    metadata,
    Column("uid", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("offered_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("applying_at", Instant),
    Column("applied_at", Instant),
    Column("healthy_at", Instant),
    Column("failed_at", Instant),
    Column("error", Words, nullable=False),
    sqlite_with_rowid=False,
)

blob = Table(
    "blob",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("used_at", Instant, nullable=False),
)

# INSERT only: triggers refuse UPDATE, and DELETE of rows younger than `AUDIT_FLOOR_DAYS` (see the first migration).
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

AUDIT_FLOOR_DAYS = 30
"""Audit rows younger than this cannot be deleted by anybody who does not first drop the trigger."""
