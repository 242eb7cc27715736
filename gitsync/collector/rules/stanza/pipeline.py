"""Operators together: ids, outputs and circles (pkg/stanza/pipeline/config.go and directed.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from gitsync.collector.findings import Findings
from gitsync.collector.node import Origin, Scalar
from gitsync.collector.rules.demands import REFUSED, TWICE
from gitsync.collector.rules.stanza.operators import ENDS, INPUTS, KINDS
from gitsync.collector.settings import Settings
from gitsync.wording import did_you_mean, quoted

_LISTED = 8
"""Operators that a hint names."""


@dataclass(slots=True)
class _Step:
    """One operator, as the pipeline sees it.

    Attributes:
        outputs: ids that it names, with their places.
        origin: the place of its id, or of the operator.
    """

    kind: str
    id: str
    outputs: tuple[Scalar, ...]
    origin: Origin


def check_operators(receiver: Settings, findings: Findings, kind: str) -> None:
    """The operators of a receiver behind its own reader.

    Args:
        receiver: settings of the receiver.
        findings: what is found.
        kind: of the operator that reads, `file_input`.
    """
    first = _Step(kind, receiver.text("id") or kind, _texts(receiver, "output"), receiver.place("id"))
    _check_steps(first, receiver.items("operators"), findings)


def _check_steps(first: _Step, operators: Iterable[Settings], findings: Findings) -> None:
    """Nothing is said when one of the operators is not known."""
    steps = [first]
    for settings in operators:
        kind, name = settings.text("type"), settings.text("id")
        if kind is None or kind not in KINDS or name is None:
            return
        steps.append(_Step(kind, name or kind, _outputs(settings), settings.place("id")))
    _number(steps)
    by_id: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.id in by_id:
            message = f"there are two operators with the id {quoted(step.id)}"
            findings.error(step.origin, TWICE, message, "give one of them another id")
            return
        by_id[step.id] = index
    edges = _edges(steps, by_id, findings)
    if edges is not None:
        _check_circle(steps, edges, findings)


def _outputs(settings: Settings) -> tuple[Scalar, ...]:
    if settings.text("type") != "router":
        return _texts(settings, "output")
    routes = [node for route in settings.items("routes") for node in _texts(route, "output")]
    return (*routes, *_texts(settings, "default"))


def _texts(settings: Settings, key: str) -> tuple[Scalar, ...]:
    return settings.texts(key) or ()


def _number(steps: list[_Step]) -> None:
    """Operators without an id of their own are numbered (config.go `dedeplucateIDs`)."""
    counts: dict[str, int] = {}
    ids = {step.id for step in steps}
    for step in steps:
        if step.id != step.kind:
            continue
        count = counts.get(step.kind, 0)
        if count:
            while f"{step.kind}{count}" in ids:
                count += 1
            step.id = f"{step.kind}{count}"
            ids.add(step.id)
        counts[step.kind] = count + 1


def _edges(steps: list[_Step], by_id: dict[str, int], findings: Findings) -> list[list[int]] | None:
    """Who gives to whom, by index; None when an output is wrong, which is reported."""
    edges: list[list[int]] = []
    right = True
    for index, step in enumerate(steps):
        if not step.outputs:
            follows = index + 1 < len(steps) and step.kind not in ENDS and step.kind != "router"
            edges.append([index + 1] if follows else [])
            if follows and steps[index + 1].kind in INPUTS:
                message = f"the operator {quoted(steps[index + 1].id)} reads by itself, nothing can be given to it"
                findings.error(steps[index + 1].origin, REFUSED, message, "a receiver has one reader, its own")
                right = False
            continue
        edges.append([])
        for node in step.outputs if step.kind not in ENDS else ():
            target = by_id.get(node.text)
            if target is None:
                hint = "" if findings.full else did_you_mean(node.text, by_id) or _some(by_id)
                findings.error(node.origin, REFUSED, f"there is no operator with the id {quoted(node.text)}", hint)
            elif steps[target].kind in INPUTS:
                message = f"the operator {quoted(node.text)} reads by itself, nothing can be given to it"
                findings.error(node.origin, REFUSED, message)
            right = right and target is not None and steps[target].kind not in INPUTS
            edges[-1].append(target or 0)
    return edges if right else None


def _check_circle(steps: list[_Step], edges: list[list[int]], findings: Findings) -> None:
    """Takes away operators that nobody gives to, until none is left, or a circle."""
    givers = [0] * len(steps)
    for targets in edges:
        for target in targets:
            givers[target] += 1
    free = [index for index, count in enumerate(givers) if not count]
    seen = 0
    while free:
        seen += 1
        for target in edges[free.pop()]:
            givers[target] -= 1
            if not givers[target]:
                free.append(target)
    if seen < len(steps):
        circle = [step for step, count in zip(steps, givers, strict=True) if count]
        at = next((step for step in circle if step.outputs), circle[0])
        message = f"the operators go round in a circle through {quoted(at.id)}"
        findings.error(at.outputs[0].origin if at.outputs else at.origin, REFUSED, message)


def _some(names: Iterable[str]) -> str:
    """A hint that lists the first operators."""
    listed = list(islice(names, _LISTED + 1))
    return f"the operators are {', '.join(quoted(one) for one in listed[:_LISTED])}" + ", …" * (len(listed) > _LISTED)
