"""Retention: what may go.

A row goes only when nothing that still matters refers to it:
- a target version stays while any target state names it (stable, candidate, baseline, fallback, waiting, pin,
  completed, quarantine, head);
- a payload stays while a kept version or a kept statement has it, or some known agent wants it, was offered it last,
  or has it as its last good one;
- a commit stays while it is the head of a source or a pointer, the origin of a kept version, or pinned;
- statements of the newest revisions, the newest attempts of each agent, and the audit lines of the last days stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, CompoundSelect, and_, delete, exists, func, not_, or_, select, text, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gitsync.control.records import Retention
from gitsync.store.codec import decode_state, named_versions
from gitsync.store.engine import POSTGRESQL, Subject
from gitsync.store.releases import CONTENT_LOCK, chunks
from gitsync.store.tables import (
    AUDIT_FLOOR_DAYS,
    agent,
    agent_status,
    attempt,
    audit,
    blob,
    commits,
    payload,
    pointer,
    release,
    source,
    statement,
    target_state,
    target_version,
    version_slot,
)

_BLOB_GRACE = timedelta(days=1)
"""A large value may be kept before the agent that reported it is written."""


class Sweeper(Subject):
    """Drops what retention allows."""

    __slots__ = ()

    async def sweep(self, retention: Retention, now: datetime) -> int:
        """Drops what retention allows, a few short transactions at a time; how many rows went.

        Agents that were silent for longer than `agents_silent_hours` leave lists and counts until they come back;
        their rows stay. Audit lines are kept for at least `AUDIT_FLOOR_DAYS`, and go by whole days.

        Raises:
            Unavailable: the database is away or locked; what was dropped before stays dropped.
        """
        gone = 0
        async with self._db.write() as connection:
            if self._db.dialect == POSTGRESQL:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CONTENT_LOCK})
            gone += await _sweep_content(connection, retention)
        async with self._db.write() as connection:
            gone += await _sweep_attempts(connection, retention)
            gone += await _sweep_blobs(connection, now)
            await _mark_silent(connection, retention, now)
        async with self._db.write() as connection:
            gone += await _sweep_audit(connection, retention, now)
        return gone


async def _rows_gone(connection: AsyncConnection, statement_: Any) -> int:
    return (await connection.execute(statement_)).rowcount


def _every(columns: Sequence[Column[Any]]) -> CompoundSelect[Any]:
    """SQL list of all values in these columns, without NULL (with one in it, NOT IN is never true)."""
    return union(*(select(one).where(one.is_not(None)) for one in columns))


async def _sweep_content(connection: AsyncConnection, retention: Retention) -> int:
    gone = await _sweep_statements(connection, retention)
    gone += await _sweep_versions(connection)
    # One list of what agents need, not a look at every agent for every payload.
    columns = (agent_status.c.last_good, agent_status.c.digest, agent_status.c.wanted)
    unused = and_(
        not_(exists().where(version_slot.c.config_hash == payload.c.digest)),
        not_(exists().where(statement.c.config_hash == payload.c.digest)),
        payload.c.digest.not_in(_every(columns)),
    )
    gone += await _rows_gone(connection, delete(payload).where(unused))
    return gone + await _sweep_commits(connection, retention)


async def _sweep_statements(connection: AsyncConnection, retention: Retention) -> int:
    gone = 0
    sources: Sequence[str] = (await connection.execute(select(pointer.c.source))).scalars().all()
    for name in sources:
        # The pointer's own revision is what is served: kept even by a retention of 0.
        newest = select(release.c.revision).where(release.c.source == name).order_by(release.c.revision.desc())
        oldest_kept = newest.offset(max(retention.revisions, 1) - 1).limit(1)
        floor = (await connection.execute(oldest_kept)).scalar_one_or_none()
        if floor is not None:
            old = and_(statement.c.source == name, statement.c.revision < floor)
            gone += await _rows_gone(connection, delete(statement).where(old))
    return gone


async def _sweep_versions(connection: AsyncConnection) -> int:
    bodies: Sequence[str] = (await connection.execute(select(target_state.c.body))).scalars().all()
    named = {
        (state.source, state.path, digest)
        for state in (decode_state(body) for body in bodies)
        for digest in named_versions(state)
    }
    keys = select(target_version.c.source, target_version.c.path, target_version.c.digest)
    unnamed = [tuple(row) for row in await connection.execute(keys) if tuple(row) not in named]
    gone = 0
    for key in unnamed:
        gone += await _rows_gone(
            connection,
            delete(target_version).where(
                target_version.c.source == key[0],
                target_version.c.path == key[1],
                target_version.c.digest == key[2],
            ),
        )
    return gone


async def _sweep_commits(connection: AsyncConnection, retention: Retention) -> int:
    newest = func.row_number().over(partition_by=commits.c.source, order_by=(commits.c.seen_at.desc(), commits.c.id))
    ranked = select(commits.c.source, commits.c.id, newest.label("place")).subquery()
    needed = or_(
        exists().where(source.c.name == ranked.c.source, source.c.head == ranked.c.id),
        exists().where(pointer.c.source == ranked.c.source, pointer.c.head == ranked.c.id),
        exists().where(target_version.c.source == ranked.c.source, target_version.c.origin == ranked.c.id),
    )
    bodies: Sequence[str] = (await connection.execute(select(target_state.c.body))).scalars().all()
    pins = {(one.source, one.pin.commit) for one in map(decode_state, bodies) if one.pin is not None}
    found = select(ranked.c.source, ranked.c.id).where(ranked.c.place > max(retention.commits, 1), not_(needed))
    old = [(row.source, row.id) for row in await connection.execute(found) if (row.source, row.id) not in pins]
    gone = 0
    for name in sorted({name for name, _ in old}):
        for some in chunks(commit for of, commit in old if of == name):
            gone += await _rows_gone(
                connection, delete(commits).where(commits.c.source == name, commits.c.id.in_(some))
            )
    return gone


async def _sweep_attempts(connection: AsyncConnection, retention: Retention) -> int:
    newer = attempt.alias("newer")
    later = (
        select(func.count())
        .select_from(newer)
        .where(newer.c.uid == attempt.c.uid, newer.c.offered_at > attempt.c.offered_at)
        .scalar_subquery()
    )
    return await _rows_gone(connection, delete(attempt).where(later >= max(retention.attempts, 1)))


async def _sweep_blobs(connection: AsyncConnection, now: datetime) -> int:
    used = _every((agent.c.effective, agent.c.components))
    old = blob.c.used_at < now - _BLOB_GRACE
    return await _rows_gone(connection, delete(blob).where(old, blob.c.digest.not_in(used)))


async def _mark_silent(connection: AsyncConnection, retention: Retention, now: datetime) -> None:
    limit = now - timedelta(hours=retention.agents_silent_hours)
    await connection.execute(
        update(agent)
        .where(agent.c.connected.is_(False), agent.c.silent.is_(False), agent.c.last_seen_at < limit)
        .values(silent=True)
    )


async def _sweep_audit(connection: AsyncConnection, retention: Retention, now: datetime) -> int:
    days = max(retention.audit_days, AUDIT_FLOOR_DAYS + 1)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # From the old end only, so that what is left is one unbroken chain; the newest line stays as its anchor.
    first_kept = (
        select(func.coalesce(func.min(audit.c.seq), select(func.max(audit.c.seq)).scalar_subquery()))
        .where(audit.c.at >= midnight - timedelta(days=days))
        .scalar_subquery()
    )
    return await _rows_gone(connection, delete(audit).where(audit.c.seq < first_kept))
