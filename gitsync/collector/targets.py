"""Pipelines that a connector names in its own settings: routing and failover.

Such a connector is built once for each signal that it carries, and every pipeline that it names must be one of that
signal that has it as a receiver (connector/internal/router.go `Consumer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitsync.collector.components import SIGNALS, BadId, parse_pipeline_id
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence
from gitsync.collector.pipelines import Component, Pipeline, Wiring
from gitsync.collector.settings import is_known
from gitsync.wording import did_you_mean, quoted

_LISTED = 8
"""Pipelines that a hint names."""


def check_targets(wiring: Wiring, findings: Findings) -> None:
    """Reports named pipelines that the connector cannot send to (GS0251)."""
    pipelines = wiring.pipelines or ()
    if any(one.receivers is None or one.exporters is None for one in pipelines):
        return
    known = frozenset(one.id for one in pipelines)
    into, out = _users(pipelines, "exporters"), _users(pipelines, "receivers")
    for connector in (wiring.sections["connectors"] or {}).values():
        named = _NAMED.get(connector.id.partition("/")[0])
        if named is None:
            continue
        for signal in sorted({_signal(one) for one in into.get(connector.id, ())} & set(SIGNALS)):
            outlets = {one.id for one in out.get(connector.id, ()) if _signal(one) == signal}
            if outlets:  # GS0214 or GS0251 says so where there is none
                for node in named(connector.node):
                    _check_target(connector, signal, node, outlets, known, findings)


def _check_target(
    connector: Component,
    signal: str,
    node: Scalar,
    outlets: set[str],
    known: frozenset[str],
    findings: Findings,
) -> None:
    try:
        target = str(parse_pipeline_id(node.text))
    except BadId:
        return  # GS0240 says so
    if target in outlets:
        return
    shown = f"connector {quoted(connector.id)}"
    if target not in known:
        message = f"{shown} sends to the pipeline {quoted(target)}, which is not there"
        listed = sorted(outlets)
        hint = "" if findings.full else did_you_mean(target, listed) or f"possible: {', '.join(listed[:_LISTED])}"
    elif target.partition("/")[0] != signal:
        message = f"{shown} carries {signal}, and cannot send them to the pipeline {quoted(target)}"
        hint = "configure one connector for each signal"
    else:
        message = f"{shown} sends to the pipeline {quoted(target)}, which does not have it as a receiver"
        hint = f"add {connector.id} to the receivers of {target}"
    findings.error(node.origin, "GS0251", message, hint)


def _routed(node: Node) -> Iterator[Scalar]:
    """connector/routingconnector/config.go: `default_pipelines`, `table[].pipelines`."""
    if isinstance(node, Mapping):
        yield from _texts(node.get("default_pipelines"))
        table = node.get("table")
        for route in table.items if isinstance(table, Sequence) else (table,):
            if isinstance(route, Mapping):
                yield from _texts(route.get("pipelines"))


def _levels(node: Node) -> Iterator[Scalar]:
    """connector/failoverconnector/config.go: `priority_levels`, a list of lists."""
    levels = node.get("priority_levels") if isinstance(node, Mapping) else None
    for level in levels.items if isinstance(levels, Sequence) else ():
        yield from _texts(level)


_NAMED: dict[str, Callable[[Node], Iterator[Scalar]]] = {"routing": _routed, "failover": _levels}


def _texts(node: Node | None) -> Iterator[Scalar]:
    for one in node.items if isinstance(node, Sequence) else (node,):
        if isinstance(one, Scalar) and one.tag == "str" and one.text and is_known(one):
            yield one


def _users(pipelines: tuple[Pipeline, ...], role: str) -> dict[str, list[Pipeline]]:
    """The pipelines that name a component in one of their lists, by the component's id."""
    found: dict[str, list[Pipeline]] = {}
    for pipeline in pipelines:
        for name in dict.fromkeys(one.id for one in dict(pipeline.lists())[role] or ()):
            found.setdefault(name, []).append(pipeline)
    return found


def _signal(pipeline: Pipeline) -> str:
    return pipeline.id.partition("/")[0]
