"""What a configuration declares and how its pipelines use it: the model behind the reference rules.

Reading reports what has the wrong shape (GS0201 to GS0210) and leaves it out of the model. A value such as
`${file:exporters.yaml}` is filled in by the agent: what stands there is unknown here, and no rule is
applied to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitsync.collector.components import (
    SIGNALS,
    BadId,
    normal_id,
    parse_component_id,
    parse_pipeline_id,
)
from gitsync.collector.expansion import expand
from gitsync.collector.findings import Findings
from gitsync.collector.node import Entry, Mapping, Node, Origin, Scalar, Sequence, is_null, kind
from gitsync.wording import did_you_mean, quoted

KINDS = {
    "receivers": "receiver",
    "processors": "processor",
    "exporters": "exporter",
    "connectors": "connector",
    "extensions": "extension",
}
"""The kind of the components in each section."""
SECTIONS = tuple(KINDS)
TOP_KEYS = (*SECTIONS, "service")
SERVICE_KEYS = ("telemetry", "extensions", "pipelines")
PIPELINE_KEYS = ("receivers", "processors", "exporters")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a component in a list; `id` without spaces around its parts."""

    id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Component:
    """A configured component; `origin` is the place of its id, `node` its settings."""

    section: str
    id: str
    origin: Origin
    node: Node


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline; a list is None when its content is not known here."""

    id: str
    origin: Origin
    receivers: tuple[Reference, ...] | None
    processors: tuple[Reference, ...] | None
    exporters: tuple[Reference, ...] | None

    def lists(self) -> Iterator[tuple[str, tuple[Reference, ...] | None]]:
        """The three lists with their names."""
        yield "receivers", self.receivers
        yield "processors", self.processors
        yield "exporters", self.exporters


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that is declared, and who uses what.

    Attributes:
        sections: section name to id to component; a section is None when its content is not known here.
        pipelines: in the order of the file; None when not known.
        extensions: the list `service::extensions`; None when not known.
        service: the place of the key `service`; None when absent.
    """

    sections: dict[str, dict[str, Component] | None]
    pipelines: tuple[Pipeline, ...] | None
    extensions: tuple[Reference, ...] | None
    service: Origin | None


def is_filled_in(node: Node) -> bool:
    """Whether the agent puts the whole value in (`${file:path}`); with a text around it, it always is a text."""
    return isinstance(node, Scalar) and node.tag == "str" and expand(node.text).typed


def read_wiring(node: Node, findings: Findings) -> Wiring:
    """The model of a configuration or a part of one; what has the wrong shape goes to `findings`."""
    root = _entries(node, "the file", findings) or ()
    by_key = {entry.key: entry for entry in root}
    for entry in root:
        if entry.key not in TOP_KEYS:
            findings.error(
                entry.key_origin, "GS0201", f"unknown top-level key {quoted(entry.key)}", _top_hint(entry.key)
            )
    sections = {name: _section(name, by_key.get(name), findings) for name in SECTIONS}
    service = by_key.get("service")
    if service is None:
        return Wiring(sections, (), (), None)
    parts = _entries(service.value, '"service"', findings)
    if parts is None:
        return Wiring(sections, None, None, service.key_origin)
    pipelines: tuple[Pipeline, ...] | None = ()
    extensions: tuple[Reference, ...] | None = ()
    for entry in parts:
        if entry.key == "pipelines":
            pipelines = _pipelines(entry.value, findings)
        elif entry.key == "extensions":
            extensions = _references(entry.value, '"service::extensions"', findings)
        elif entry.key == "telemetry":
            _entries(entry.value, '"service::telemetry"', findings)
        else:
            hint = did_you_mean(entry.key, SERVICE_KEYS)
            if entry.key in SECTIONS:
                hint = f"{quoted(entry.key)} stands at the top of the file, beside service"
            message = f"unknown key {quoted(entry.key)} under service"
            findings.error(entry.key_origin, "GS0207", message, hint or _one_of(SERVICE_KEYS))
    return Wiring(sections, pipelines, extensions, service.key_origin)


def _entries(node: Node, what: str, findings: Findings) -> tuple[Entry, ...] | None:
    """The entries of what must be a map; None when the content is unknown or wrong."""
    if isinstance(node, Mapping):
        return node.entries
    if is_null(node):
        return ()
    if not is_filled_in(node):
        findings.error(node.origin, "GS0202", f"{what} must be a map, not {kind(node)}", _map_hint(node))
    return None


def _section(name: str, entry: Entry | None, findings: Findings) -> dict[str, Component] | None:
    if entry is None:
        return {}
    entries = _entries(entry.value, quoted(name), findings)
    if entries is None:
        return None
    found: dict[str, Component] = {}
    for one in entries:
        try:
            text = str(parse_component_id(one.key))
        except BadId as error:
            findings.error(one.key_origin, "GS0203", f"the id {quoted(one.key)} under {name} {error}", error.hint)
            text = normal_id(one.key)
        if text in found:
            first = found[text].origin
            findings.error(one.key_origin, "GS0204", f"{quoted(text)} is already defined under {name} at {first}")
            continue
        found[text] = Component(name, text, one.key_origin, _kept(one, text, findings))
        if not isinstance(one.value, Mapping) and not is_null(one.value) and not is_filled_in(one.value):
            findings.error(
                one.value.origin,
                "GS0205",
                f"the configuration of {quoted(text)} must be a map, not {kind(one.value)}",
                "indent its settings under it, or leave it empty for the defaults",
            )
    return found


def _kept(entry: Entry, text: str, findings: Findings) -> Node:
    """The settings of a component: to the Collector there are none when its id has spaces around a part."""
    if entry.key == text or not isinstance(entry.value, Mapping) or not entry.value.entries:
        return entry.value
    message = f"the Collector ignores the settings of {quoted(entry.key)}, because of the spaces around its parts"
    findings.warning(entry.key_origin, "GS0242", message, f"write {text}")
    return Mapping((), entry.value.origin)


def _pipelines(node: Node, findings: Findings) -> tuple[Pipeline, ...] | None:
    entries = _entries(node, '"service::pipelines"', findings)
    if entries is None:
        return None
    found: dict[str, Pipeline] = {}
    for entry in entries:
        try:
            text = str(parse_pipeline_id(entry.key))
        except BadId as error:
            findings.error(entry.key_origin, "GS0209", f"the pipeline id {quoted(entry.key)} {error}", error.hint)
            text = normal_id(entry.key)
        if text in found:
            first = found[text].origin
            findings.error(entry.key_origin, "GS0204", f"pipeline {quoted(text)} is already defined at {first}")
            continue
        found[text] = _pipeline(text, entry, findings)
    return tuple(found.values())


def _pipeline(text: str, entry: Entry, findings: Findings) -> Pipeline:
    parts = _entries(entry.value, f"pipeline {quoted(text)}", findings)
    if parts is None:
        return Pipeline(text, entry.key_origin, None, None, None)
    lists: dict[str, tuple[Reference, ...] | None] = dict.fromkeys(PIPELINE_KEYS, ())
    for part in parts:
        if part.key in lists:
            lists[part.key] = _references(part.value, f"{quoted(part.key)} of pipeline {quoted(text)}", findings)
            continue
        hint = did_you_mean(part.key, PIPELINE_KEYS) or _one_of(PIPELINE_KEYS)
        if part.key == "connectors":
            hint = "a connector is named in exporters of one pipeline and in receivers of another"
        findings.error(part.key_origin, "GS0210", f"unknown key {quoted(part.key)} in pipeline {quoted(text)}", hint)
    return Pipeline(text, entry.key_origin, lists["receivers"], lists["processors"], lists["exporters"])


def _references(node: Node, what: str, findings: Findings) -> tuple[Reference, ...] | None:
    """The ids in a list; None when one is unknown or wrong."""
    if is_null(node):
        return ()
    if not isinstance(node, Sequence):
        if not is_filled_in(node):
            findings.error(node.origin, "GS0208", f"{what} must be a list of ids, not {kind(node)}", "write [id, id]")
        return None
    items = list(_names(node, what, findings))
    complete = len(items) == len(node.items)
    found: list[Reference] = []
    for item in items:
        try:
            found.append(Reference(str(parse_component_id(item.text)), item.origin))
        except BadId as error:
            complete = False
            findings.error(item.origin, "GS0203", f"the id {quoted(item.text)} in {what} {error}", error.hint)
    return tuple(found) if complete else None


def _names(node: Sequence, what: str, findings: Findings) -> Iterator[Scalar]:
    for item in node.items:
        if isinstance(item, Scalar) and item.tag == "str":
            if expand(item.text).known:
                yield item
            continue
        hint = 'remove the ":" after the id' if isinstance(item, Mapping) else "write the id of a component"
        findings.error(item.origin, "GS0208", f"{what} must list ids, not {kind(item)}", hint)


def _top_hint(key: str) -> str:
    if key in ("pipelines", "telemetry"):
        return f"{key} belongs under service"
    if key.partition("/")[0] in SIGNALS:
        return "a pipeline belongs under service::pipelines"
    return did_you_mean(key, TOP_KEYS) or _one_of(TOP_KEYS)


def _map_hint(node: Node) -> str:
    return 'write "name:" lines instead of "- name"' if isinstance(node, Sequence) else ""


def _one_of(names: tuple[str, ...]) -> str:
    return "allowed are " + ", ".join(names)
