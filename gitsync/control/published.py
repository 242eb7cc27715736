"""`Published`: what is in effect, checked and ready to be given to agents."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gitsync.bundle.statements import Envelope, Release, read_statement
from gitsync.bundle.version import Payload, config_hash
from gitsync.control.records import StoredSource
from gitsync.errors import TrustError
from gitsync.fleet.desired import Desired
from gitsync.ids import ConfigHash, SourceName, TargetId, show_digest


@dataclass(frozen=True, slots=True)
class Published:
    """What is in effect for all sources.

    Attributes:
        payloads: those of every version in use.
        statements: by target and payload.
    """

    desired: Desired = field(default_factory=Desired)
    payloads: Mapping[ConfigHash, Payload] = field(default_factory=dict)
    statements: Mapping[tuple[TargetId, ConfigHash], Envelope] = field(default_factory=dict)

    def revision(self, source: SourceName) -> int:
        """The revision in effect; 0 when the source has published nothing."""
        release = self.desired.releases.get(source)
        return 0 if release is None else release.revision


def assemble(sources: Sequence[StoredSource]) -> Published:
    """The published state of these sources.

    Raises:
        TrustError: a payload's bytes are not those of its digest (`store.payload`), something that is in use is
            missing (`store.incomplete`), or a statement is about another configuration than the store says
            (`store.statement`).
    """
    payloads: dict[ConfigHash, Payload] = {}
    statements: dict[tuple[TargetId, ConfigHash], Envelope] = {}
    for one in sources:
        check_payloads(one.payloads)
        _check_complete(one)
        payloads.update((payload.digest, payload) for payload in one.payloads)
        for record in one.statements:
            if read_statement(record.envelope).config_hash != show_digest(record.config_hash):
                raise TrustError(
                    f"the stored statement of target {record.path} is about another configuration",
                    code="store.statement",
                )
            statements[TargetId(one.pointer.source, record.path), record.config_hash] = record.envelope
    desired = Desired(
        releases={one.pointer.source: _release(one) for one in sources},
        states={state.id: state for one in sources for state in one.states},
        versions={(version.id, version.digest): version for one in sources for version in one.versions},
    )
    return Published(desired, payloads, statements)


def check_payloads(payloads: Iterable[Payload]) -> None:
    """A tampered or damaged store must not reach an agent.

    Raises:
        TrustError: the bytes are not those of the digest.
    """
    for payload in payloads:
        if not hmac.compare_digest(config_hash(payload.objects), payload.digest):
            raise TrustError(
                f"the stored payload {show_digest(payload.digest)} does not have that digest",
                code="store.payload",
            )


def _check_complete(stored: StoredSource) -> None:
    """Nothing that an agent may be given is missing, so that nobody stumbles over it later."""
    versions = {(one.id, one.digest): one for one in stored.versions}
    payloads = {one.digest for one in stored.payloads}
    for state in stored.states:
        for digest in state.in_use():
            version = versions.get((state.id, digest))
            if version is None or not payloads.issuperset(version.slots.values()):
                raise TrustError(
                    f"version {show_digest(digest)} of target {state.path} is in use, but not stored whole",
                    code="store.incomplete",
                )


def _release(stored: StoredSource) -> Release:
    statements = {(one.path, one.version, one.slot): one.envelope for one in stored.statements}
    spans = [read_statement(one) for one in statements.values()]
    created = stored.release.created_at
    return Release(
        source=stored.pointer.source,
        revision=stored.pointer.revision,
        seq=stored.pointer.seq,
        kind=str(stored.release.kind),
        head=stored.pointer.head,
        issued=min((one.issued for one in spans), default=created),
        expires=min((one.expires for one in spans), default=datetime.max.replace(tzinfo=created.tzinfo)),
        statements=statements,
    )
