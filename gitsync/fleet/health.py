"""What an agent's health says: one of three words with a reason, numbers by name, and the newest errors.

Rules
- Unhealthy: the agent says that it is not healthy. Why: its last error; else that it is starting or stopping; else the
  first error below it; else its status.
- Degraded: the agent is healthy and something below it is not; or it says itself that its error is a recoverable one.
  The reason names the place as Collectors do: `pipeline:traces/exporter:otlp: connection refused`.
- A configuration is proven by the agent's own `healthy`, so a degraded agent proves it when its root is healthy: what
  is below it may have failed before the configuration came, and for reasons that lie elsewhere.
- Equal trees give equal words, whatever order they were sent in; a reason is one line of at most `MAX_REASON_CHARS`.
- An agent keeps what is needed for this, not what was sent: see `keep`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from gitsync.fleet.agent import Agent, Attempt
from gitsync.ids import ConfigHash
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus, RecentError
from gitsync.opamp.texts import Pool

METRICS = (
    "cpu_usage_percent",
    "memory_usage_bytes",
    "memory_limit_bytes",
    "goroutines_count",
    "spans_received_per_sec",
    "spans_exported_per_sec",
    "spans_dropped_per_sec",
    "export_latency_p99_ms",
    "queue_size",
    "queue_capacity",
    "queue_utilization_percent",
    "export_error_rate_percent",
    "pipeline_error_count",
)
"""Attributes of a health tree that are numbers with a meaning."""
MAX_NUMBER = 1e18
MAX_NUMBER_CHARS = 32
MAX_REASON_CHARS = 256
MAX_PLACE_CHARS = 120
"""Of a reason, for the names of the components: the error must still be readable."""
MAX_NODES = 64
"""Components that are kept of one agent."""
MAX_TREES = 256
"""Trees that are shared by the agents that have the same one."""

_CHANGING = {"StatusStarting": "starting", "StatusStopping": "stopping", "StatusStopped": "stopped"}
_RECOVERABLE = "StatusRecoverableError"
_SILENT = frozenset({"", "StatusOK", "StatusNone"})
"""Statuses that say nothing about what is wrong."""
_ERRORS = frozenset({_RECOVERABLE, "StatusPermanentError", "StatusFatalError"})


class HealthWord(enum.StrEnum):
    """How an agent is, in one word."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    UNHEALTHY = "Unhealthy"


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """How an agent is, and why; the reason is empty for Healthy, and when nothing was told."""

    word: HealthWord
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.word}({self.reason})" if self.reason else str(self.word)


@dataclass(frozen=True, slots=True)
class ConfigOnAgent:
    """How an agent stands with its configuration.

    Attributes:
        hash: the one that it spoke of last; None before the first.
        last_applied: when it last said that it had applied a configuration; None when that is not known.
    """

    hash: ConfigHash | None
    last_applied: datetime | None
    status: ConfigStatus


_NAMES = frozenset(METRICS)
_OTHERS = tuple(one.name for one in fields(Agent) if one.name != "health")
_WELL = HealthStatus(HealthWord.HEALTHY)
_EMPTY = ComponentHealth(healthy=True)
_trees: Pool[tuple[object, ...], Mapping[str, ComponentHealth]] = Pool(MAX_TREES)


def status_of(agent: Agent) -> HealthStatus | None:
    """How the agent is; None when it does not report health."""
    return None if agent.health is None or not agent.can(Capability.REPORTS_HEALTH) else judge(agent.health)


def judge(health: ComponentHealth) -> HealthStatus:
    """How an agent with this health tree is; see the module's rules."""
    failing = list(_failing(health.components))
    if health.healthy:
        if failing:
            return HealthStatus(HealthWord.DEGRADED, _first(failing))
        if health.status in _ERRORS:
            return HealthStatus(HealthWord.DEGRADED, _line(health.last_error or health.status))
        return _WELL
    has_error_below = any(one.last_error for _, one in failing)
    if health.status == _RECOVERABLE:
        own = health.last_error or health.status
        return HealthStatus(HealthWord.DEGRADED, _first(failing) if has_error_below else _line(own))
    reason = health.last_error or _CHANGING.get(health.status, "")
    if not reason and not has_error_below and health.status not in _SILENT:
        reason = health.status
    return HealthStatus(HealthWord.UNHEALTHY, _line(reason) if reason else _first(failing))


def metrics(health: ComponentHealth | None) -> Mapping[str, float]:
    """The numbers among the attributes of the tree that `METRICS` names: the agent's own first, then its components'.

    In the order of `METRICS`; only finite numbers from 0 to `MAX_NUMBER`. None has none.
    """
    found: dict[str, float] = {}
    if health is None:
        return found
    for one in (health, *_below(health)):
        for name, written in one.attributes.items():
            if name in _NAMES and name not in found:
                number = _number(written)
                if number is not None:
                    found[name] = number
    return {name: found[name] for name in METRICS if name in found} if len(found) > 1 else found


def recent_errors(health: ComponentHealth | None) -> tuple[RecentError, ...]:
    """The newest errors, newest first: the agent's own, or else those of the first component that tells some."""
    if health is None:
        return ()
    return health.recent_errors or next((one.recent_errors for one in _below(health) if one.recent_errors), ())


def is_only_numbers(before: Agent, after: Agent) -> bool:
    """Whether nothing but metrics, recent errors and the time of the report changed.

    Agents that report metrics do so every half minute: storing each of them would be a write per heartbeat.
    """
    old, new = before.health, after.health
    if old is None or new is None or old is new:
        return False
    return (
        all(getattr(before, name) == getattr(after, name) for name in _OTHERS)
        and (old.healthy, old.status, old.last_error) == (new.healthy, new.status, new.last_error)
        and old.components == new.components
    )


def config_status(agent: Agent, attempts: Iterable[Attempt] = ()) -> ConfigOnAgent:
    """How the agent stands with its configuration, of what it reported and of its newest attempts."""
    reported = agent.reported
    known = [*attempts] if agent.current is None else [agent.current, *attempts]
    applied = [one.applied_at for one in known if one.applied_at is not None]
    return ConfigOnAgent(
        hash=reported.digest if reported is not None and reported.digest else None,
        last_applied=max(applied, default=None),
        status=ConfigStatus.UNSET if reported is None else reported.status,
    )


def keep(health: ComponentHealth) -> ComponentHealth:
    """What is kept of a reported tree: words, errors and numbers; keeping it again changes nothing."""
    numbers = metrics(health)
    return ComponentHealth(
        healthy=health.healthy,
        status=health.status,
        last_error=health.last_error,
        start_time_unix_nano=health.start_time_unix_nano,
        status_time_unix_nano=health.status_time_unix_nano,
        components=keep_components(health.components),
        attributes={name: _written(number) for name, number in numbers.items()} if numbers else _EMPTY.attributes,
        recent_errors=recent_errors(health),
    )


def keep_components(components: Mapping[str, ComponentHealth]) -> Mapping[str, ComponentHealth]:
    """What is kept of an agent's components: at most `MAX_NODES`, without times and attributes.

    Of a larger tree stay those that are not well. A tree without errors is one object for all the agents that have the
    same one, as agents with one configuration do.
    """
    if not components:
        return _EMPTY.components
    shape = _shape(components)
    found = _trees.get(shape)
    if found is not None:
        return found
    nodes = list(_nodes(components))
    is_large = len(nodes) > MAX_NODES
    kept = _pruned(components, iter(range(MAX_NODES)), failing_only=is_large)
    # What an agent made up must not stay when that agent has gone.
    is_own = any(one.last_error or max(len(name), len(one.status)) > MAX_PLACE_CHARS for name, one in nodes)
    return kept if is_large or is_own else _trees.share(shape, kept)


def _shape(components: Mapping[str, ComponentHealth]) -> tuple[object, ...]:
    return tuple(
        (name, one.healthy, one.status, one.last_error, _shape(one.components) if one.components else ())
        for name, one in components.items()
    )


def _pruned(
    components: Mapping[str, ComponentHealth], left: Iterator[int], *, failing_only: bool
) -> Mapping[str, ComponentHealth]:
    if not components:
        return _EMPTY.components
    kept: dict[str, ComponentHealth] = {}
    for name, one in sorted(components.items()):
        if failing_only and _is_well(one) and all(_is_well(each) for _, each in _nodes(one.components)):
            continue
        if next(left, None) is None:
            break
        kept[_place(name)] = ComponentHealth(
            healthy=one.healthy,
            status=one.status[:MAX_PLACE_CHARS],
            last_error=one.last_error[:MAX_REASON_CHARS],
            components=_pruned(one.components, left, failing_only=failing_only),
        )
    return kept


def _nodes(components: Mapping[str, ComponentHealth]) -> Iterator[tuple[str, ComponentHealth]]:
    for name, one in components.items():
        yield name, one
        yield from _nodes(one.components)


def _below(health: ComponentHealth) -> Iterator[ComponentHealth]:
    """Every component, by name, each before its own."""
    for _, one in sorted(health.components.items()):
        yield one
        yield from _below(one)


def _is_well(one: ComponentHealth) -> bool:
    return one.healthy and one.status not in _ERRORS


def _failing(components: Mapping[str, ComponentHealth], above: str = "") -> Iterator[tuple[str, ComponentHealth]]:
    """The components that are not well, by place; one whose own components tell more is left out."""
    for name, one in sorted(components.items()):
        place = f"{above}/{name}" if above else name
        below = list(_failing(one.components, place)) if one.components else []
        yield from below
        if not _is_well(one) and (not below or (one.last_error and not any(each.last_error for _, each in below))):
            yield place, one


def _first(failing: list[tuple[str, ComponentHealth]]) -> str:
    """The failing component that tells most, and how many others there are; "" when there is none."""
    if not failing:
        return ""
    place, one = min(failing, key=lambda each: (not each[1].last_error, each[1].status not in _ERRORS))
    said = one.last_error or _CHANGING.get(one.status, "") or (one.status if one.status in _ERRORS else "not healthy")
    others = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
    return _line(f"{_place(place)}: {said}", MAX_REASON_CHARS - len(others)) + others


def _place(place: str) -> str:
    return place if len(place) <= MAX_PLACE_CHARS else place[: MAX_PLACE_CHARS - 1] + "…"


def _line(text: str, chars: int = MAX_REASON_CHARS) -> str:
    """The text in one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"


def _number(written: str) -> float | None:
    """The value of a metric; None for what is no number in bounds."""
    if len(written) > MAX_NUMBER_CHARS or "_" in written:
        return None
    try:
        number = float(written)
    except ValueError:
        return None
    return number if 0 <= number <= MAX_NUMBER else None


def _written(number: float) -> str:
    return repr(number).removesuffix(".0")
