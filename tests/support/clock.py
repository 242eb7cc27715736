"""Time and chance that a test moves itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from gitsync.ids import AgentUid
from tests.support.builders import NOW, a_uid


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self._at = at
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._monotonic += seconds


class FixedRandom:
    """The lowest number, counted tokens, counted uids."""

    def __init__(self) -> None:
        self._count = 0

    def uniform(self, low: float, high: float) -> float:
        return low

    def token(self) -> str:
        self._count += 1
        return f"token-{self._count}"

    def uuid7(self, now: datetime) -> AgentUid:
        self._count += 1
        return a_uid(1_000 + self._count)
