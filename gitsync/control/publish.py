"""`Publisher`: from a good bundle to one transaction: decide, sign, write. Only the leader calls it.

Nothing is told to anybody before the transaction is done: a crash before COMMIT leaves the last release, a crash after
it leaves the new one, whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from gitsync.bundle.stability import keep_stable
from gitsync.bundle.statements import Release, envelope, statements
from gitsync.bundle.version import Bundle, Payload, TargetVersion
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock, Random, Signer, Store
from gitsync.control.records import (
    AuditEntry,
    Lease,
    Pointer,
    Publication,
    ReleaseKind,
    StatementRecord,
    StoredSource,
)
from gitsync.errors import Conflict, GitsyncError, Unavailable
from gitsync.ids import ConfigHash, SourceName, TargetId, VersionDigest, show_digest
from gitsync.rollout.state import Proposal, TargetState, Transition
from gitsync.rollout.transitions import on_commit, on_redefinition

log = logging.getLogger("gitsync.publish")

LEASE_LOST = "store.lease_lost"
"""Code of the `Conflict` of a leader that leads no more."""

VersionKey = tuple[TargetId, VersionDigest]
Versions = Mapping[VersionKey, TargetVersion]


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How long a statement holds; it is signed again at half of that."""

    validity: timedelta = timedelta(days=14)
    commit_tries: int = 5
    conflict_tries: int = 3


class Publisher:
    """Turns bundles into revisions."""

    def __init__(
        self,
        options: PublishOptions,
        store: Store,
        signer: Signer,
        meters: Meters,
        clock: Clock,
        random: Random,
    ) -> None:
        self._options = options
        self._store = store
        self._signer = signer
        self._meters = meters
        self._clock = clock
        self._random = random

    async def publish(self, bundle: Bundle, lease: Lease, actor: str) -> Pointer | None:
        """Publishes a bundle; None when it changes nothing for any target.

        Raises:
            Conflict: the lease was lost, or others published meanwhile again and again; nothing was written.
            Unavailable: the store or the signer is away; nothing was written, or it was written whole.
        """
        for left in reversed(range(self._options.conflict_tries)):
            try:
                return await self._publish(bundle, lease, actor)
            except Conflict as error:
                # What is published was signed again meanwhile, say: read again and decide again.
                if error.code == LEASE_LOST or not left:
                    raise
                log.info("source %s: %s; deciding again", bundle.source, error)
        raise GitsyncError("no attempt to publish was made", code="publish.tries")

    async def _publish(self, bundle: Bundle, lease: Lease, actor: str) -> Pointer | None:
        stored = await self._store.load_published(bundle.source)
        bundle = await asyncio.to_thread(_keep_stable, bundle, stored)
        redefined = _redefined(bundle, stored)
        states, transitions = self._decide(bundle, stored, redefined)
        if not transitions:
            return None
        causes = {one.cause for _, one in transitions} - {"connection"}
        kind = ReleaseKind.BACK if causes == {"back"} else ReleaseKind.PUBLISH
        versions = _versions(bundle, stored) | {(one.id, one.digest): one for one in redefined.values()}
        kept = await self._kept(states.values(), versions)
        payloads = await self._payloads(bundle, stored, states.values(), versions, kept)
        new = tuple(
            version
            for path, version in bundle.versions.items()
            if stored is None or (version.id, version.digest) not in _stored_versions(stored)
        )
        publication = Publication(
            source=bundle.source,
            revision=self._next_revision(stored),
            seq_read=0 if stored is None else stored.pointer.seq,
            epoch=lease.epoch,
            kind=kind,
            head=bundle.commit.id,
            request_id=self._random.token(),
            created_at=self._clock.now(),
            versions=new,
            redefined=tuple(redefined.values()),
            payloads=tuple(bundle.payloads.values()),
            states=tuple(states.values()),
            transitions=tuple(transitions),
            actor=actor,
        )
        publication = replace(publication, statements=await self._sign(publication, states, versions, payloads, kept))
        # After the statements: the audit line names the payloads that they are about.
        publication = replace(publication, audit=(self._audit(publication, stored, actor),))
        return await self._write(publication)

    def has_signed(self, release: Release) -> bool:
        """Whether the key of this process has signed all that the release states."""
        keyid = self._signer.keyid
        return all(any(one.keyid == keyid for one in envelope.signatures) for envelope in release.statements.values())

    async def resign(self, source: SourceName, lease: Lease) -> Pointer | None:
        """Signs what is published again under a higher revision, same contents; None when nothing is published."""
        stored = await self._store.load_published(source)
        if stored is None:
            return None
        states = {one.path: one for one in stored.states}
        versions = _stored_versions(stored)
        kept = await self._kept(states.values(), versions)
        payloads = await self._payloads(None, stored, states.values(), versions, kept)
        publication = Publication(
            source=source,
            revision=self._next_revision(stored),
            seq_read=stored.pointer.seq,
            epoch=lease.epoch,
            kind=ReleaseKind.RESIGN,
            head=stored.pointer.head,
            request_id=self._random.token(),
            created_at=self._clock.now(),
            restores=stored.pointer.revision,
        )
        publication = replace(
            publication,
            statements=await self._sign(publication, states, versions, payloads, kept),
            audit=(replace(self._audit(publication, stored, "system"), action="resign"),),
        )
        return await self._write(publication)

    def _decide(
        self, bundle: Bundle, stored: StoredSource | None, redefined: Mapping[str, TargetVersion]
    ) -> tuple[dict[str, TargetState], list[tuple[str, Transition]]]:
        before = {} if stored is None else {one.path: one for one in stored.states}
        now = self._clock.now()
        states: dict[str, TargetState] = {}
        transitions: list[tuple[str, Transition]] = []
        for path in sorted(before.keys() | bundle.versions.keys()):
            version = bundle.versions.get(path)
            proposal = None if version is None else Proposal(version.digest, version.plan, version.inputs)
            state = before.get(path) or TargetState(bundle.source, path)
            states[path], happened = on_commit(state, proposal, now)
            if path in redefined and not happened:
                states[path], happened = on_redefinition(states[path], now)
            transitions.extend((path, one) for one in happened)
        return states, transitions

    def _next_revision(self, stored: StoredSource | None) -> int:
        """Rises over a wiped store too: it starts at unix seconds."""
        least = 0 if stored is None else stored.pointer.revision + 1
        return max(least, int(self._clock.now().timestamp()))

    async def _kept(self, states: Collection[TargetState], versions: Versions) -> frozenset[VersionKey]:
        """Completed versions that hold some known agent's last good payload: they stay signed."""
        last_good = await self._store.load_last_good()
        return frozenset(
            (state.id, digest)
            for state in states
            for digest in state.completed
            if (found := versions.get((state.id, digest))) is not None
            and not last_good.isdisjoint(found.slots.values())
        )

    async def _payloads(
        self,
        bundle: Bundle | None,
        stored: StoredSource | None,
        states: Collection[TargetState],
        versions: Versions,
        kept: frozenset[VersionKey],
    ) -> dict[ConfigHash, Payload]:
        """The payloads that statements are made about: those of every version in use or kept."""
        known: dict[ConfigHash, Payload] = {}
        if stored is not None:
            known.update((one.digest, one) for one in stored.payloads)
        if bundle is not None:
            known.update(bundle.payloads)
        used = {(state.id, version) for state in states for version in state.in_use()} | kept
        needed = {digest for key in used if (found := versions.get(key)) is not None for digest in found.slots.values()}
        missing = sorted(needed - known.keys())
        if missing:
            known.update(await self._store.load_payloads(missing))
        return known

    async def _sign(
        self,
        publication: Publication,
        states: Mapping[str, TargetState],
        versions: Versions,
        payloads: Mapping[ConfigHash, Payload],
        kept: frozenset[VersionKey],
    ) -> tuple[StatementRecord, ...]:
        bodies = statements(
            states=states.values(),
            versions=versions,
            payloads=payloads,
            revision=publication.revision,
            kind=str(publication.kind),
            issued=publication.created_at,
            expires=publication.created_at + self._options.validity,
            kept=sorted(kept),
        )
        signatures = await self._signer.sign([one.body for one in bodies])
        return tuple(
            StatementRecord(one.path, one.version, one.slot, one.config_hash, envelope(one.body, [signature]))
            for one, signature in zip(bodies, signatures, strict=True)
        )

    def _audit(self, publication: Publication, stored: StoredSource | None, actor: str) -> AuditEntry:
        return AuditEntry(
            at=publication.created_at,
            actor=actor,
            action="config_update",
            object=f"source/{publication.source}",
            outcome="success",
            details={
                "commit": publication.head,
                "old_version": "" if stored is None else stored.pointer.head,
                "new_version": publication.head,
                "revision": publication.revision,
                "targets": {
                    path: "" if one.after is None else show_digest(one.after) for path, one in publication.transitions
                },
                "config_hash": sorted({show_digest(one.config_hash) for one in publication.statements})[:100],
            },
        )

    async def _write(self, publication: Publication) -> Pointer:
        """Writes it; an unknown outcome of COMMIT is settled by asking again with the same request id."""
        for attempt in range(self._options.commit_tries):
            try:
                pointer = await self._store.publish(publication)
            except Unavailable as error:
                if attempt + 1 == self._options.commit_tries:
                    raise
                log.warning("revision %d: %s; asking again", publication.revision, error)
                await asyncio.sleep(min(0.2 * 2**attempt, 2.0))
                continue
            self._meters.releases[str(publication.kind)] += 1
            return pointer
        raise GitsyncError("no attempt to publish was made", code="publish.tries")


def _keep_stable(bundle: Bundle, stored: StoredSource | None) -> Bundle:
    if stored is None:
        return bundle
    versions = _stored_versions(stored)
    stable = {one.path: versions[one.id, one.stable] for one in stored.states if one.stable is not None}
    return keep_stable(bundle, stable, {one.digest: one for one in stored.payloads})


def _redefined(bundle: Bundle, stored: StoredSource | None) -> dict[str, TargetVersion]:
    """Versions of the bundle that are stored with other connection settings, by path: the stored ones with the new.

    Everything else of them stays, the commit where they first appeared above all.
    """
    known = {} if stored is None else _stored_versions(stored)
    pairs = [(one, known.get((one.id, one.digest))) for one in bundle.versions.values()]
    return {
        new.path: replace(old, connection=new.connection)
        for new, old in pairs
        if old is not None and old.connection != new.connection
    }


def _stored_versions(stored: StoredSource) -> dict[tuple[TargetId, VersionDigest], TargetVersion]:
    return {(one.id, one.digest): one for one in stored.versions}


def _versions(bundle: Bundle, stored: StoredSource | None) -> dict[tuple[TargetId, VersionDigest], TargetVersion]:
    """All versions by identity; one that is stored already keeps the commit where it first appeared."""
    versions = {(one.id, one.digest): one for one in bundle.versions.values()}
    if stored is not None:
        versions.update(_stored_versions(stored))
    return versions
