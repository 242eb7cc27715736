"""Agents: where each is connected, how far it is, what it was offered before; and large values by digest.

`agent` changes on connect and disconnect, `agent_label` when labels change, `agent_status` often. Of two connections of
one agent the one with the higher `conn_epoch` wins, in whatever order their records arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from gitsync.control.records import AgentCounts, AgentFilter, AgentRecord, AttemptRecord, SyncState
from gitsync.fleet.agent import Agent, Attempt, AttemptState
from gitsync.ids import AgentUid, ConfigHash, SourceName, TargetId
from gitsync.labels import Operator, Requirement
from gitsync.store.agentcodec import (
    decode_description,
    decode_labels,
    decode_status,
    encode_labels,
    label_hash,
    label_rows,
    unsigned,
)
from gitsync.store.agentrows import (
    agent_row,
    attempt_row,
    describes_the_same,
    insert_label,
    link_values,
    run,
    same_link,
    same_status,
    status_values,
    update_label_hash,
    update_link,
    update_status,
    upsert_agent,
    upsert_attempt,
    upsert_status,
)
from gitsync.store.engine import Subject
from gitsync.store.releases import chunks
from gitsync.store.tables import agent, agent_label, agent_status, attempt, blob, clean

LIST_LIMIT = 5_000
"""The most agents that one list shows; more are paged."""

_ROW = select(agent, agent_status).join(agent_status, agent_status.c.uid == agent.c.uid)


class Agents(Subject):
    """Rows of `agent`, `agent_label`, `agent_status`, `attempt` and `blob`."""

    __slots__ = ()

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """The stored rows of these agents; unknown ones are left out, silent ones are not."""
        found: dict[AgentUid, AgentRecord] = {}
        async with self._db.read() as connection:
            for some in chunks(uids):
                for row in await connection.execute(_ROW.where(agent.c.uid.in_(some))):
                    record = _record(row)
                    found[record.agent.uid] = record
        return found

    async def load_last_good(self) -> frozenset[ConfigHash]:
        """Payloads that are some known agent's last good one."""
        query = select(agent_status.c.last_good).where(agent_status.c.last_good.is_not(None)).distinct()
        async with self._db.read() as connection:
            rows = await connection.scalars(query)
            return frozenset(ConfigHash(bytes(one)) for one in rows)

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        """Inserts or replaces in one transaction; a row with a higher `conn_epoch` is left alone.

        Of several records of one agent the last with the highest `conn_epoch` is written.

        Args:
            records: newest facts.
            attempts: for the history.
            before: records that this writer stored earlier: only what differs from them is written, when the database
                still has what they say.

        Raises:
            Unavailable: the database is away or locked; nothing was written.
            GitsyncError: the database refuses a value (`store.failed`); nothing was written.
        """
        newest: dict[AgentUid, AgentRecord] = {}
        for record in records:
            known = newest.get(record.agent.uid)
            if known is None or record.conn_epoch >= known.conn_epoch:
                newest[record.agent.uid] = record
        # Everybody locks rows in the order of uids, so that two replicas cannot wait for each other.
        ordered = [newest[uid] for uid in sorted(newest)]
        if not ordered and not attempts:
            return
        async with self._db.write() as connection:
            ours = await self._still_ours(connection, ordered, before or {})
            if ours:
                await self._save_changes(connection, ours)
                uids = {record.agent.uid for record, _ in ours}
                ordered = [record for record in ordered if record.agent.uid not in uids]
            if ordered:
                await self._save_records(connection, ordered)
            if attempts:
                await self._save_attempts(connection, attempts)

    async def list_agents(self, query: AgentFilter) -> Sequence[AgentRecord]:
        """By uid; without agents that were silent for long. At most `LIST_LIMIT`, whatever the query asks for."""
        found = _ROW.where(agent.c.silent.is_(False))
        if query.target is not None:
            found = found.where(agent_status.c.source == query.target.source, agent_status.c.path == query.target.path)
        if query.state is not None:
            found = found.where(agent_status.c.state == str(query.state))
        if query.connected is not None:
            found = found.where(agent.c.connected.is_(query.connected))
        if query.after is not None:
            found = found.where(agent.c.uid > query.after)
        if query.selector is not None:
            found = found.where(*(_selects(one, query.aliases) for one in query.selector.requirements))
        limit = min(max(query.limit, 0), LIST_LIMIT)
        async with self._db.read() as connection:
            rows = (await connection.execute(found.order_by(agent.c.uid).limit(limit))).all()
        return [_record(row) for row in rows]

    async def count_agents(self) -> AgentCounts:
        """Agents by target and state; without those that were silent for long."""
        columns = (agent_status.c.source, agent_status.c.path, agent_status.c.state)
        counted = (
            select(*columns, func.count().label("agents"))
            .join(agent, agent.c.uid == agent_status.c.uid)
            .where(agent.c.silent.is_(False))
            .group_by(*columns)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(counted)).all()
        return {(_target(row.source, row.path), SyncState(row.state)): row.agents for row in rows}

    async def count_builds(self, source: SourceName) -> Mapping[tuple[str, bytes], int]:
        """Agents of a source that report components, by path of their target and hash of the components."""
        columns = (agent_status.c.path, agent.c.components)
        counted = (
            select(*columns, func.count().label("agents"))
            .join(agent, agent.c.uid == agent_status.c.uid)
            .where(agent.c.silent.is_(False), agent_status.c.source == source, agent.c.components.is_not(None))
            .group_by(*columns)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(counted)).all()
        return {(row.path, bytes(row.components)): row.agents for row in rows}

    async def list_attempts(self, uid: AgentUid, limit: int) -> Sequence[AttemptRecord]:
        """Newest first, by when they were offered."""
        found = (
            select(attempt)
            .where(attempt.c.uid == uid)
            .order_by(attempt.c.offered_at.desc(), attempt.c.revision.desc(), attempt.c.digest)
            .limit(max(limit, 0))
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(found)).all()
        return [_attempt(row) for row in rows]

    async def mark_disconnected(self, replica_id: str, at: datetime) -> int:
        """Agents that this replica was serving when it died are not connected; how many there were."""
        marked = (
            update(agent)
            .where(agent.c.replica_id == replica_id, agent.c.connected.is_(True))
            .values(connected=False, last_seen_at=at)
        )
        async with self._db.write() as connection:
            return (await connection.execute(marked)).rowcount

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        """Stores a large value once; a value that is there already is only marked as used."""
        upsert = self._db.insert(blob).values(digest=digest, kind=kind, body=body, used_at=at)
        async with self._db.write() as connection:
            await connection.execute(
                upsert.on_conflict_do_update(
                    index_elements=[blob.c.digest],
                    set_={"used_at": upsert.excluded.used_at},
                    where=blob.c.used_at < upsert.excluded.used_at,
                )
            )

    async def load_blob(self, digest: bytes) -> bytes | None:
        """Its content; None when it is not known."""
        async with self._db.read() as connection:
            body = (await connection.execute(select(blob.c.body).where(blob.c.digest == digest))).scalar_one_or_none()
        return None if body is None else bytes(body)

    async def _still_ours(
        self, connection: AsyncConnection, records: Sequence[AgentRecord], before: Mapping[AgentUid, AgentRecord]
    ) -> list[tuple[AgentRecord, AgentRecord]]:
        """Records with what stands in the database of them; their rows are locked against other replicas."""
        pairs = [(one, old) for one in records if (old := before.get(one.agent.uid)) and describes_the_same(one, old)]
        epochs: dict[bytes, int] = {}
        for some in chunks(one.agent.uid for one, _ in pairs):
            found = select(agent.c.uid, agent.c.conn_epoch).where(agent.c.uid.in_(some)).order_by(agent.c.uid)
            rows = (await connection.execute(found.with_for_update())).all()
            epochs |= {row[0]: row[1] for row in rows}
        return [(one, old) for one, old in pairs if epochs.get(one.agent.uid) == old.conn_epoch <= one.conn_epoch]

    async def _save_changes(
        self, connection: AsyncConnection, pairs: Sequence[tuple[AgentRecord, AgentRecord]]
    ) -> None:
        links = [(*link_values(one), one.agent.uid) for one, old in pairs if not same_link(one, old)]
        await run(connection, update_link(self._db.dialect), links)
        hot = [(*status_values(one), one.agent.uid) for one, old in pairs if not same_status(one, old)]
        await run(connection, update_status(self._db.dialect), hot)

    async def _save_records(self, connection: AsyncConnection, records: Sequence[AgentRecord]) -> None:
        # 1. The agents' rows. Also a row that is left alone is locked by this, so 2 to 4 see nobody else's changes.
        labels = {record.agent.uid: encode_labels(record.agent.labels) for record in records}
        rows = [agent_row(record, labels[record.agent.uid]) for record in records]
        await run(connection, upsert_agent(self._db.dialect), rows)
        # 2. Whose record won.
        stored: dict[bytes, Row[Any]] = {}
        for some in chunks(labels):
            found = select(agent.c.uid, agent.c.conn_epoch, agent.c.label_hash).where(agent.c.uid.in_(some))
            stored |= {row.uid: row for row in await connection.execute(found)}
        winners = [record for record in records if stored[record.agent.uid].conn_epoch == record.conn_epoch]
        # 3. Labels, where they differ from what stands there.
        relabelled = [
            record for record in winners if stored[record.agent.uid].label_hash != label_hash(labels[record.agent.uid])
        ]
        fresh = {record.agent.uid for record in relabelled if not stored[record.agent.uid].label_hash}
        await self._write_labels(connection, relabelled, labels, fresh)
        # 4. The hot row.
        status = [(record.agent.uid, *status_values(record)) for record in winners]
        await run(connection, upsert_status(self._db.dialect), status)

    async def _write_labels(
        self,
        connection: AsyncConnection,
        records: Sequence[AgentRecord],
        labels: Mapping[AgentUid, str],
        fresh: Collection[AgentUid],
    ) -> None:
        for some in chunks(record.agent.uid for record in records if record.agent.uid not in fresh):
            await connection.execute(delete(agent_label).where(agent_label.c.uid.in_(some)))
        rows = [row for record in records for row in label_rows(record.agent.uid, record.agent.labels)]
        await run(connection, insert_label(self._db.dialect), rows)
        hashes = [(label_hash(labels[one.agent.uid]), one.agent.uid) for one in records]
        await run(connection, update_label_hash(self._db.dialect), hashes)

    async def _save_attempts(self, connection: AsyncConnection, attempts: Sequence[AttemptRecord]) -> None:
        newest = {(one.uid, one.attempt.digest, one.attempt.revision): one for one in attempts}
        rows = [attempt_row(newest[key]) for key in sorted(newest)]
        await run(connection, upsert_attempt(self._db.dialect), rows)


def _selects(one: Requirement, aliases: Mapping[str, tuple[str, ...]]) -> ColumnElement[bool]:
    """SQL condition: the agent's effective labels, aliases resolved, meet the requirement."""
    keys = (one.key, *aliases.get(one.key, ()))
    if one.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
        present = or_(*(_has(key) for key in keys))
        return present if one.operator is Operator.EXISTS else not_(present)
    # Of an alias the first key that the agent has counts: those before it are absent.
    with_value = or_(
        *(
            and_(_has_value(key, one.values), *(not_(_has(before)) for before in keys[:at]))
            for at, key in enumerate(keys)
        )
    )
    # NotIn also matches agents without the label, as in Kubernetes.
    return with_value if one.operator is Operator.IN else not_(with_value)


def _has(key: str) -> ColumnElement[bool]:
    mine = agent_label.alias()
    return exists().where(mine.c.uid == agent.c.uid, mine.c.key == clean(key))


def _has_value(key: str, values: Sequence[str]) -> ColumnElement[bool]:
    """The effective value of a key is the one of the highest rank, so a row counts when no higher one hides it."""
    mine, higher = agent_label.alias(), agent_label.alias()
    hidden = exists().where(higher.c.uid == mine.c.uid, higher.c.key == mine.c.key, higher.c.rank > mine.c.rank)
    mine_is_it = and_(mine.c.uid == agent.c.uid, mine.c.key == clean(key))
    return exists().where(mine_is_it, mine.c.value.in_([clean(value) for value in values]), not_(hidden))


def _record(row: Row[Any]) -> AgentRecord:
    known = Agent(
        uid=AgentUid(row.uid),
        labels=decode_labels(row.labels),
        identifying_keys=decode_description(row.description),
        capabilities=unsigned(row.capabilities),
        effective=row.effective,
        components=row.components,
        started_at=row.started_at,
        **decode_status(row.body),
    )
    return AgentRecord(
        agent=known,
        replica_id=row.replica_id,
        conn_epoch=row.conn_epoch,
        connected=row.connected,
        connected_at=row.connected_at,
        last_seen_at=row.last_seen_at,
        transport=row.transport,
        remote_addr=row.remote_addr,
        state=SyncState(row.state),
        reason=row.reason,
        changed_at=row.changed_at,
        healthy=row.healthy,
        error=row.error,
    )


def _target(source: str | None, path: str | None) -> TargetId | None:
    return None if source is None or path is None else TargetId(SourceName(source), path)


def _attempt(row: Row[Any]) -> AttemptRecord:
    known = Attempt(
        digest=ConfigHash(row.digest),
        revision=row.revision,
        state=AttemptState(row.state),
        offered_at=row.offered_at,
        changed_at=row.changed_at,
        error=row.error,
        tries=row.tries,
        applying_at=row.applying_at,
        applied_at=row.applied_at,
        healthy_at=row.healthy_at,
        failed_at=row.failed_at,
    )
    return AttemptRecord(AgentUid(row.uid), known)
