"""Who may come in: a token bucket for new connections, and when those who may not should come back.

Rules (OpAMP, Throttling)
- A new connection costs one token, whether its first request opens a WebSocket or is a POST. Open ones cost nothing.
- Who is refused is told a time that is at least half a minute away and spread over as much again, and later the more
  were refused lately: as if they stood in a queue that moves at the rate. So a fleet does not come back in one second,
  and finds room when it does.
"""

from __future__ import annotations

import math

RETRY_SECONDS = 30.0
"""The minimum that the specification recommends."""
DRAIN_RETRY_SECONDS = 2.0
"""For agents that find a server on its way out: another one, or the next one, will have them soon."""
MOST_SECONDS = 600.0
_GOLDEN = (math.sqrt(5) - 1) / 2


class Admission:
    """The bucket of one listener. Times are seconds of the loop's clock."""

    __slots__ = ("_backlog", "_burst", "_rate", "_refilled", "_step", "_tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        """A full bucket.

        Args:
            rate: new connections a second, for ever.
            burst: new connections at once.
            now: the time.
        """
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._backlog = 0.0
        self._refilled = now
        self._step = 0.0

    def admit(self, now: float) -> bool:
        """Whether one more connection may come in now; if so, that took its token."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def retry_after(self, now: float, least: float = RETRY_SECONDS) -> int:
        """Seconds after which one who is refused now should come back; each call counts one.

        The times of many are spread evenly (by steps of the golden ratio), which is better than chance.
        """
        self._refill(now)
        self._backlog += 1.0
        self._step = (self._step + _GOLDEN) % 1.0
        queue = self._backlog / self._rate
        if queue > MOST_SECONDS - 2 * least:  # hopeless; but nobody waits for ever, nor do they come back as one
            return math.ceil(least + self._step * (MOST_SECONDS - least))
        return math.ceil(least + self._step * least + queue)

    def _refill(self, now: float) -> None:
        fresh = (now - self._refilled) * self._rate
        self._refilled = now
        self._tokens = min(self._burst, self._tokens + fresh)
        self._backlog = max(0.0, self._backlog - fresh)
