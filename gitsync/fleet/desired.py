"""`Desired`: what every agent should have, as one value; and which target an agent matches in it.

The value is replaced whole when something is published. Matching depends on few labels only, so its answers are
kept by the projection of an agent's labels onto the keys that any selector uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from gitsync.bundle.statements import Release
from gitsync.bundle.version import COLLECTOR, EMPTY_SLOT, MatchRules, TargetVersion
from gitsync.fleet.agent import Agent
from gitsync.ids import ConfigHash, SourceName, TargetId, VersionDigest, show_uid
from gitsync.labels import RankedLabels
from gitsync.rollout.cohort import rollout_bucket
from gitsync.rollout.state import TargetState

SERVICE_NAME = "service.name"
COLLECTOR_SERVICE = "io.opentelemetry.collector"
COLLECTOR_PREFIX = "otelcol"
_MEMO_LIMIT = 10_000


@dataclass(frozen=True)
class Desired:
    """What every agent should have now.

    Attributes:
        versions: every version that a state or an agent's history can name.
    """

    releases: Mapping[SourceName, Release] = field(default_factory=dict)
    states: Mapping[TargetId, TargetState] = field(default_factory=dict)
    versions: Mapping[tuple[TargetId, VersionDigest], TargetVersion] = field(default_factory=dict)

    def match(self, agent: Agent) -> TargetVersion | None:
        """The version in effect that the agent matches best; None when no target selects it.

        An agent of unknown type is matched by labels alone, so that people see what it would get.
        """
        found = self.best(agent)
        return None if found is None else found.version

    def best(self, agent: Agent) -> Match | None:
        """As `match`, with what else matching found out."""
        for found in self._matches.of(agent.labels, agent.components is not None):
            version = found.version
            state = self.states[found.id]
            bucket = 0
            if state.rollout is not None:
                bucket = rollout_bucket(version.source, version.path, show_uid(agent.uid))
            if state.in_effect(bucket) == version.digest:
                return found
        return None

    @cached_property
    def _matches(self) -> _Matches:
        live: list[TargetVersion] = []
        for target, state in self.states.items():
            candidate = None if state.rollout is None else state.rollout.candidate
            live += [self.versions[target, digest] for digest in {state.stable, candidate} if digest is not None]
        return _Matches(live)


class Match(NamedTuple):
    """A version that selects an agent; one object for all agents that no selector can tell apart.

    Attributes:
        id: of its target.
        wanted: the payload that it wants for the agent.
        type: what kind of agent it is by the version's rules; None: no rule knows it.
    """

    version: TargetVersion
    id: TargetId
    wanted: ConfigHash
    type: str | None


class Projection:
    """What agents that no selector can tell apart have in common; the same object for all of them."""

    __slots__ = ()


class _Projector:
    """Maps labels to projections by the keys that count.

    It outlives what is desired, and labels remember their projection: a publication that changes no selector then
    matches each agent by one lookup.
    """

    __slots__ = ("_keys", "_known", "_trusted")

    def __init__(self, keys: tuple[str, ...], *, trusted: bool) -> None:
        self._keys = keys
        self._trusted = trusted
        self._known: dict[tuple[object, ...], Projection] = {}

    def of(self, labels: RankedLabels, has_components: bool) -> Projection:
        seen = labels.seen
        if seen is not None and seen[0] is self and seen[1] is has_components:
            found: Projection = seen[2]
            return found
        everything = labels.effective()
        trusted = labels.effective(trusted_only=True) if self._trusted else {}
        values = (
            has_components,
            tuple([everything.get(key) for key in self._keys]),
            tuple([trusted.get(key) for key in self._keys]) if trusted else (),
        )
        projection = self._known.get(values)
        if projection is None:
            if len(self._known) >= _MEMO_LIMIT:
                self._known.clear()
            projection = self._known[values] = Projection()
        labels.remember((self, has_components, projection))
        return projection


_projector = lru_cache(maxsize=8)(_Projector)


class _Matches:
    """Versions that may be in effect, best first, remembered by label projection."""

    def __init__(self, live: list[TargetVersion]) -> None:
        self._live = sorted(live, key=_preference)
        keys: set[str] = {SERVICE_NAME}
        for version in live:
            if version.selector is not None:
                keys |= version.selector.keys()
            for name, stand_ins in version.rules.aliases.items():
                keys |= {name, *stand_ins}
            for rule in version.rules.types:
                keys |= rule.selector.keys()
        self._projector = _projector(tuple(sorted(keys)), trusted=any(version.trusted_only for version in live))
        self._memo: dict[Projection, tuple[Match, ...]] = {}

    def of(self, labels: RankedLabels, has_components: bool) -> tuple[Match, ...]:
        projection = self._projector.of(labels, has_components)
        found = self._memo.get(projection)
        if found is None:
            everything, trusted = labels.effective(), labels.effective(trusted_only=True)
            found = tuple(
                Match(
                    one,
                    one.id,
                    one.slots[EMPTY_SLOT],
                    agent_type(everything, one.rules, has_components=has_components),
                )
                for one in self._live
                if _selects(one, everything, trusted, has_components)
            )
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            self._memo[projection] = found
        return found


def _preference(version: TargetVersion) -> tuple[bool, int, int, str]:
    """Best first: the default target last, then higher priority, then deeper, then by path."""
    return (version.selector is None, -version.priority, -version.depth, version.path)


def _selects(
    version: TargetVersion, everything: Mapping[str, str], trusted: Mapping[str, str], has_components: bool
) -> bool:
    kind = agent_type(everything, version.rules, has_components=has_components)
    if kind is not None and kind != version.agent_type:
        return False
    if version.selector is None:
        return True
    return version.selector.matches(version.rules.resolve(trusted if version.trusted_only else everything))


def agent_type(labels: Mapping[str, str], rules: MatchRules, *, has_components: bool) -> str | None:
    """What kind of agent this is; None when no rule knows it.

    The rules of `gitsync.yaml` come first, then the built-in one: a service name of the Collector's, or a report of
    available components, makes a `collector`.
    """
    resolved = rules.resolve(labels)
    for rule in rules.types:
        if rule.selector.matches(resolved):
            return rule.type
    service = labels.get(SERVICE_NAME, "")
    if service == COLLECTOR_SERVICE or service.startswith(COLLECTOR_PREFIX) or has_components:
        return COLLECTOR
    return None
