"""`Publisher`: from a good bundle to one transaction: decide, sign, write. Only the leader calls it.

Nothing is told to anybody before the transaction is done: a crash before COMMIT leaves the last release, a crash after
it leaves the new one, whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from gitsync.bundle.statements import envelope, statements
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
from gitsync.rollout.transitions import on_commit

log = logging.getLogger("gitsync.publish")

LEASE_LOST = "store.lease_lost"
"""Code of the `Conflict` of a leader that leads no more."""

Versions = Mapping[tuple[TargetId, VersionDigest], TargetVersion]


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
        states, transitions = self._decide(bundle, stored)
        if not transitions:
            return None
        causes = {one.cause for _, one in transitions}
        kind = ReleaseKind.BACK if causes == {"back"} else ReleaseKind.PUBLISH
        versions = _versions(bundle, stored)
        payloads = await self._payloads(bundle, stored, states.values(), versions)
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
            payloads=tuple(bundle.payloads.values()),
            states=tuple(states.values()),
            transitions=tuple(transitions),
            actor=actor,
        )
        publication = replace(
            publication,
            statements=await self._sign(publication, states, versions, payloads),
            audit=(self._audit(publication, stored, actor),),
        )
        return await self._write(publication)

    async def resign(self, source: SourceName, lease: Lease) -> Pointer | None:
        """Signs what is published again under a higher revision, same contents; None when nothing is published."""
        stored = await self._store.load_published(source)
        if stored is None:
            return None
        states = {one.path: one for one in stored.states}
        versions = _stored_versions(stored)
        payloads = await self._payloads(None, stored, states.values(), versions)
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
        publication = replace(publication, statements=await self._sign(publication, states, versions, payloads))
        return await self._write(publication)

    def _decide(
        self, bundle: Bundle, stored: StoredSource | None
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
            transitions.extend((path, one) for one in happened)
        return states, transitions

    def _next_revision(self, stored: StoredSource | None) -> int:
        """Rises over a wiped store too: it starts at unix seconds."""
        least = 0 if stored is None else stored.pointer.revision + 1
        return max(least, int(self._clock.now().timestamp()))

    async def _payloads(
        self, bundle: Bundle | None, stored: StoredSource | None, states: object, versions: Versions
    ) -> dict[ConfigHash, Payload]:
        """The payloads that statements are made about: those of every version in use."""
        known: dict[ConfigHash, Payload] = {}
        if stored is not None:
            known.update((one.digest, one) for one in stored.payloads)
        if bundle is not None:
            known.update(bundle.payloads)
        needed = {
            digest
            for state in states  # type: ignore[attr-defined]
            for version in state.in_use()
            if (found := versions.get((state.id, version))) is not None
            for digest in found.slots.values()
        }
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
    ) -> tuple[StatementRecord, ...]:
        bodies = statements(
            states=states.values(),
            versions=versions,
            payloads=payloads,
            revision=publication.revision,
            kind=str(publication.kind),
            issued=publication.created_at,
            expires=publication.created_at + self._options.validity,
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


def _stored_versions(stored: StoredSource) -> dict[tuple[TargetId, VersionDigest], TargetVersion]:
    return {(one.id, one.digest): one for one in stored.versions}


def _versions(bundle: Bundle, stored: StoredSource | None) -> dict[tuple[TargetId, VersionDigest], TargetVersion]:
    """All versions by identity; one that is stored already keeps the commit where it first appeared."""
    versions = {(one.id, one.digest): one for one in bundle.versions.values()}
    if stored is not None:
        versions.update(_stored_versions(stored))
    return versions
