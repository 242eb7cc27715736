"""Rows of agents as the drivers take them: statements that are compiled once, and plain tuples for them.

Thousands of rows are written after every publication. SQLAlchemy's own handling of parameters costs more than the
database does, so the statements are built by SQLAlchemy and run with tuples (measured: a fifth of the time per row).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from gitsync.control.records import AgentRecord, AttemptRecord
from gitsync.fleet.assign import Reason
from gitsync.ids import TargetId
from gitsync.store.agentcodec import encode_description, encode_status, signed
from gitsync.store.engine import SQLITE
from gitsync.store.tables import agent, agent_label, agent_status, attempt, clean, to_micros

Row = tuple[Any, ...]

AGENT = (
    "uid", "replica_id", "conn_epoch", "connected", "connected_at", "last_seen_at", "transport", "remote_addr",
    "silent", "labels", "label_hash", "description", "capabilities", "components", "effective", "started_at",
)  # fmt: skip
LINK = ("replica_id", "conn_epoch", "connected", "connected_at", "last_seen_at", "transport", "remote_addr", "silent")
STATUS = (
    "source", "path", "digest", "revision", "state", "reason", "healthy", "error", "last_good", "wanted", "flag",
    "changed_at", "body",
)  # fmt: skip
LABEL = ("uid", "key", "rank", "value")
ATTEMPT = (
    "uid", "digest", "revision", "state", "offered_at", "changed_at", "tries", "applying_at", "applied_at",
    "healthy_at", "failed_at", "error",
)  # fmt: skip


# ── Statements ──────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache
def upsert_agent(dialect: str) -> str:
    """INSERT of `AGENT`; a row with a higher `conn_epoch` is left alone."""
    keep = ("uid", "label_hash")
    return _upsert(dialect, agent, AGENT, ("uid",), keep, lambda new: new["conn_epoch"] >= agent.c.conn_epoch)


@lru_cache
def upsert_status(dialect: str) -> str:
    """INSERT of uid and `STATUS`."""
    return _upsert(dialect, agent_status, ("uid", *STATUS), ("uid",), ("uid",), None)


@lru_cache
def upsert_attempt(dialect: str) -> str:
    """INSERT of `ATTEMPT`; a row that changed later is left alone."""
    key = ("uid", "digest", "revision")
    return _upsert(dialect, attempt, ATTEMPT, key, key, lambda new: new["changed_at"] >= attempt.c.changed_at)


@lru_cache
def update_link(dialect: str) -> str:
    """UPDATE of `LINK`, then uid."""
    return _update(dialect, agent, LINK)


@lru_cache
def update_label_hash(dialect: str) -> str:
    """UPDATE of the hash of an agent's labels, then uid."""
    return _update(dialect, agent, ("label_hash",))


@lru_cache
def insert_label(dialect: str) -> str:
    """INSERT of `LABEL`."""
    statement = insert(agent_label).values({name: bindparam(name) for name in LABEL})
    return _compile(dialect, statement, LABEL)


@lru_cache
def update_status(dialect: str) -> str:
    """UPDATE of `STATUS`, then uid."""
    return _update(dialect, agent_status, STATUS)


def _upsert(
    dialect: str,
    table: Table,
    columns: Sequence[str],
    key: Sequence[str],
    kept: Sequence[str],
    where: Any,
) -> str:
    new = sqlite.insert(table) if dialect == SQLITE else postgresql.insert(table)
    new = new.values({name: bindparam(name) for name in columns})
    condition: ColumnElement[bool] | None = None if where is None else where(new.excluded)
    statement = new.on_conflict_do_update(
        index_elements=[table.c[name] for name in key],
        set_={name: new.excluded[name] for name in columns if name not in kept},
        where=condition,
    )
    return _compile(dialect, statement, columns)


def _update(dialect: str, table: Table, columns: Sequence[str]) -> str:
    statement = (
        update(table)
        .where(table.c.uid == bindparam("of"))
        .values({table.c[name]: bindparam(f"new_{name}") for name in columns})
    )
    return _compile(dialect, statement, [*(f"new_{name}" for name in columns), "of"])


def _compile(dialect: str, statement: ClauseElement, order: Sequence[str]) -> str:
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    positions = list(getattr(compiled, "positiontup", None) or ())
    if positions != list(order):
        raise AssertionError(f"parameters stand in the order {positions}, rows in that of {list(order)}")
    return str(compiled)


_DIALECTS = {SQLITE: sqlite.dialect(), "postgresql": asyncpg.dialect()}  # type: ignore[no-untyped-call]  # its constructor has no annotations


async def run(connection: AsyncConnection, statement: str, rows: Sequence[Row]) -> None:
    """Executes the statement with every row; nothing happens without rows."""
    if rows:
        await connection.exec_driver_sql(statement, list(rows))


# ── Rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def agent_row(record: AgentRecord, labels: str) -> Row:
    """The values of `AGENT`; `labels` is their stored form."""
    known = record.agent
    started_at = known.started_at
    return (
        known.uid,
        *link_values(record),
        labels,
        b"",  # of a new row: no labels stand there yet
        encode_description(known),
        signed(known.capabilities),
        known.components,
        known.effective,
        None if started_at is None else to_micros(started_at),
    )


def link_values(record: AgentRecord) -> Row:
    """The values of `LINK`."""
    return (
        record.replica_id,
        record.conn_epoch,
        record.connected,
        to_micros(record.connected_at),
        to_micros(record.last_seen_at),
        record.transport,
        clean(record.remote_addr),
        False,
    )


def status_values(record: AgentRecord) -> Row:
    """The values of `STATUS`."""
    known = record.agent
    # The columns are what lists and counts go by: the target that it has now. The body keeps the one that its last
    # good configuration belongs to, also while no target selects it.
    target: TargetId | None = None if record.reason == Reason.NO_TARGET else known.target
    source, path = (None, None) if target is None else target
    current = known.current
    return (
        source,
        path,
        None if current is None else current.digest,
        None if current is None else current.revision,
        str(record.state),
        clean(record.reason),
        record.healthy,
        clean(record.error),
        known.last_good,
        known.wanted,
        None if known.flag is None else clean(known.flag),
        to_micros(record.changed_at),
        encode_status(known),
    )


def attempt_row(record: AttemptRecord) -> Row:
    """The values of `ATTEMPT`."""
    one = record.attempt
    return (
        record.uid,
        one.digest,
        one.revision,
        str(one.state),
        to_micros(one.offered_at),
        to_micros(one.changed_at),
        one.tries,
        None if one.applying_at is None else to_micros(one.applying_at),
        None if one.applied_at is None else to_micros(one.applied_at),
        None if one.healthy_at is None else to_micros(one.healthy_at),
        None if one.failed_at is None else to_micros(one.failed_at),
        clean(one.error),
    )


# ── What a record changes ───────────────────────────────────────────────────────────────────────────────────


def describes_the_same(new: AgentRecord, old: AgentRecord) -> bool:
    """Whether nothing differs but connection and status; values that are the same object are not compared."""
    one, other = new.agent, old.agent
    return one is other or (
        one.labels is other.labels
        and one.identifying_keys == other.identifying_keys
        and one.capabilities == other.capabilities
        and one.components == other.components
        and one.effective == other.effective
        and one.started_at == other.started_at
    )


def same_link(new: AgentRecord, old: AgentRecord) -> bool:
    """Whether the connection is the same; when a polling agent was seen is part of that."""
    return (
        new.conn_epoch == old.conn_epoch
        and new.connected is old.connected
        and (new.transport != "http" or new.last_seen_at == old.last_seen_at)
        and new.remote_addr == old.remote_addr
        and new.replica_id == old.replica_id
    )


def same_status(new: AgentRecord, old: AgentRecord) -> bool:
    """Whether the hot row is the same."""
    return (
        new.agent is old.agent
        and new.state is old.state
        and new.reason == old.reason
        and new.healthy is old.healthy
        and new.error == old.error
        and new.changed_at == old.changed_at
    )
