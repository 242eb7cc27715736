"""Which statements a revision signs: one per (target, version that an agent may be given, slot). Pure, no keys.

`except` comes from all versions in effect, so that an agent can tell that a statement is not meant for it: a deeper
target, or one of a higher priority, takes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gitsync.bundle.disjoint import common_labels, fixed_values, plainly_disjoint
from gitsync.bundle.dsse import Envelope, Signature, pae, parse_envelope
from gitsync.bundle.statement import (
    PAYLOAD_TYPE,
    StatedCommit,
    StatedObject,
    Statement,
    read_statement,
    show_instant,
)
from gitsync.bundle.tree import Commit
from gitsync.bundle.version import Payload, Slot, TargetVersion
from gitsync.errors import GitsyncError
from gitsync.ids import CommitId, ConfigHash, SourceName, TargetId, VersionDigest, show_digest
from gitsync.labels import Selector
from gitsync.rollout.state import TargetState

__all__ = [
    "PAYLOAD_TYPE",
    "Envelope",
    "Release",
    "Signature",
    "StatedCommit",
    "StatedObject",
    "Statement",
    "StatementBody",
    "envelope",
    "pae",
    "parse_envelope",
    "read_statement",
    "show_instant",
    "statements",
]

Versions = Mapping[tuple[TargetId, VersionDigest], TargetVersion]
_MAX_COMMIT_TEXT = 500


@dataclass(frozen=True, slots=True)
class StatementBody:
    """A statement before it is signed, and what it is about."""

    path: str
    version: VersionDigest
    slot: Slot
    config_hash: ConfigHash
    body: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """The signed statements of one revision.

    Attributes:
        seq: rises with every change of state, also those that sign nothing.
        head: newest commit of the source at that time.
    """

    source: SourceName
    revision: int
    seq: int
    kind: str
    head: CommitId
    issued: datetime
    expires: datetime
    statements: Mapping[tuple[str, VersionDigest, Slot], Envelope] = field(default_factory=dict)


def envelope(body: bytes, signatures: Sequence[Signature]) -> Envelope:
    """The envelope of a statement and its signatures (made over `pae(PAYLOAD_TYPE, body)`)."""
    return Envelope(PAYLOAD_TYPE, body, tuple(signatures))


def statements(
    *,
    states: Iterable[TargetState],
    versions: Versions,
    payloads: Mapping[ConfigHash, Payload],
    revision: int,
    kind: str,
    issued: datetime,
    expires: datetime,
    kept: Collection[tuple[TargetId, VersionDigest]] = (),
) -> tuple[StatementBody, ...]:
    """The statements of a revision, by path, version and slot; equal arguments give equal bytes.

    Args:
        states: of every target of one source.
        versions: at least those that the states use.
        payloads: at least those of these versions.
        kept: completed versions that are some agent's last good.

    Raises:
        GitsyncError: a version or payload that is in use was not given (`bundle.incomplete`).
    """
    ordered = sorted(states, key=lambda state: state.path.encode())
    taken = _Taken(ordered, versions)
    made: list[StatementBody] = []
    for state in ordered:
        wanted = state.in_use() | {digest for target, digest in kept if target == state.id}
        for digest in sorted(wanted):
            version = _version(versions, state, digest)
            excepts, aliases = taken.from_(version)
            for slot, config_hash in sorted(version.slots.items(), key=lambda item: str(item[0])):
                statement = Statement(
                    source=version.source,
                    revision=revision,
                    kind=kind,
                    commit=_commit(version.origin),
                    path=version.path,
                    version=show_digest(digest),
                    slot=str(slot),
                    selector=version.selector,
                    excepts=excepts,
                    aliases=aliases,
                    assumed=(),
                    buckets=None,
                    config_hash=show_digest(config_hash),
                    objects=_objects(payloads, config_hash),
                    issued=_whole_seconds(issued),
                    expires=_whole_seconds(expires),
                )
                made.append(StatementBody(version.path, digest, slot, config_hash, statement.as_json()))
    return tuple(made)


class _Taken:
    """What each target in effect takes away from targets that come after it."""

    def __init__(self, states: Iterable[TargetState], versions: Versions) -> None:
        self._rows: list[tuple[TargetVersion, Selector, Mapping[str, frozenset[str]]]] = []
        for state in states:
            live = {state.stable}
            if state.rollout is not None:
                live.add(state.rollout.candidate)
            defined = [_version(versions, state, digest) for digest in live if digest is not None]
            # The server judges trusted labels, which the agent cannot see: it could not decide such an exception.
            if not defined or len(defined) < len(live) or any(one.trusted_only for one in defined):
                continue
            if any(one.selector is None for one in defined):
                continue
            # While both sides of a rollout are in effect, an agent is surely taken only if both select it.
            both = Selector.of(
                part for one in defined if one.selector is not None for part in one.selector.requirements
            )
            self._rows.extend((one, both, fixed_values(both)) for one in defined)

    def from_(self, version: TargetVersion) -> tuple[tuple[Selector, ...], Mapping[str, tuple[str, ...]]]:
        """The exceptions of a version's statements, and all aliases that its selectors use."""
        own = version.selector or Selector()
        own_values = fixed_values(own)
        aliases = dict(version.rules.aliases)
        found: set[Selector] = set()
        for other, selector, values in self._rows:
            if not _comes_before(other, version) or plainly_disjoint(own_values, values):
                continue
            more = other.rules.aliases
            if any(aliases.get(name, keys) != keys for name, keys in more.items()):
                continue  # an alias that two commits define differently: the exception cannot be expressed
            if common_labels({**aliases, **more}, own, selector) is not None:
                aliases.update(more)
                found.add(selector)
        return _weakest(found), aliases


def _comes_before(other: TargetVersion, version: TargetVersion) -> bool:
    if other.path == version.path or other.agent_type != version.agent_type:
        return False
    if version.selector is None:
        return True
    return (other.priority, other.depth) > (version.priority, version.depth)


def _weakest(selectors: Collection[Selector]) -> tuple[Selector, ...]:
    """Without those that another one implies, sorted."""
    parts = {one: frozenset(one.requirements) for one in selectors}
    kept = [one for one in selectors if not any(parts[other] < parts[one] for other in selectors)]
    return tuple(sorted(kept, key=lambda one: one.requirements))


def _version(versions: Versions, state: TargetState, digest: VersionDigest) -> TargetVersion:
    version = versions.get((state.id, digest))
    if version is None:
        raise GitsyncError(
            f"version {show_digest(digest)} of target {state.id} is in use, but not at hand",
            code="bundle.incomplete",
        )
    return version


def _objects(payloads: Mapping[ConfigHash, Payload], digest: ConfigHash) -> tuple[StatedObject, ...]:
    payload = payloads.get(digest)
    if payload is None:
        raise GitsyncError(f"payload {show_digest(digest)} is in use, but not at hand", code="bundle.incomplete")
    return tuple(
        StatedObject(one.name, one.content_type, one.role, len(one.body), hashlib.sha256(one.body).hexdigest())
        for one in payload.objects
    )


def _commit(commit: Commit) -> StatedCommit:
    return StatedCommit(
        id=commit.id,
        tree=commit.tree,
        author=_short(commit.author),
        time=_whole_seconds(commit.authored_at),
        subject=_short(commit.subject),
    )


def _short(text: str) -> str:
    return text[:_MAX_COMMIT_TEXT].encode(errors="replace").decode()


def _whole_seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
