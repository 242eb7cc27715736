"""Log lines about what peers do wrong: few, however many peers there are."""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger("gitsync.opamp")

PERIOD_SECONDS = 10.0
LINES_PER_PERIOD = 10


class Faults:
    """Writes at most ten lines of each kind in ten seconds, and says how many it left out."""

    __slots__ = ("_kinds", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kinds: dict[str, tuple[float, int]] = {}

    def note(self, kind: str, addr: str, text: str) -> None:
        """Logs one fault as a warning.

        Args:
            kind: one of a fixed few; its lines are counted together.
            addr: `ip:port` of the peer.
            text: what is wrong; never a payload, a header value or a secret.
        """
        now = self._loop.time()
        began, count = self._kinds.get(kind, (now, 0))
        if now - began >= PERIOD_SECONDS:
            if count > LINES_PER_PERIOD:
                log.warning("%s: %d more like it since then", kind, count - LINES_PER_PERIOD)
            began, count = now, 0
        self._kinds[kind] = (began, count + 1)
        if count < LINES_PER_PERIOD:
            log.warning("%s: %s (%s)", addr, text, kind)
