"""Publications: target versions, payloads, states, statements, history, and the pointer that replicas poll."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row, and_, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gitsync.bundle.statements import Envelope, parse_envelope
from gitsync.bundle.version import Payload, Slot, TargetVersion
from gitsync.control.records import (
    Pointer,
    Publication,
    ReleaseKind,
    ReleaseRecord,
    StatementRecord,
    StoredSource,
    TransitionRecord,
)
from gitsync.errors import Conflict
from gitsync.ids import CommitId, ConfigHash, SourceName, VersionDigest
from gitsync.rollout.state import TargetState, Transition
from gitsync.store import audit as audit_log
from gitsync.store.codec import (
    decode_payload,
    decode_state,
    decode_version,
    encode_objects,
    encode_provenance,
    encode_state,
    encode_version,
    named_versions,
    reading,
)
from gitsync.store.engine import POSTGRESQL, Database, Subject
from gitsync.store.leases import is_leader
from gitsync.store.tables import (
    commits,
    lease,
    payload,
    pointer,
    release,
    statement,
    target_state,
    target_version,
    transition,
    version_slot,
)

CHUNK = 500
"""Values in one IN (...): below the parameter limit of both dialects."""
CONTENT_LOCK = 0x6773_636F_6E74
"""PostgreSQL advisory lock: publications share it, a sweep holds it alone ("gscont")."""

_T = TypeVar("_T")


class Releases(Subject):
    """Rows of `pointer`, `release`, `statement`, `target_state`, `target_version`, `payload`, `transition`."""

    __slots__ = ()

    async def load_pointers(self) -> Sequence[Pointer]:
        """The pointer of every published source, by source: the one cheap query that is polled."""
        async with self._db.read() as connection:
            rows = (await connection.execute(select(pointer).order_by(pointer.c.source))).all()
        return [_pointer(row) for row in rows]

    async def load_published(self, source: SourceName) -> StoredSource | None:
        """What is published, from one consistent state of the database; None before the first publication.

        Raises:
            TrustError: something stored is broken, or a payload is not what its digest says.
            SettingsError: a newer program wrote it.
            Unavailable: the database is away.
        """
        async with self._db.read() as connection:
            found = (await connection.execute(select(pointer).where(pointer.c.source == source))).one_or_none()
            if found is None:
                return None
            current = _pointer(found)
            states = await _load_states(connection, source)
            statements = await _load_statements(connection, current)
            made = select(release).where(release.c.source == source, release.c.revision == current.revision)
            record = _release((await connection.execute(made)).one())
            versions = await _load_versions(connection, states)
            used = {(one.path, digest) for one in states for digest in one.in_use()}
            wanted = {hash_ for one in versions if (one.path, one.digest) in used for hash_ in one.slots.values()}
            payloads = await _load_payloads(connection, wanted)
        ordered = tuple(payloads[digest] for digest in sorted(payloads))
        return StoredSource(current, record, states, versions, ordered, statements)

    async def load_payloads(self, digests: Sequence[ConfigHash]) -> Mapping[ConfigHash, Payload]:
        """The payloads that exist, by digest.

        Raises:
            TrustError: a payload is not what its digest says.
            Unavailable: the database is away.
        """
        async with self._db.read() as connection:
            return await _load_payloads(connection, digests)

    async def publish(self, publication: Publication) -> Pointer:
        """Writes the publication in one transaction; the pointer that it made.

        Called again with the same `request_id` it returns the pointer that the first call made: so an unknown outcome
        of COMMIT is settled.

        Raises:
            Conflict: the lease was lost (`store.lease_lost`), or the pointer has moved on, or the revision does not
                rise (`store.conflict`); nothing was written.
            Unavailable: the database is away or locked; the outcome may be unknown.
        """
        async with self._db.write() as connection:
            # 0. Was it written before? (The answer to an earlier COMMIT may have been lost.)
            settled = await _settled(connection, publication.request_id)
            if settled is not None:
                return settled
            # 1. No sweep may drop a payload between our "it is there already" and the state that names it.
            if self._db.dialect == POSTGRESQL:
                await connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": CONTENT_LOCK})
            # 2. Move the pointer under guard. This takes its row lock: of two publishers the second waits here, and
            #    then finds that `seq` has moved on. Nobody sees the new pointer before COMMIT, so a crash at any
            #    later step leaves the old revision whole: pointer, states and statements become visible together.
            current = await _move_pointer(self._db, connection, publication)
            if current is None:
                # The one that was first may have been this request itself, still under way at step 0.
                settled = await _settled(connection, publication.request_id)
                if settled is not None:
                    return settled
                raise await _why_refused(connection, publication)
            # 3. Content, then what refers to it.
            await _insert_content(self._db, connection, publication)
            await _insert_release(connection, publication, current)
            await _write_states(self._db, connection, publication, current)
            # 4. Last, as every writer of the chain waits for the one before.
            await audit_log.append(self._db, connection, publication.audit)
            # 5. The lease once more: a process that was frozen since step 2 must not commit for a new leader.
            if (await connection.execute(select(lease.c.name).where(is_leader(publication.epoch)))).first() is None:
                raise _lease_lost(publication)
        return current

    async def list_releases(self, source: SourceName, limit: int, before: int | None = None) -> Sequence[ReleaseRecord]:
        """Newest first, by revision; with `before`, those of lower revisions."""
        found = select(release).where(release.c.source == source)
        if before is not None:
            found = found.where(release.c.revision < before)
        async with self._db.read() as connection:
            rows = (await connection.execute(found.order_by(release.c.revision.desc()).limit(max(limit, 0)))).all()
        return [_release(row) for row in rows]

    async def list_transitions(self, source: SourceName, path: str | None, limit: int) -> Sequence[TransitionRecord]:
        """Newest first; of one target, or of all with `path` None."""
        # Outer joins: what happened is told also when the rows that say more about it are gone.
        published = and_(release.c.source == transition.c.source, release.c.seq == transition.c.seq)
        kept = and_(commits.c.source == release.c.source, commits.c.id == release.c.head)
        found = (
            select(transition, release.c.head, commits.c.subject)
            .outerjoin(release, published)
            .outerjoin(commits, kept)
            .where(transition.c.source == source)
        )
        if path is not None:
            found = found.where(transition.c.path == path)
        newest = found.order_by(transition.c.seq.desc(), transition.c.n.desc()).limit(max(limit, 0))
        async with self._db.read() as connection:
            rows = (await connection.execute(newest)).all()
        return [_transition(row) for row in rows]

    async def load_statements(self, digest: ConfigHash) -> Sequence[Envelope]:
        """Statements of the newest revision of each source for a payload, by source, path and slot."""
        newest = and_(statement.c.source == pointer.c.source, statement.c.revision == pointer.c.revision)
        found = (
            select(statement.c.envelope)
            .join(pointer, newest)
            .where(statement.c.config_hash == digest)
            .order_by(statement.c.source, statement.c.path, statement.c.version, statement.c.slot)
        )
        async with self._db.read() as connection:
            bodies = (await connection.execute(found)).scalars().all()
        with reading("statement"):
            return [parse_envelope(body) for body in bodies]


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────


def _lease_lost(publication: Publication) -> Conflict:
    return Conflict(
        f"revision {publication.revision} of {publication.source} was not written: "
        f"the leader's lease (epoch {publication.epoch}) is over",
        code="store.lease_lost",
    )


async def _settled(connection: AsyncConnection, request_id: str) -> Pointer | None:
    """The pointer that this request made; None when it was not written."""
    row = (await connection.execute(select(release).where(release.c.request_id == request_id))).one_or_none()
    if row is None:
        return None
    return Pointer(SourceName(row.source), row.revision, row.seq, CommitId(row.head), row.epoch)


async def _move_pointer(db: Database, connection: AsyncConnection, publication: Publication) -> Pointer | None:
    """The new pointer, written under the guards of lease, `seq` and revision; None when one does not hold."""
    moved = Pointer(
        publication.source,
        publication.revision,
        publication.seq_read + 1,
        publication.head,
        publication.epoch,
    )
    values = {"revision": moved.revision, "seq": moved.seq, "head": moved.head, "epoch": moved.epoch}
    guarded: Any
    if publication.seq_read == 0:
        # Only the leader inserts the first one, and only when nobody did so before.
        row = [pointer.c.source, *(pointer.c[name] for name in values)]
        literals = select(*(literal(one) for one in (moved.source, *values.values()))).where(
            is_leader(publication.epoch)
        )
        guarded = db.insert(pointer).from_select([one.name for one in row], literals).on_conflict_do_nothing()
    else:
        guarded = (
            update(pointer)
            .where(
                pointer.c.source == publication.source,
                pointer.c.seq == publication.seq_read,
                pointer.c.revision < publication.revision,
                pointer.c.epoch <= publication.epoch,
                is_leader(publication.epoch),
            )
            .values(**values)
        )
    written = (await connection.execute(guarded.returning(pointer.c.seq))).first() is not None
    return moved if written else None


async def _why_refused(connection: AsyncConnection, publication: Publication) -> Conflict:
    """Which guard failed; the lease first, as the caller must then stop being leader."""
    if (await connection.execute(select(lease.c.name).where(is_leader(publication.epoch)))).first() is None:
        return _lease_lost(publication)
    stored = (await connection.execute(select(pointer).where(pointer.c.source == publication.source))).one_or_none()
    if stored is not None and stored.seq == publication.seq_read and stored.revision >= publication.revision:
        what = f"revision {stored.revision} is published already, and revisions only rise"
    else:
        seq = 0 if stored is None else stored.seq
        what = f"it was decided on seq {publication.seq_read}, which has moved to {seq}"
    return Conflict(
        f"revision {publication.revision} of {publication.source} was not written: {what}",
        code="store.conflict",
    )


async def _insert_content(db: Database, connection: AsyncConnection, publication: Publication) -> None:
    """Payloads, versions and their slots; what is stored already stays as it is (same digest, same content).

    Except for what the digest does not cover: `redefined` versions are written again.
    """
    await _insert_new(
        connection,
        db.insert(payload).on_conflict_do_nothing(),
        [
            {
                "digest": one.digest,
                "objects": encode_objects(one),
                "provenance": encode_provenance(one),
                "size_bytes": one.size_bytes,
                "created_at": publication.created_at,
            }
            for one in sorted(publication.payloads, key=lambda each: each.digest)
        ],
    )
    versions = sorted(publication.versions, key=lambda each: (each.path, each.digest))
    keys = [{"source": one.source, "path": one.path, "digest": one.digest} for one in versions]
    await _insert_new(
        connection,
        db.insert(target_version).on_conflict_do_nothing(),
        [
            {**key, "origin": one.origin.id, "body": encode_version(one)}
            for key, one in zip(keys, versions, strict=True)
        ],
    )
    for one in publication.redefined:
        # Under the pointer's row lock, like all the rest: who reads the new pointer reads the new definition too.
        key = (target_version.c.source == one.source, target_version.c.path == one.path)
        stored = update(target_version).where(*key, target_version.c.digest == one.digest)
        await connection.execute(stored.values(body=encode_version(one)))
    await _insert_new(
        connection,
        db.insert(version_slot).on_conflict_do_nothing(),
        [
            {**key, "slot": str(slot), "config_hash": digest}
            for key, one in zip(keys, versions, strict=True)
            for slot, digest in one.slots.items()
        ],
    )


async def _insert_release(connection: AsyncConnection, publication: Publication, current: Pointer) -> None:
    key = {"source": publication.source, "revision": publication.revision}
    row = {
        **key,
        "seq": current.seq,
        "epoch": current.epoch,
        "kind": str(publication.kind),
        "head": publication.head,
        "restores": publication.restores,
        "request_id": publication.request_id,
        "created_at": publication.created_at,
    }
    await connection.execute(insert(release), row)
    await _insert_new(
        connection,
        insert(statement),
        [
            {
                **key,
                "path": one.path,
                "version": one.version,
                "slot": str(one.slot),
                "config_hash": one.config_hash,
                "envelope": one.envelope.as_json(),
            }
            for one in publication.statements
        ],
    )


async def _write_states(db: Database, connection: AsyncConnection, publication: Publication, current: Pointer) -> None:
    upsert = db.insert(target_state)
    await _insert_new(
        connection,
        upsert.on_conflict_do_update(
            index_elements=[target_state.c.source, target_state.c.path],
            set_={"seq": upsert.excluded.seq, "body": upsert.excluded.body},
        ),
        [
            {"source": one.source, "path": one.path, "seq": current.seq, "body": encode_state(one)}
            for one in publication.states
        ],
    )
    await _insert_new(
        connection,
        insert(transition),
        [
            {
                "source": publication.source,
                "seq": current.seq,
                "n": n,
                "path": path,
                "at": one.at,
                "actor": publication.actor,
                "cause": one.cause,
                "before": one.before,
                "after": one.after,
                "reason": one.reason,
            }
            for n, (path, one) in enumerate(publication.transitions)
        ],
    )


async def _insert_new(connection: AsyncConnection, statement_: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement_, rows)


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────


def chunks(values: Iterable[_T]) -> Iterable[list[_T]]:
    """The values in lists that fit into one IN (...)."""
    every = list(values)
    return (every[start : start + CHUNK] for start in range(0, len(every), CHUNK))


async def _load_states(connection: AsyncConnection, source: SourceName) -> tuple[TargetState, ...]:
    found = select(target_state.c.body).where(target_state.c.source == source).order_by(target_state.c.path)
    return tuple(decode_state(body) for body in (await connection.execute(found)).scalars())


async def _load_versions(connection: AsyncConnection, states: Sequence[TargetState]) -> tuple[TargetVersion, ...]:
    named = {(state.source, state.path, digest) for state in states for digest in named_versions(state)}
    found: list[TargetVersion] = []
    for some in chunks(sorted({digest for _, _, digest in named})):
        rows = await connection.execute(select(target_version).where(target_version.c.digest.in_(some)))
        found += (decode_version(row.body) for row in rows if (row.source, row.path, row.digest) in named)
    return tuple(sorted(found, key=lambda one: (one.path, one.digest)))


async def _load_payloads(connection: AsyncConnection, digests: Iterable[ConfigHash]) -> dict[ConfigHash, Payload]:
    found: dict[ConfigHash, Payload] = {}
    for some in chunks(sorted(set(digests))):
        for row in await connection.execute(select(payload).where(payload.c.digest.in_(some))):
            found[ConfigHash(row.digest)] = decode_payload(row.digest, row.objects, row.provenance)
    return found


async def _load_statements(connection: AsyncConnection, current: Pointer) -> tuple[StatementRecord, ...]:
    found = (
        select(statement)
        .where(statement.c.source == current.source, statement.c.revision == current.revision)
        .order_by(statement.c.path, statement.c.version, statement.c.slot)
    )
    rows = (await connection.execute(found)).all()
    with reading("statement"):
        return tuple(
            StatementRecord(
                path=row.path,
                version=VersionDigest(row.version),
                slot=Slot.parse(row.slot),
                config_hash=ConfigHash(row.config_hash),
                envelope=parse_envelope(row.envelope),
            )
            for row in rows
        )


def _pointer(row: Row[Any]) -> Pointer:
    return Pointer(SourceName(row.source), row.revision, row.seq, CommitId(row.head), row.epoch)


def _release(row: Row[Any]) -> ReleaseRecord:
    return ReleaseRecord(
        source=SourceName(row.source),
        revision=row.revision,
        kind=ReleaseKind(row.kind),
        head=CommitId(row.head),
        created_at=row.created_at,
        restores=row.restores,
        request_id=row.request_id,
    )


def _transition(row: Row[Any]) -> TransitionRecord:
    before = None if row.before is None else VersionDigest(row.before)
    after = None if row.after is None else VersionDigest(row.after)
    return TransitionRecord(
        source=SourceName(row.source),
        path=row.path,
        seq=row.seq,
        transition=Transition(row.cause, before, after, row.reason, row.at),
        actor=row.actor,
        commit=None if row.head is None else CommitId(row.head),
        subject=row.subject,
    )
