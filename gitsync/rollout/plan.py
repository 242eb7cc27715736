"""Plans: in which steps a target's agents move to a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALL_AT_ONCE = "all-at-once"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a plan.

    Attributes:
        percent: share of the eligible agents that this stage opens, in hundredths of a percent (0..10000).
    """

    name: str
    percent: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of a rollout; the one strategy today opens one stage to everybody and has no gate."""

    strategy: str = ALL_AT_ONCE
    stages: tuple[Stage, ...] = (Stage("all", 10_000),)

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "strategy": self.strategy,
            "stages": [{"name": one.name, "percent": one.percent} for one in self.stages],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of `as_json`."""
        return cls(data["strategy"], tuple(Stage(one["name"], one["percent"]) for one in data["stages"]))
