"""`FewLines`: log lines about peers, a few of each kind, however many peers there are and whatever they do."""

from __future__ import annotations

import logging
from collections.abc import Callable


class FewLines:
    """Writes at most so many lines of each kind in a period, and says how many it left out.

    When a fleet comes back, ten thousand lines would cost more than all the rest of its coming back.
    """

    __slots__ = ("_kinds", "_level", "_lines", "_log", "_seconds", "_time")

    def __init__(
        self,
        log: logging.Logger,
        time: Callable[[], float],
        *,
        level: int = logging.WARNING,
        lines: int = 10,
        seconds: float = 10.0,
    ) -> None:
        """Nothing was logged yet.

        Args:
            log: where to.
            time: monotonic seconds.
            level: of all lines.
            lines: of one kind in one period.
            seconds: length of a period; it begins with the first line of its kind.
        """
        self._log = log
        self._time = time
        self._level = level
        self._lines = lines
        self._seconds = seconds
        self._kinds: dict[str, tuple[float, int]] = {}

    def note(self, kind: str, addr: str, text: str = "") -> None:
        """Logs one line.

        Args:
            kind: one of a fixed few; its lines are counted together.
            addr: `ip:port` of the peer.
            text: what is wrong; never a payload, a header value or a secret. Empty: the kind says all.
        """
        now = self._time()
        began, count = self._kinds.get(kind, (now, 0))
        if now - began >= self._seconds:
            self._say_rest(kind, count)
            began, count = now, 0
        self._kinds[kind] = (began, count + 1)
        if count >= self._lines:
            return
        if text:
            self._log.log(self._level, "%s: %s (%s)", addr, text, kind)
        else:
            self._log.log(self._level, "%s: %s", kind, addr)

    def tell(self, *, early: bool = False) -> None:
        """Ends the periods that are over, so that what was left out is said though nothing more of the kind comes.

        Args:
            early: also those that are not over, as nobody will come here again.
        """
        now = self._time()
        for kind, (began, count) in list(self._kinds.items()):
            if early or now - began >= self._seconds:
                del self._kinds[kind]
                self._say_rest(kind, count)

    def _say_rest(self, kind: str, count: int) -> None:
        if count > self._lines:
            self._log.log(self._level, "%s: %d more like it since then", kind, count - self._lines)
