"""What one commit compiles to: payloads, slots, target versions, bundles; and their digests.

Byte formats are those of the config hash and version digest (pinned by golden tests): a change of either
re-rolls every fleet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from gitsync.bundle.tree import Commit
from gitsync.collector.document import Origin
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.ids import BlobId, ConfigHash, SourceName, TargetId, VersionDigest
from gitsync.labels import Selector, resolve
from gitsync.rollout.plan import Plan

COLLECTOR = "collector"
"""The built-in agent type of OpenTelemetry Collectors (with or without a supervisor)."""
COLLECTOR_OBJECT = "collector.yaml"
COLLECTOR_CONTENT_TYPE = "text/yaml"


@dataclass(frozen=True, slots=True)
class ConfigObject:
    """One named object of a payload, as an agent gets it."""

    name: str
    content_type: str
    role: str
    body: bytes


def config_hash(objects: Sequence[ConfigObject]) -> ConfigHash:
    """The OpAMP `config_hash` of a payload (32 raw bytes).

    One object: SHA-256 of its body, so that any agent can check it. Several: domain-separated, length-prefixed,
    sorted by UTF-8 name.
    """
    if len(objects) == 1:
        return ConfigHash(hashlib.sha256(objects[0].body).digest())
    digest = hashlib.sha256(b"gitsync.config.v1\0")
    for one in sorted(objects, key=lambda each: each.name.encode()):
        for text in (one.name, one.content_type, one.role):
            raw = text.encode()
            digest.update(len(raw).to_bytes(4, "big") + raw)
        digest.update(len(one.body).to_bytes(8, "big") + one.body)
    return ConfigHash(digest.digest())


@dataclass(frozen=True, slots=True)
class Payload:
    """The compiled config objects that an agent gets.

    Attributes:
        digest: `config_hash(objects)`.
        objects: sorted by UTF-8 name; never empty.
        provenance: `exporters::otlp::endpoint` to where that value was written; empty for raw objects.
    """

    digest: ConfigHash
    objects: tuple[ConfigObject, ...]
    provenance: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, objects: Sequence[ConfigObject], provenance: Mapping[str, Origin] | None = None) -> Payload:
        """The payload of these objects, with its digest."""
        ordered = tuple(sorted(objects, key=lambda each: each.name.encode()))
        return cls(config_hash(ordered), ordered, dict(provenance or {}))

    @property
    def size_bytes(self) -> int:
        """Sum of the bodies."""
        return sum(len(one.body) for one in self.objects)


@dataclass(frozen=True, slots=True)
class Slot:
    """One combination inside a target version; each has one payload. Today every target has the one empty slot."""

    variant: str | None = None
    values: tuple[tuple[str, str], ...] = ()
    conditions: frozenset[int] = frozenset()
    addons: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if self == EMPTY_SLOT:
            return "-"
        return canonical_json(
            {
                "variant": self.variant,
                "values": [list(pair) for pair in self.values],
                "conditions": sorted(self.conditions),
                "addons": sorted(self.addons),
            }
        ).decode()

    @classmethod
    def parse(cls, text: str) -> Slot:
        """The inverse of `str`."""
        if text == "-":
            return EMPTY_SLOT
        data = json.loads(text)
        return cls(
            data["variant"],
            tuple((key, value) for key, value in data["values"]),
            frozenset(data["conditions"]),
            frozenset(data["addons"]),
        )


EMPTY_SLOT = Slot()


@dataclass(frozen=True, slots=True)
class TypeRule:
    """An ordered rule of `agentTypes`: agents that the selector matches are of this type."""

    type: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class MatchRules:
    """What `gitsync.yaml` says about matching.

    Attributes:
        aliases: label name to the keys that stand in for it, in order; only names that some selector uses.
        types: rules for agent types, first match wins; the built-in ones come after them.
    """

    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: tuple[TypeRule, ...] = ()

    def resolve(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels as selectors see them."""
        return resolve(labels, self.aliases)

    def as_json(self) -> dict[str, Any]:
        """Canonical form, part of the version digest."""
        return {
            "aliases": {name: list(keys) for name, keys in sorted(self.aliases.items())},
            "types": [{"type": one.type, "selector": one.selector.as_json()} for one in self.types],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MatchRules:
        """The inverse of `as_json`."""
        return cls(
            MappingProxyType({name: tuple(keys) for name, keys in data["aliases"].items()}),
            tuple(TypeRule(one["type"], Selector.from_json(one["selector"])) for one in data["types"]),
        )


@dataclass(frozen=True, slots=True)
class TargetVersion:
    """One target as one commit defines it.

    Attributes:
        digest: covers everything that decides who gets what; not plan, origin, inputs, connection, packages,
            suspend.
        origin: commit where this version first appeared.
        selector: own selector and all ancestors'; None for the default target.
        priority: of the root target of its subtree; higher wins.
        slots: each slot's payload.
        inputs: path to blob of every file that went into this version.
        connection: what its agents are offered to connect to (form: `bundle.connection`); None: nothing.
    """

    source: SourceName
    path: str
    digest: VersionDigest
    origin: Commit
    selector: Selector | None
    trusted_only: bool
    priority: int
    agent_type: str
    rules: MatchRules
    slots: Mapping[Slot, ConfigHash]
    inputs: Mapping[str, BlobId] = field(compare=False)
    plan: Plan
    variants: tuple[tuple[str, int], ...] = ()
    connection: Mapping[str, Any] | None = None
    packages: Mapping[str, Any] | None = None
    suspend: bool = False

    @property
    def id(self) -> TargetId:
        """Which target this is a version of."""
        return TargetId(self.source, self.path)

    @property
    def depth(self) -> int:
        """How deep the directory lies; the deepest matching target wins."""
        return self.path.count("/") + 1


def version_digest(
    *,
    source: SourceName,
    path: str,
    selector: Selector | None,
    trusted_only: bool,
    priority: int,
    agent_type: str,
    rules: MatchRules,
    variants: Sequence[tuple[str, int]],
    slots: Mapping[Slot, ConfigHash],
) -> VersionDigest:
    """Identity of a target version: SHA-256 over canonical JSON, domain-separated."""
    body = canonical_json(
        {
            "source": source,
            "path": path,
            "selector": None if selector is None else selector.as_json(),
            "trusted_only": trusted_only,
            "priority": priority,
            "agent_type": agent_type,
            "rules": rules.as_json(),
            "variants": [list(one) for one in variants],
            "slots": {str(slot): digest.hex() for slot, digest in slots.items()},
        }
    )
    return VersionDigest(hashlib.sha256(b"gitsync.version.v1\0" + body).digest())


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one commit compiles to."""

    source: SourceName
    commit: Commit
    versions: Mapping[str, TargetVersion]
    payloads: Mapping[ConfigHash, Payload]


@dataclass(frozen=True, slots=True)
class Need:
    """A component that a target's configuration has; an agent whose build has none of these types cannot run it.

    Attributes:
        section: `receivers`, `exporters`, ... as agents report them.
        id: as configured: `otlp/backup`.
        types: the type that was written; for an old name, its newest and its other ones too.
        at: where it is configured.
    """

    section: str
    id: str
    types: frozenset[str]
    at: Origin


@dataclass(frozen=True, slots=True)
class CompileResult:
    """A bundle, or the reasons why there is none.

    Attributes:
        bundle: None exactly when a diagnostic is an error.
        files: every file of the commit that was judged, in path order.
        needs: by path of the target: the components of its configuration.
        lacking: how much it counts when agents of a target have no such component; None: it is not said.
        unchecked: components, as `kind/type`, whose settings nobody here knows; sorted.
    """

    bundle: Bundle | None
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[str, ...] = ()
    needs: Mapping[str, tuple[Need, ...]] = field(default_factory=dict)
    lacking: Severity | None = Severity.WARNING
    unchecked: tuple[str, ...] = ()

    def with_findings(self, more: tuple[Diagnostic, ...]) -> CompileResult:
        """The result with further findings; an error among them takes the bundle away."""
        if not more:
            return self
        diagnostics = tuple(sorted({*self.diagnostics, *more}))
        return replace(self, bundle=None if has_errors(more) else self.bundle, diagnostics=diagnostics)
