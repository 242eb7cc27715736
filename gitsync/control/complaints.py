"""`Complaints`: log lines about what agents say wrongly; few, however much they say."""

from __future__ import annotations

import logging

PERIOD_SECONDS = 10.0
LINES_PER_PERIOD = 10


class Complaints:
    """At most ten lines in ten seconds, and then how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._began = 0.0
        self._count = 0

    def note(self, addr: str, text: str, now: float) -> None:
        """Logs one as a warning.

        Args:
            addr: `ip:port` of the peer.
            text: what is wrong, without anything of what was sent.
            now: monotonic seconds.
        """
        if now - self._began >= PERIOD_SECONDS:
            if self._count > LINES_PER_PERIOD:
                self._log.warning("%d more messages could not be read", self._count - LINES_PER_PERIOD)
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= LINES_PER_PERIOD:
            self._log.warning("%s: %s", addr, text)
