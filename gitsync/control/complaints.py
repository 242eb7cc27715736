"""Log lines about agents: few, however many agents there are, and however much they say."""

from __future__ import annotations

import logging

PERIOD_SECONDS = 10.0
LINES_PER_PERIOD = 10
COMINGS_PER_SECOND = 20


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


class Comings:
    """Lines about agents that come and go: the first of each second, and how many others there were.

    When a fleet comes back, ten thousand lines would cost more than all the rest of its coming back.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._began = 0.0
        self._left_out = 0
        self._lines = 0

    def note(self, what: str, addr: str, now: float) -> None:
        """Logs that an agent came or went.

        Args:
            what: `Agent connected` or `Agent disconnected`.
            addr: `ip:port` of the peer.
            now: monotonic seconds.
        """
        if now - self._began >= 1.0:
            self.tell()
            self._began, self._lines = now, 0
        if self._lines < COMINGS_PER_SECOND:
            self._lines += 1
            self._log.info("%s: %s", what, addr)
        else:
            self._left_out += 1

    def tell(self) -> None:
        """Logs how many were left out since the last time."""
        if self._left_out:
            self._log.info("%d more agents connected or disconnected", self._left_out)
            self._left_out = 0
