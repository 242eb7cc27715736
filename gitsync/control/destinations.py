"""`Destinations`: the connection settings of the target versions in effect, with their secrets filled in.

Rules
- Secrets are read by whoever calls `refresh`, off the path of messages; what they come to is worked out in a thread.
- What cannot be filled in whole is not there; `Plan.problem` says why.
- A disk that does not answer takes nothing back that is known already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitsync.bundle.connection import secret_names
from gitsync.bundle.version import TargetVersion, canonical_json
from gitsync.control.ports import Clock, Secrets
from gitsync.control.published import Published
from gitsync.fleet.assign import Assignment
from gitsync.fleet.resolve import Incomplete, resolve
from gitsync.ids import TargetId, VersionDigest
from gitsync.opamp.connection import ASKED, OPAMP, ConnectionSettings, Offerable, offerable

log = logging.getLogger("gitsync.agents")

SECRETS_SECONDS = 10.0
TROUBLE = "its secrets cannot be read: the disk does not answer"


class NoSecrets:
    """The port `Secrets` where there are none."""

    async def load(self, names: Collection[str]) -> Mapping[str, str]:
        """Nothing."""
        return {}


@dataclass(slots=True, eq=False)
class Plan:
    """The settings of one target version, as far as they can be offered.

    Attributes:
        problem: why they cannot; "" when they can.
        offers: by the capabilities that decide.
    """

    connection: Mapping[str, Any]
    settings: ConnectionSettings | None = None
    problem: str = "its secrets are not read yet"
    offers: dict[int, Offerable] = field(default_factory=dict)

    def offer(self, capabilities: int) -> Offerable | None:
        """What an agent with these capabilities can be offered."""
        bits = capabilities & ASKED
        if self.settings is None:
            return None
        if bits not in self.offers:
            self.offers[bits] = offerable(self.settings, bits)
        return self.offers[bits]

    @property
    def opamp_digest(self) -> bytes | None:
        """Identity of the OpAMP section; None without one, and while nothing can be offered."""
        offer = self.offer(ASKED)
        return None if offer is None or OPAMP not in offer.sections else offer.sections[OPAMP].digest


class Destinations:
    """The plans of all target versions that agents may be assigned to.

    Attributes:
        stale: something was published that `refresh` did not see yet.
    """

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock
        self._plans: dict[tuple[TargetId, VersionDigest], Plan] = {}
        self._by_target: dict[TargetId, list[Plan]] = {}
        self.stale = False

    def __bool__(self) -> bool:
        """Whether any target has settings."""
        return bool(self._plans)

    def set_published(self, published: Published) -> None:
        """Puts a new desired state in effect; settings that changed are not offered before `refresh`."""
        plans: dict[tuple[TargetId, VersionDigest], Plan] = {}
        for version in _in_effect(published):
            if version.connection:
                before = self._plans.get((version.id, version.digest))
                same = before is not None and before.connection == version.connection
                plans[version.id, version.digest] = before if before and same else Plan(version.connection)
        self.stale = self.stale or any(one is not self._plans.get(key) for key, one in plans.items())
        self._plans = plans
        self._by_target = {}
        for (target, _), plan in plans.items():
            self._by_target.setdefault(target, []).append(plan)

    def of(self, assignment: Assignment | None) -> Plan | None:
        """The plan of the version that an agent is assigned to; None when it has no settings."""
        if assignment is None or assignment.target is None or assignment.version is None:
            return None
        return self._plans.get((assignment.target, assignment.version))

    def of_target(self, target: TargetId) -> Sequence[Plan]:
        """The plans of its versions in effect."""
        return self._by_target.get(target, ())

    async def refresh(self) -> frozenset[TargetId]:
        """Reads the secrets again; the targets whose settings are others now."""
        self.stale = False
        plans = dict(self._plans)
        names = frozenset(name for one in plans.values() for name in secret_names(one.connection))
        secrets: Mapping[str, str] | None
        try:
            async with asyncio.timeout(SECRETS_SECONDS):
                secrets = await self._secrets.load(names)
        except TimeoutError:
            secrets = None
        connections = [one.connection for one in plans.values()]
        found = await asyncio.to_thread(_resolve, connections, secrets or {}, self._clock.now())
        changed: set[TargetId] = set()
        for (target, _), plan in plans.items():
            settings, problem = found[canonical_json(plan.connection)]
            if secrets is None and problem:
                settings, problem = plan.settings, "" if plan.settings else TROUBLE
            if (settings, problem) == (plan.settings, plan.problem):
                continue
            if problem:
                log.warning("target %s: connection settings are not offered: %s", target, problem)
            plan.settings, plan.problem, plan.offers = settings, problem, {}
            changed.add(target)
        return frozenset(changed)


def _resolve(
    connections: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], now: datetime
) -> dict[bytes, tuple[ConnectionSettings | None, str]]:
    """Each different one once: settings, or why there are none."""
    found: dict[bytes, tuple[ConnectionSettings | None, str]] = {}
    for one in connections:
        key = canonical_json(one)
        if key in found:
            continue
        try:
            settings = resolve(one, secrets, now)
            offerable(settings, int(ASKED))
        except (Incomplete, ValueError) as incomplete:
            found[key] = (None, str(incomplete))
        else:
            found[key] = (settings, "")
    return found


def _in_effect(published: Published) -> list[TargetVersion]:
    """The versions that agents may be assigned to now."""
    desired = published.desired
    found: list[TargetVersion] = []
    for target, state in desired.states.items():
        candidate = None if state.rollout is None else state.rollout.candidate
        found += [desired.versions[target, one] for one in {state.stable, candidate} if one is not None]
    return found
