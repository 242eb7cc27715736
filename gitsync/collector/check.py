"""The first layer of checks: the shape of a configuration, and whether pipelines fit what is configured.

The rules are those of the Collector's own `validate` (unmarshal, Config.Validate and the graph), as far as
they need no knowledge of single components; what it accepts and ignores, an unused component, is a warning
here.
"""

from __future__ import annotations

from collections.abc import Callable

from gitsync.collector.findings import Findings
from gitsync.collector.node import Node
from gitsync.collector.pipelines import SECTIONS, Component, Pipeline, Reference, Wiring, read_wiring
from gitsync.collector.usage import SOURCES, read_usage
from gitsync.diagnostics import Diagnostic
from gitsync.wording import did_you_mean, quoted


def check_fragment(node: Node, path: str) -> tuple[Diagnostic, ...]:
    """Shape rules for one file of a tree (GS0201 to GS0210); what it refers to may stand in another file."""
    findings = Findings(path)
    read_wiring(node, findings)
    return findings.done()


def check_wiring(wiring: Wiring, findings: Findings) -> None:
    """The rules about references (GS0206, GS0211 to GS0217) for what `read_wiring` found."""
    _check_pipelines(wiring, findings)
    _check_references(wiring, findings)
    _check_connectors(wiring, findings)
    _check_unused(wiring, findings)
    for section in ("receivers", "exporters"):
        if not findings.errors and wiring.sections[section] == {}:
            findings.error(wiring.service, "GS0216", f"no {section} are configured", f"add one under {section}")


def _check_pipelines(wiring: Wiring, findings: Findings) -> None:
    if wiring.pipelines is None:
        return
    if not wiring.pipelines and not findings.errors:
        what = "there is no service section" if wiring.service is None else "no pipelines are configured"
        findings.error(wiring.service, "GS0206", what, "add a pipeline under service::pipelines")
    for pipeline in wiring.pipelines:
        for name, items in pipeline.lists():
            if items == () and name != "processors":
                findings.error(pipeline.origin, "GS0211", f"pipeline {quoted(pipeline.id)} has no {name}")
        seen: dict[str, Reference] = {}
        for item in pipeline.processors or ():
            first = seen.setdefault(item.id, item)
            if first is not item:
                findings.error(
                    item.origin,
                    "GS0213",
                    f"pipeline {quoted(pipeline.id)} names processor {quoted(item.id)} twice",
                    f"the first is at {first.origin}; a second one needs a name of its own: type/name",
                )


def _check_references(wiring: Wiring, findings: Findings) -> None:
    for pipeline in wiring.pipelines or ():
        for name, items in pipeline.lists():
            _check_list(wiring, name, items, f"pipeline {quoted(pipeline.id)}", findings)
    _check_list(wiring, "extensions", wiring.extensions, "service", findings)


def _check_list(wiring: Wiring, name: str, items: tuple[Reference, ...] | None, user: str, findings: Findings) -> None:
    sources = [wiring.sections[section] for section in SOURCES[name]]
    known: set[str] = set()
    for source in sources:
        if source is None:
            return
        known.update(source)
    for item in items or ():
        if item.id not in known:
            findings.error(
                item.origin,
                "GS0212",
                f"{user} uses {name[:-1]} {quoted(item.id)}, which is not configured",
                "" if findings.full else _missing_hint(wiring, name, item.id, known),
            )


def _missing_hint(wiring: Wiring, name: str, wanted: str, known: set[str]) -> str:
    for section in SECTIONS:
        if wanted in (wiring.sections[section] or {}):
            return f"it is configured under {section}, not under {name}"
    return did_you_mean(wanted, sorted(known)) or f"add {quoted(wanted)} under {name}"


def _check_connectors(wiring: Wiring, findings: Findings) -> None:
    """A connector joins pipelines: it is an exporter of one and a receiver of another."""
    connectors = wiring.sections["connectors"] or {}
    ambiguous = set()
    for component in connectors.values():
        for section in ("receivers", "exporters"):
            other = (wiring.sections[section] or {}).get(component.id)
            if other is not None:
                ambiguous.add(component.id)
                findings.error(
                    component.origin,
                    "GS0215",
                    f"connector {quoted(component.id)} has the id of one of the {section}, at {other.origin}",
                    "give one of them a name: type/name",
                )
    if not _knows_all_lists(wiring):
        return
    into = _first_use(wiring, lambda pipeline: pipeline.exporters)
    out = _first_use(wiring, lambda pipeline: pipeline.receivers)
    for name in connectors:
        for here, there, done, missing in (
            (into, out, "an exporter", "a receiver"),
            (out, into, "a receiver", "an exporter"),
        ):
            if name in here and name not in there and name not in ambiguous:
                pipeline, use = here[name]
                findings.error(
                    use.origin,
                    "GS0214",
                    f"connector {quoted(name)} is {done} of {quoted(pipeline)} but {missing} of none",
                    f"name it as {missing} of the pipeline that it leads {'to' if here is into else 'from'}",
                )


def _first_use(
    wiring: Wiring, items: Callable[[Pipeline], tuple[Reference, ...] | None]
) -> dict[str, tuple[str, Reference]]:
    found: dict[str, tuple[str, Reference]] = {}
    for pipeline in wiring.pipelines or ():
        for item in items(pipeline) or ():
            found.setdefault(item.id, (pipeline.id, item))
    return found


def _knows_all_lists(wiring: Wiring) -> bool:
    return wiring.pipelines is not None and all(
        items is not None for pipeline in wiring.pipelines for _, items in pipeline.lists()
    )


def _check_unused(wiring: Wiring, findings: Findings) -> None:
    """Silent in the Collector. Said only when all else is right: a wrong name leaves the right one unused."""
    if findings.errors:
        return
    usage = read_usage(wiring)
    for name in SECTIONS:
        for component in (wiring.sections[name] or {}).values():
            if not usage.uses(name, component.id):
                _warn_unused(component, findings)


def _warn_unused(component: Component, findings: Findings) -> None:
    where = "service::extensions" if component.section == "extensions" else "any pipeline"
    findings.warning(
        component.origin,
        "GS0217",
        f"{component.section[:-1]} {quoted(component.id)} is configured, but not used in {where}",
        f"add it to {where}, or remove it" if component.section == "extensions" else "use it or remove it",
    )
