"""Stored forms: values to JSON text and back. Pure.

Rules
- Every body is an object with `"v": 1`. A higher number was written by a newer program and is refused; a body that
  cannot be read is refused with `TrustError`, never guessed.
- Bytes are hex (digests, uids) or base64 (contents); instants are ISO 8601 in UTC with microseconds.
- Half surrogate pairs and NUL are escaped, so that everything fits every database.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from gitsync.bundle.statements import parse_envelope
from gitsync.bundle.tree import Commit
from gitsync.bundle.version import ConfigObject, MatchRules, Payload, Slot, TargetVersion, config_hash
from gitsync.collector.document import Origin
from gitsync.control.records import (
    Pointer,
    ReleaseKind,
    ReleaseRecord,
    StatementRecord,
    StoredSource,
)
from gitsync.diagnostics import Diagnostic
from gitsync.errors import GitsyncError, SettingsError, TrustError
from gitsync.ids import BlobId, CommitId, ConfigHash, SourceName, VersionDigest, show_digest
from gitsync.labels import Selector
from gitsync.rollout.cohort import Cohort
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import Phase, Pin, Quarantined, Rollout, TargetState

VERSION = 1
"""Version number of every body that is written."""


def dump(kind: str, body: Mapping[str, Any]) -> str:
    """The body as text, with its version number; equal bodies give equal texts.

    Raises:
        GitsyncError: a value has no JSON form.
    """
    try:
        return _encode({"v": VERSION, **body})
    except (TypeError, ValueError) as error:
        raise GitsyncError(f"{kind} cannot be stored: {error}", code="store.encode") from error


def plain(value: object) -> object:
    """What JSON has for a value that is not one of its own: a dict for any mapping.

    Raises:
        TypeError: it has none.
    """
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain).encode


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """Makes every way in which a stored body can be broken one error.

    Raises:
        TrustError: what was read inside the block is not what we wrote.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TrustError(f"stored {kind} cannot be read: {error!r}", code="store.corrupt") from error


def load(kind: str, text: str | bytes) -> dict[str, Any]:
    """The body of a text that `dump` made.

    Raises:
        TrustError: it is none.
        SettingsError: a newer program wrote it.
    """
    with reading(kind):
        body = json.loads(text)
        version = body["v"]
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"version {version!r}")
    if version > VERSION:
        raise SettingsError(
            f"stored {kind} has version {version}, this program reads up to {VERSION}",
            code="store.newer",
            hint="start the newer program that wrote it",
        )
    return dict(body)


def show_at(at: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    if at is None:
        return None
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()


def parse_at(text: str) -> datetime:
    """The inverse of `show_at`.

    Raises:
        ValueError: not such a text.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def maybe_at(text: str | None) -> datetime | None:
    """`parse_at`, or None for None."""
    return None if text is None else parse_at(text)


def show_bytes(value: bytes | None) -> str | None:
    """Hex, or None for None."""
    return None if value is None else value.hex()


def maybe_bytes(text: str | None) -> bytes | None:
    """The inverse of `show_bytes`."""
    return None if text is None else bytes.fromhex(text)


def _version(text: str | None) -> VersionDigest | None:
    return None if text is None else VersionDigest(bytes.fromhex(text))


# ── Commits ─────────────────────────────────────────────────────────────────────────────────────────────────


def commit_body(commit: Commit) -> dict[str, Any]:
    """JSON form of a commit."""
    return {
        "id": commit.id,
        "tree": commit.tree,
        "parents": list(commit.parents),
        "author": commit.author,
        "authored_at": show_at(commit.authored_at),
        "subject": commit.subject,
        "signer": commit.signer,
    }


def commit_from(body: Mapping[str, Any]) -> Commit:
    """The inverse of `commit_body`."""
    return Commit(
        id=CommitId(body["id"]),
        tree=body["tree"],
        parents=tuple(CommitId(one) for one in body["parents"]),
        author=body["author"],
        authored_at=parse_at(body["authored_at"]),
        subject=body["subject"],
        signer=body["signer"],
    )


def encode_texts(texts: Sequence[str]) -> str:
    """A list of texts (files, parents)."""
    return dump("list", {"items": list(texts)})


def decode_texts(text: str) -> tuple[str, ...]:
    """The inverse of `encode_texts`."""
    body = load("list", text)
    with reading("list"):
        return tuple(str(one) for one in body["items"])


def encode_diagnostics(diagnostics: Sequence[Diagnostic]) -> str:
    """A commit's findings, in order."""
    return dump("diagnostics", {"items": [one.as_json() for one in diagnostics]})


def decode_diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """The inverse of `encode_diagnostics`."""
    body = load("diagnostics", text)
    with reading("diagnostics"):
        return tuple(Diagnostic.from_json(one) for one in body["items"])


# ── Payloads and versions ───────────────────────────────────────────────────────────────────────────────────


def encode_objects(payload: Payload) -> str:
    """The payload's objects with their contents."""
    objects = [
        {
            "name": one.name,
            "content_type": one.content_type,
            "role": one.role,
            "body": b64encode(one.body).decode(),
        }
        for one in payload.objects
    ]
    return dump("payload", {"objects": objects})


def encode_provenance(payload: Payload) -> str | None:
    """Where each value came from; None when nothing is known."""
    if not payload.provenance:
        return None
    places = {key: [one.path, one.line, one.column] for key, one in payload.provenance.items()}
    return dump("provenance", {"places": places})


def decode_payload(digest: bytes, objects: str, provenance: str | None) -> Payload:
    """The payload, with its digest recomputed.

    Raises:
        TrustError: the contents are not those of `digest`.
    """
    body = load("payload", objects)
    with reading("payload"):
        found = tuple(
            ConfigObject(one["name"], one["content_type"], one["role"], b64decode(one["body"], validate=True))
            for one in body["objects"]
        )
    if not found or config_hash(found) != digest:
        raise TrustError(f"stored payload {show_digest(digest)} has other contents", code="store.digest")
    return Payload(ConfigHash(digest), found, _provenance(provenance))


def _provenance(text: str | None) -> Mapping[str, Origin]:
    if text is None:
        return MappingProxyType({})
    body = load("provenance", text)
    with reading("provenance"):
        return MappingProxyType({key: Origin(*place) for key, place in body["places"].items()})


def encode_version(version: TargetVersion) -> str:
    """A target version, whole."""
    return dump(
        "target version",
        {
            "source": version.source,
            "path": version.path,
            "digest": version.digest.hex(),
            "origin": commit_body(version.origin),
            "selector": None if version.selector is None else version.selector.as_json(),
            "trusted_only": version.trusted_only,
            "priority": version.priority,
            "agent_type": version.agent_type,
            "rules": version.rules.as_json(),
            "slots": {str(slot): digest.hex() for slot, digest in version.slots.items()},
            "inputs": dict(version.inputs),
            "plan": version.plan.as_json(),
            "variants": [list(one) for one in version.variants],
            "connection": version.connection,
            "packages": version.packages,
            "suspend": version.suspend,
        },
    )


def decode_version(text: str) -> TargetVersion:
    """The inverse of `encode_version`."""
    body = load("target version", text)
    with reading("target version"):
        selector = body["selector"]
        return TargetVersion(
            source=SourceName(body["source"]),
            path=body["path"],
            digest=VersionDigest(bytes.fromhex(body["digest"])),
            origin=commit_from(body["origin"]),
            selector=None if selector is None else Selector.from_json(selector),
            trusted_only=body["trusted_only"],
            priority=body["priority"],
            agent_type=body["agent_type"],
            rules=MatchRules.from_json(body["rules"]),
            slots=MappingProxyType(
                {Slot.parse(slot): ConfigHash(bytes.fromhex(digest)) for slot, digest in body["slots"].items()}
            ),
            inputs=_blobs(body["inputs"]),
            plan=Plan.from_json(body["plan"]),
            variants=tuple((name, weight) for name, weight in body["variants"]),
            connection=body["connection"],
            packages=body["packages"],
            suspend=body["suspend"],
        )


def _blobs(body: Mapping[str, str]) -> Mapping[str, BlobId]:
    return MappingProxyType({path: BlobId(blob) for path, blob in body.items()})


def _culprits(body: Mapping[str, str | None]) -> Mapping[str, BlobId | None]:
    return MappingProxyType({path: None if blob is None else BlobId(blob) for path, blob in body.items()})


# ── Target states ───────────────────────────────────────────────────────────────────────────────────────────


def encode_state(state: TargetState) -> str:
    """A target's state, whole."""
    return dump(
        "target state",
        {
            "source": state.source,
            "path": state.path,
            "head": show_bytes(state.head),
            "stable": show_bytes(state.stable),
            "fallback": show_bytes(state.fallback),
            "rollout": None if state.rollout is None else _rollout_body(state.rollout),
            "waiting": show_bytes(state.waiting),
            "completed": [one.hex() for one in state.completed],
            "pin": None if state.pin is None else _pin_body(state.pin),
            "quarantine": [_quarantined_body(one) for one in state.quarantine],
            "suspended": state.suspended,
            "frozen": state.frozen,
        },
    )


def decode_state(text: str) -> TargetState:
    """The inverse of `encode_state`."""
    body = load("target state", text)
    with reading("target state"):
        return TargetState(
            source=SourceName(body["source"]),
            path=body["path"],
            head=_version(body["head"]),
            stable=_version(body["stable"]),
            fallback=_version(body["fallback"]),
            rollout=None if body["rollout"] is None else _rollout_from(body["rollout"]),
            waiting=_version(body["waiting"]),
            completed=tuple(VersionDigest(bytes.fromhex(one)) for one in body["completed"]),
            pin=None if body["pin"] is None else _pin_from(body["pin"]),
            quarantine=tuple(_quarantined_from(one) for one in body["quarantine"]),
            suspended=body["suspended"],
            frozen=body["frozen"],
        )


def named_versions(state: TargetState) -> frozenset[VersionDigest]:
    """Every version that the state names, whatever for: none of them may be dropped."""
    known = {state.head, *state.in_use(), *state.completed, *(one.digest for one in state.quarantine)}
    if state.rollout is not None:
        known |= {state.rollout.baseline, state.rollout.candidate}
    return frozenset(one for one in known if one is not None)


def _rollout_body(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "baseline": show_bytes(rollout.baseline),
        "candidate": show_bytes(rollout.candidate),
        "plan": rollout.plan.as_json(),
        "phase": str(rollout.phase),
        "cohort": [rollout.cohort.stage, rollout.cohort.cursor],
        "entered_at": show_at(rollout.entered_at),
        "windows": list(rollout.windows),
        "reason": rollout.reason,
    }


def _rollout_from(body: Mapping[str, Any]) -> Rollout:
    return Rollout(
        id=body["id"],
        baseline=_version(body["baseline"]),
        candidate=_version(body["candidate"]),
        plan=Plan.from_json(body["plan"]),
        phase=Phase(body["phase"]),
        cohort=Cohort(*body["cohort"]),
        entered_at=parse_at(body["entered_at"]),
        windows=tuple(body["windows"]),
        reason=body["reason"],
    )


def _pin_body(pin: Pin) -> dict[str, Any]:
    return {
        "commit": pin.commit,
        "version": show_bytes(pin.version),
        "culprits": dict(pin.culprits),
        "by": pin.by,
        "reason": pin.reason,
    }


def _pin_from(body: Mapping[str, Any]) -> Pin:
    return Pin(
        CommitId(body["commit"]),
        _version(body["version"]),
        _culprits(body["culprits"]),
        body["by"],
        body["reason"],
    )


def _quarantined_body(one: Quarantined) -> dict[str, Any]:
    return {
        "digest": one.digest.hex(),
        "revision": one.revision,
        "culprits": dict(one.culprits),
        "at": show_at(one.at),
        "evidence": one.evidence,
    }


def _quarantined_from(body: Mapping[str, Any]) -> Quarantined:
    return Quarantined(
        VersionDigest(bytes.fromhex(body["digest"])),
        body["revision"],
        _culprits(body["culprits"]),
        parse_at(body["at"]),
        body["evidence"],
    )


# ── A whole source, for the local cache ─────────────────────────────────────────────────────────────────────


def encode_sources(sources: Sequence[StoredSource]) -> str:
    """The published state of all sources."""
    return dump("cache", {"sources": [_source_body(one) for one in sources]})


def decode_sources(text: str | bytes) -> tuple[StoredSource, ...]:
    """The inverse of `encode_sources`; payload digests are recomputed.

    Raises:
        TrustError: broken, or a payload has other contents.
        SettingsError: a newer program wrote it.
    """
    body = load("cache", text)
    with reading("cache"):
        return tuple(_source_from(one) for one in body["sources"])


def _source_body(stored: StoredSource) -> dict[str, Any]:
    pointer, release = stored.pointer, stored.release
    return {
        "pointer": [pointer.source, pointer.revision, pointer.seq, pointer.head, pointer.epoch],
        "release": {
            "source": release.source,
            "revision": release.revision,
            "kind": str(release.kind),
            "head": release.head,
            "created_at": show_at(release.created_at),
            "restores": release.restores,
            "request_id": release.request_id,
        },
        "states": [encode_state(one) for one in stored.states],
        "versions": [encode_version(one) for one in stored.versions],
        "payloads": [[one.digest.hex(), encode_objects(one), encode_provenance(one)] for one in stored.payloads],
        "statements": [
            {
                "path": one.path,
                "version": one.version.hex(),
                "slot": str(one.slot),
                "config_hash": one.config_hash.hex(),
                "envelope": b64encode(one.envelope.as_json()).decode(),
            }
            for one in stored.statements
        ],
    }


def _source_from(body: Mapping[str, Any]) -> StoredSource:
    source, revision, seq, head, epoch = body["pointer"]
    release = body["release"]
    return StoredSource(
        pointer=Pointer(SourceName(source), revision, seq, CommitId(head), epoch),
        release=ReleaseRecord(
            source=SourceName(release["source"]),
            revision=release["revision"],
            kind=ReleaseKind(release["kind"]),
            head=CommitId(release["head"]),
            created_at=parse_at(release["created_at"]),
            restores=release["restores"],
            request_id=release["request_id"],
        ),
        states=tuple(decode_state(one) for one in body["states"]),
        versions=tuple(decode_version(one) for one in body["versions"]),
        payloads=tuple(
            decode_payload(bytes.fromhex(digest), objects, provenance)
            for digest, objects, provenance in body["payloads"]
        ),
        statements=tuple(_statement_from(one) for one in body["statements"]),
    )


def _statement_from(body: Mapping[str, Any]) -> StatementRecord:
    return StatementRecord(
        path=body["path"],
        version=VersionDigest(bytes.fromhex(body["version"])),
        slot=Slot.parse(body["slot"]),
        config_hash=ConfigHash(bytes.fromhex(body["config_hash"])),
        envelope=parse_envelope(b64decode(body["envelope"], validate=True)),
    )
