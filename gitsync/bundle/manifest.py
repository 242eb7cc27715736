"""The three manifests, `gitsync.yaml`, `target.yaml` and `addon.yaml`, from trees with marks to values.

1. The JSON Schema decides what may stand there; its errors get the line of the node.
2. A documented key that is not built yet is an error of its own, never ignored.
3. Only then is the tree read: reading cannot fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitsync.bundle.catalog import ADDON_SCHEMA, REPOSITORY_SCHEMA, TARGET_SCHEMA, Catalog
from gitsync.bundle.connection import read_connection
from gitsync.bundle.schema import Schema
from gitsync.bundle.version import TypeRule
from gitsync.collector import document
from gitsync.collector.builder import Limits
from gitsync.collector.document import Node, Origin, Scalar, is_null, parse_mapping, scalar_value
from gitsync.collector.findings import Findings
from gitsync.collector.policy import BEFORE_PUBLISHING, WARNINGS, Policy
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.labels import Requirement, Selector, equals, requirement
from gitsync.rollout.plan import ALL_AT_ONCE
from gitsync.wording import quoted

REPOSITORY_FILE = "gitsync.yaml"
TARGET_FILE = "target.yaml"
ADDON_FILE = "addon.yaml"
MANIFESTS = frozenset({REPOSITORY_FILE, TARGET_FILE, ADDON_FILE})

_OFF = "off"
_NOT_YET = {
    "addons": ("GS0902", "add-ons are"),
    "variants": ("GS0903", '"variants" is'),
    "bucketKey": ("GS0904", '"bucketKey" is'),
    "strategies": ("GS0906", '"strategies" is'),
    "windows": ("GS0907", '"windows" is'),
    "packages": ("GS0909", '"packages" is'),
    "suspend": ("GS0911", '"suspend" is'),
}
"""Documented keys that are not built yet: code, and the beginning of the message."""


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """What one commit may hold; `gitsync.yaml` can only make it less."""

    combinations: int = 256
    files: int = 10_000
    file_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Text:
    """A text and where it was written."""

    text: str
    at: Origin


@dataclass(frozen=True, slots=True)
class CollectorBuild:
    """The Collector that runs somewhere: its distribution and versions (None and empty when not said)."""

    distribution: Text | None = None
    versions: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """What `gitsync.yaml` says."""

    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: tuple[TypeRule, ...] = ()
    limits: TreeLimits = TreeLimits()
    collector: CollectorBuild | None = None
    policy: Policy = BEFORE_PUBLISHING


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One entry of `objects`; `content_type` is None when it is to be told from the file's name."""

    name: Text
    file: Text
    content_type: str | None
    role: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a `target.yaml` says; the defaults are those of a `key=value` directory without one.

    Attributes:
        at: the beginning of the file.
        selector: None when there is no such key.
        connection: in its stored form (`bundle.connection`); None when there is no such key.
        places: where each key that was given stands.
    """

    at: Origin
    selector: Selector | None = None
    default: bool = False
    priority: int | None = None
    trusted_only: bool = False
    inherit: bool = True
    include: tuple[Text, ...] = ()
    remove: tuple[Text, ...] = ()
    objects: tuple[ObjectEntry, ...] = ()
    agent_type: str | None = None
    collector: CollectorBuild | None = None
    connection: Mapping[str, Any] | None = None
    places: Mapping[str, Origin] = field(default_factory=dict)

    def place(self, key: str) -> Origin:
        """Where a key stands; the beginning of the file when it is not there."""
        return self.places.get(key, self.at)


class Manifests:
    """Reads manifests with the schemas of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._repository = Schema(catalog.schemas[REPOSITORY_SCHEMA])
        self._target = Schema(catalog.schemas[TARGET_SCHEMA])
        self._addon = Schema(catalog.schemas[ADDON_SCHEMA])

    def read_repository(self, path: str, data: bytes) -> tuple[Repository | None, tuple[Diagnostic, ...]]:
        """`gitsync.yaml`; None when there is an error."""
        node, findings, diagnostics = _checked(path, data, self._repository)
        if node is None:
            return None, diagnostics
        _refuse_not_yet(node, findings)
        aliases = _aliases(node, findings)
        types = tuple(
            TypeRule(_text(one, "type"), _selector(one.get("selector"), findings))
            for one in _maps(node.get("agentTypes"))
        )
        policy = _policy(node.get("policies"), findings)
        repository = Repository(aliases, types, _limits(node.get("limits")), _build(node.get("collector")), policy)
        return (None if findings.errors else repository), findings.done()

    def read_target(self, path: str, data: bytes) -> tuple[Target | None, tuple[Diagnostic, ...]]:
        """A `target.yaml`; None when there is an error."""
        node, findings, diagnostics = _checked(path, data, self._target)
        if node is None:
            return None, diagnostics
        _refuse_not_yet(node, findings)
        selector = node.get("selector")
        priority = _value(node, "priority", None)
        target = Target(
            at=Origin(path, 1, 1),
            selector=None if selector is None else _selector(selector, findings),
            default=bool(_value(node, "default", False)),
            priority=None if priority is None else int(priority),
            trusted_only=bool(_value(node, "trustedOnly", False)),
            inherit=bool(_value(node, "inherit", True)),
            include=_includes(node.get("include"), findings),
            remove=_texts(node.get("remove")),
            objects=_objects(node.get("objects"), findings),
            agent_type=_value(node, "agentType", None),
            collector=_build(node.get("collector")),
            connection=read_connection(node.get("connection"), findings),
            places={entry.key: entry.key_origin for entry in node.entries},
        )
        return (None if findings.errors else target), findings.done()

    def read_addon(self, path: str, data: bytes) -> tuple[Diagnostic, ...]:
        """Add-ons are not available yet: an `addon.yaml` is checked, and then refused (GS0901)."""
        node, findings, diagnostics = _checked(path, data, self._addon)
        if node is None:
            return diagnostics
        _not_yet(findings, Origin(path, 1, 1), "GS0901", "an add-on (addon.yaml) is")
        return findings.done()


def _checked(
    path: str, data: bytes, schema: Schema
) -> tuple[document.Mapping | None, Findings, tuple[Diagnostic, ...]]:
    findings = Findings(path)
    node, diagnostics = parse_mapping(path, data, Limits(nodes=20_000, expanded_nodes=20_000))
    if node is None:
        return None, findings, diagnostics
    schema.check(node, findings)
    if findings.errors:
        return None, findings, findings.done()
    return node, findings, ()


def _not_yet(findings: Findings, at: Origin, code: str, what: str) -> None:
    findings.error(at, code, f"{what} not available yet", "remove it")


def _refuse_not_yet(node: document.Mapping, findings: Findings) -> None:
    for entry in node.entries:
        if entry.key in _NOT_YET:
            _not_yet(findings, entry.key_origin, *_NOT_YET[entry.key])
    rollout = node.entry("rollout")
    if rollout is not None and not (isinstance(rollout.value, Scalar) and rollout.value.text == ALL_AT_ONCE):
        _not_yet(findings, rollout.value.origin, "GS0905", f"a rollout strategy other than {ALL_AT_ONCE} is")


def _aliases(node: document.Mapping, findings: Findings) -> dict[str, tuple[str, ...]]:
    section = node.get("aliases")
    aliases: dict[str, tuple[str, ...]] = {}
    for entry in section.entries if isinstance(section, document.Mapping) else ():
        keys = _texts(entry.value)
        for key in keys:
            other = section.entry(key.text) if isinstance(section, document.Mapping) else None
            if other is not None:
                what = "itself" if other is entry else f"another alias, {quoted(key.text)}"
                message = f"the alias {quoted(entry.key)} stands for {what}"
                findings.error(key.at, "GS0406", message, "list the keys that agents report")
        aliases[entry.key] = tuple(dict.fromkeys(key.text for key in keys))
    return aliases


def _limits(node: Node | None) -> TreeLimits:
    if not isinstance(node, document.Mapping):
        return TreeLimits()
    most = TreeLimits()
    return TreeLimits(
        combinations=int(_value(node, "combinations", most.combinations)),
        files=int(_value(node, "files", most.files)),
        file_bytes=int(_value(node, "file_bytes", most.file_bytes)),
    )


def _build(node: Node | None) -> CollectorBuild | None:
    if not isinstance(node, document.Mapping):
        return None
    distribution = None if is_null(node.get("distribution")) else _marked(node, "distribution")
    return CollectorBuild(distribution, _texts(node.get("versions")))


def _policy(node: Node | None, findings: Findings) -> Policy:
    """What `policies` says; without it, what is right before publishing."""
    if not isinstance(node, document.Mapping):
        return BEFORE_PUBLISHING
    components = node.get("components")
    components = components if isinstance(components, document.Mapping) else document.Mapping((), node.origin)
    severity: dict[str, Severity | None] = dict(BEFORE_PUBLISHING.severity)
    written = node.get("severity")
    for entry in written.entries if isinstance(written, document.Mapping) else ():
        if entry.key not in WARNINGS:
            hint = "only that of findings that are warnings by themselves, and this is none"
            message = f"the severity of {quoted(entry.key)} cannot be chosen"
            findings.error(entry.key_origin, "GS0412", message, hint)
        elif isinstance(entry.value, Scalar):
            severity[entry.key] = None if entry.value.text == _OFF else Severity(entry.value.text)
    return Policy(
        allow=_patterns(components.get("allow")),
        deny=_patterns(components.get("deny")) or (),
        providers=None if is_null(node.get("providers")) else frozenset(_patterns(node.get("providers")) or ()),
        endpoints=_patterns(node.get("endpoints")),
        severity=severity,
    )


def _patterns(node: Node | None) -> tuple[str, ...] | None:
    """Texts of a list; None when there is no list."""
    return None if is_null(node) else tuple(one.text for one in _texts(node))


def _selector(node: Node | None, findings: Findings) -> Selector:
    if not isinstance(node, document.Mapping):
        return Selector()
    labels = node.get("matchLabels")
    entries = labels.entries if isinstance(labels, document.Mapping) else ()
    parts: list[Requirement] = [equals(one.key, one.value.text) for one in entries if isinstance(one.value, Scalar)]
    for one in _maps(node.get("matchExpressions")):
        values = [value.text for value in _texts(one.get("values"))]
        try:
            parts.append(requirement(_text(one, "key"), _text(one, "operator"), values))
        except ValueError as error:
            hint = "In and NotIn need values; Exists and DoesNotExist take none"
            findings.error(one.origin, "GS0407", str(error), hint)
    return Selector.of(parts)


def _includes(node: Node | None, findings: Findings) -> tuple[Text, ...]:
    """Plain paths; an entry without a condition may be written as a map too."""
    found: list[Text] = []
    for item in node.items if isinstance(node, document.Sequence) else ():
        if isinstance(item, document.Mapping):
            condition = item.entry("when")
            if condition is not None:
                _not_yet(findings, condition.key_origin, "GS0912", "a condition (when) on an include is")
            item = item.get("path") or item
        if isinstance(item, Scalar):
            found.append(Text(item.text, item.origin))
    _refuse_repeats(found, "include", findings)
    return tuple(found)


def _objects(node: Node | None, findings: Findings) -> tuple[ObjectEntry, ...]:
    entries = tuple(
        ObjectEntry(
            name=_marked(one, "name"),
            file=_marked(one, "file"),
            content_type=_value(one, "contentType", None),
            role=_value(one, "role", ""),
        )
        for one in _maps(node)
    )
    _refuse_repeats([one.name for one in entries], "object", findings)
    return entries


def _refuse_repeats(items: list[Text], what: str, findings: Findings) -> None:
    first: dict[str, Text] = {}
    for item in items:
        other = first.setdefault(item.text, item)
        if other is not item:
            message = f"the {what} {quoted(item.text)} stands here twice, first at line {other.at.line}"
            findings.error(item.at, "GS0408", message, "remove one")


def _maps(node: Node | None) -> tuple[document.Mapping, ...]:
    items = node.items if isinstance(node, document.Sequence) else ()
    return tuple(one for one in items if isinstance(one, document.Mapping))


def _texts(node: Node | None) -> tuple[Text, ...]:
    items = node.items if isinstance(node, document.Sequence) else ()
    return tuple(Text(one.text, one.origin) for one in items if isinstance(one, Scalar))


def _text(node: document.Mapping, key: str) -> str:
    return _marked(node, key).text


def _marked(node: document.Mapping, key: str) -> Text:
    value = node.get(key)
    return Text(value.text if isinstance(value, Scalar) else "", node.origin if value is None else value.origin)


def _value(node: document.Mapping, key: str, default: Any) -> Any:
    value = node.get(key)
    return scalar_value(value) if isinstance(value, Scalar) and not is_null(value) else default
