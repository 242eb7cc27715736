"""The graph of pipelines: does every component carry the signals that it is used for, and does data run in a circle?

The rules are those of the Collector's graph (service/internal/graph/graph.go `createNodes`, `buildComponents`); what
they need to know of a component is the signals of its kind and type. A component that is not known is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gitsync.collector.components import SIGNALS
from gitsync.collector.findings import Findings
from gitsync.collector.pipelines import Pipeline, Reference, Wiring
from gitsync.collector.targets import check_targets
from gitsync.wording import quoted

Signals = Callable[[str, str], Mapping[str, str] | None]
"""The signals of a component, by section (`receivers`) and type; None when the component is not known."""
_NAMED = 8
"""Pipelines of a circle, and signals, that a message names."""


@dataclass(slots=True)
class _Joint:
    """Where a connector stands: the first time that each pipeline names it, by the pipeline's signal.

    Attributes:
        into: as an exporter.
        out: as a receiver.
        pairs: signals that it joins, of those that it is used for.
    """

    into: dict[str, list[tuple[Pipeline, Reference]]] = field(default_factory=lambda: defaultdict(list))
    out: dict[str, list[tuple[Pipeline, Reference]]] = field(default_factory=lambda: defaultdict(list))
    pairs: set[tuple[str, str]] = field(default_factory=set)


_Joints: TypeAlias = Mapping[str, _Joint]
_Stop: TypeAlias = tuple[str, str | None]
"""On the way of data: a pipeline and None, or a connector and the signal that goes into it."""


def check_graph(wiring: Wiring, signals: Signals, findings: Findings) -> None:
    """Reports components in pipelines of a signal that they do not have (GS0250), connectors between pipelines that
    they cannot join (GS0251), circles (GS0252) and pipelines behind a feature gate (GS0253).
    """
    pipelines = wiring.pipelines or ()
    for pipeline in pipelines:
        _check_signals(wiring, pipeline, signals, findings)
        if _signal(pipeline) == "profiles":
            findings.error(
                pipeline.origin,
                "GS0253",
                "pipelines of profiles need the feature gate service.profilesSupport, which is off by default",
                "remove the pipeline; agents that run with the gate need their own distribution",
            )
    joints = _joints(wiring)
    for name, joint in joints.items():
        _check_connector(name, joint, signals("connectors", _type(name)), findings)
    _check_circles(pipelines, joints, findings)
    check_targets(wiring, findings)


def _check_signals(wiring: Wiring, pipeline: Pipeline, signals: Signals, findings: Findings) -> None:
    connectors = wiring.sections["connectors"] or {}
    signal = _signal(pipeline)
    for role, items in pipeline.lists():
        if wiring.sections[role] is None:
            continue
        for item in items or ():
            if item.id in connectors or item.id not in (wiring.sections[role] or {}):
                continue
            known = signals(role, _type(item.id))
            if known is None or signal in known or signal == "profiles" or signal not in SIGNALS:
                continue
            able = ", ".join(known) or "no signal"
            findings.error(
                item.origin,
                "GS0250",
                f"{role[:-1]} {quoted(item.id)} does not support {signal}",
                f"it supports {able}; pipeline {quoted(pipeline.id)} carries {signal}",
            )


def _joints(wiring: Wiring) -> _Joints:
    """Every connector, in the order of the file."""
    found = {name: _Joint() for name in wiring.sections["connectors"] or {}}
    for pipeline in wiring.pipelines or ():
        signal = _signal(pipeline)
        for use in _first_uses(pipeline.exporters):
            if use.id in found:
                found[use.id].into[signal].append((pipeline, use))
        for use in _first_uses(pipeline.receivers):
            if use.id in found:
                found[use.id].out[signal].append((pipeline, use))
    return found


def _first_uses(items: tuple[Reference, ...] | None) -> Iterator[Reference]:
    seen: set[str] = set()
    for item in items or ():
        if item.id not in seen:
            seen.add(item.id)
            yield item


def _check_connector(name: str, joint: _Joint, known: Mapping[str, str] | None, findings: Findings) -> None:
    """Fills in what the connector joins, and reports uses that it cannot join with any other."""
    if not joint.into or not joint.out:
        return  # GS0214 says so
    if known is None:
        joint.pairs = {(start, end) for start in _listed(joint.into) for end in _listed(joint.out)}
        return
    able = (pair.partition("_to_") for pair in known)
    joint.pairs = {(start, end) for start, _, end in able if start in joint.into and end in joint.out}
    for side, here, there in ((0, joint.into, joint.out), (1, joint.out, joint.into)):
        fine = {pair[side] for pair in joint.pairs}
        role, other = ("an exporter", "a receiver") if side == 0 else ("a receiver", "an exporter")
        names = ", ".join(sorted(_listed(there)))
        for pipeline, use in (one for signal in here if signal not in fine for one in here[signal]):
            findings.error(
                use.origin,
                "GS0251",
                f"connector {quoted(name)} is {role} of {quoted(pipeline.id)}, and {other} only of "
                f"pipelines of {names}, which it cannot join",
                "it joins " + (", ".join(sorted(pair.replace("_to_", " to ") for pair in known)) or "nothing"),
            )


def _listed(signals: Mapping[str, object]) -> list[str]:
    """Signals, as many as there really are; a misspelt one is said to be wrong by GS0209."""
    return list(signals)[:_NAMED]


def _check_circles(pipelines: tuple[Pipeline, ...], joints: _Joints, findings: Findings) -> None:
    """Walks every way of data once, in time linear to what is written; a circle is reported where it is closed."""
    exports = {one.id: {use.id: use for use in _first_uses(one.exporters) if use.id in joints} for one in pipelines}
    signal_of = {one.id: _signal(one) for one in pipelines}

    def onward(stop: _Stop) -> Iterator[_Stop]:
        name, signal = stop
        if signal is None:
            return ((one, signal_of[name]) for one in exports[name])
        ends = (end for start, end in sorted(joints[name].pairs) if start == signal)
        return ((one.id, None) for end in ends for one, _ in joints[name].out[end])

    done: set[_Stop] = set()
    for first in exports:
        if (first, None) in done:
            continue
        trail: list[_Stop] = [(first, None)]
        places = {trail[0]: 0}
        walking = [onward(trail[0])]
        while walking:
            step = next(walking[-1], None)
            if step is None:
                walking.pop()
                done.add(trail[-1])
                del places[trail.pop()]
            elif step in places:
                _report_circle(trail, places[step], step, exports, findings)
            elif step not in done:
                places[step] = len(trail)
                trail.append(step)
                walking.append(onward(step))


def _report_circle(
    trail: list[_Stop], place: int, step: _Stop, exports: Mapping[str, Mapping[str, Reference]], findings: Findings
) -> None:
    """The last stop of the trail leads back to the one at `place`."""
    before, connector = (trail[-2][0], trail[-1][0]) if step[1] is None else (trail[-1][0], step[0])
    count = (len(trail) - place + 1) // 2
    shown = 2 if findings.full else 2 * _NAMED
    names = [quoted(name) for name, signal in trail[place : place + shown] if signal is None]
    more = [f"{count - len(names)} more"] if count > len(names) else []
    findings.error(
        exports[before][connector].origin,
        "GS0252",
        "data would run in a circle: " + " → ".join([*names, *more, names[0]]),
        f"connector {quoted(connector)} closes it",
    )


def _signal(pipeline: Pipeline) -> str:
    return pipeline.id.partition("/")[0]


def _type(name: str) -> str:
    return name.partition("/")[0]
