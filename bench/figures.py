"""Numbers out of what was measured: medians, ranges, ratios, and the targets that they are held against."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]


def median_and_range(values: Sequence[float], digits: int = 1) -> str:
    """`median [least-most]`, or the value alone when there is one."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


@dataclass(frozen=True)
class Figure:
    """One kind of number.

    Attributes:
        read: its values in one step of one side.
        target: the largest ratio to opamp-go that is wanted; None: it is only shown.
    """

    title: str
    read: Callable[[Step], list[float]]
    target: float | None = None
    digits: int = 1


def _pushes(kib: int, key: str, factor: float = 1.0) -> Callable[[Step], list[float]]:
    def read(step: Step) -> list[float]:
        return [one[key] * factor for one in step["pushes"].get(str(kib), ()) if one[key] is not None]

    return read


def _connect(key: str) -> Callable[[Step], list[float]]:
    return lambda step: [step["connect"][key]]


def _beats(key: str) -> Callable[[Step], list[float]]:
    return lambda step: [step["beats"][key]]


def _storms(key: str) -> Callable[[Step], list[float]]:
    return lambda step: [one[key] for one in step["storms"]]


def figures(*, tls: bool) -> list[Figure]:
    """All rows of a comparison, with the targets of plain or encrypted connections."""
    push_cpu = {16: 1.0} if tls else {16: 0.7, 100: 0.45}
    push_p99 = {16: 0.8} if tls else {16: 0.7}
    rows = [
        Figure("memory per connection, KiB", lambda step: [step["kib_per_agent"]], 0.7 if tls else 0.35),
        Figure("the same at the end of the run, KiB", lambda step: [step["kib_per_agent_later"]]),
        Figure("connect, CPU us each", _connect("cpu_us"), 1.9 if tls else None, 0),
        Figure("connect, per second", _connect("rate"), None, 0),
        Figure("heartbeat, CPU us each", _beats("cpu_us"), None if tls else 1.0),
        Figure("heartbeat, P99 ms", _beats("p99_ms"), None, 2),
    ]
    for kib in (4, 16, 100):
        rows += [
            Figure(f"push {kib} KiB, CPU s", _pushes(kib, "cpu_s"), push_cpu.get(kib), 2),
            Figure(f"push {kib} KiB, P50 ms", _pushes(kib, "p50_ms"), None, 0),
            Figure(f"push {kib} KiB, P99 ms", _pushes(kib, "p99_ms"), push_p99.get(kib), 0),
            Figure(f"push {kib} KiB, all APPLIED ms", _pushes(kib, "all_applied_ms"), None, 0),
        ]
    rows += [
        Figure("reconnect storm, CPU us each", _storms("cpu_us"), None if tls else 1.0, 0),
        Figure("reconnect storm, per second", _storms("rate"), None, 0),
    ]
    return rows


def per_agent(*, tls: bool) -> list[tuple[str, Figure, Figure]]:
    """What has a target for its CPU time: its name, and the time and the kernel's part of it, in us each."""

    def push(kib: int, key: str) -> Callable[[Step], list[float]]:
        return lambda step: [one[key] / step["agents"] * 1e6 for one in step["pushes"].get(str(kib), ())]

    push_cpu = {one.title: one.target for one in figures(tls=tls)}
    rows = [
        (f"push {kib} KiB", Figure("", push(kib, "cpu_s"), push_cpu[f"push {kib} KiB, CPU s"]), push(kib, "kernel_s"))
        for kib in (16, 100)
    ]
    if tls:
        rows.append(("connect", Figure("", _connect("cpu_us"), 1.9), _connect("kernel_us")))
    else:
        rows.insert(0, ("heartbeat", Figure("", _beats("cpu_us"), 1.0), _beats("kernel_us")))
        rows.append(("reconnect storm", Figure("", _storms("cpu_us"), 1.0), _storms("kernel_us")))
    return [(name, whole, Figure("", read)) for name, whole, read in rows]


def values_of(sides: Sequence[dict[str, Any]], name: str, figure: Figure, agents: int | None = None) -> list[float]:
    """The figure of one server over all runs, at a number of agents (or at the only one)."""
    found: list[float] = []
    for side in sides:
        for step in side["steps"]:
            if side["name"] == name and agents in (None, step["agents"]):
                found += figure.read(step)
    return found
