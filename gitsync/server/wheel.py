"""Deadlines of many connections in one timer: slots of one second each, looked at when their time has come.

A connection sits in at most one slot. A deadline that moves away costs nothing: when the old slot comes, the connection
is asked, and says when it wants to be asked next. Only a deadline that comes nearer moves it.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf
from typing import Protocol

log = logging.getLogger("gitsync.opamp")


class Timed(Protocol):
    """What has deadlines.

    Attributes:
        slot: owned by the wheel; -1 while it is in no slot.
    """

    slot: int

    def check(self, now: float) -> float:
        """Does what is due and says when to ask again (seconds of the loop's clock; infinity: never)."""


class TimingWheel:
    """One `call_later` for all deadlines. Never early; late by up to one slot."""

    __slots__ = ("_done", "_handle", "_loop", "_slots", "_tick_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_seconds: float) -> None:
        self._loop = loop
        self._tick_seconds = tick_seconds
        self._slots: dict[int, set[Timed]] = {}
        self._done = int(loop.time() / tick_seconds)
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to turn."""
        self._handle = self._loop.call_later(self._tick_seconds, self._turn)

    def stop(self) -> None:
        """Stops turning and forgets everything."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for members in self._slots.values():
            for one in members:
                one.slot = -1
        self._slots.clear()

    def ask(self, one: Timed, at: float) -> None:
        """Has it asked at this time, or earlier if that was agreed before; infinity: not any more."""
        if at == inf:
            return
        slot = max(int(at / self._tick_seconds) + 1, self._done + 1)
        if one.slot != -1:
            if one.slot <= slot:
                return
            self.drop(one)
        one.slot = slot
        self._slots.setdefault(slot, set()).add(one)

    def drop(self, one: Timed) -> None:
        """Takes it out; nothing happens when it is in no slot."""
        members = self._slots.get(one.slot)
        if members is not None:
            members.discard(one)
            if not members:
                del self._slots[one.slot]
        one.slot = -1

    def _turn(self) -> None:
        now = self._loop.time()
        self._handle = self._loop.call_later(self._tick_seconds, self._turn)
        last, first = int(now / self._tick_seconds), self._done + 1
        self._done = max(last, self._done)
        if last - first > len(self._slots):  # the process slept for long
            due = sorted(slot for slot in self._slots if slot <= last)
        else:
            due = [slot for slot in range(first, last + 1) if slot in self._slots]
        for slot in due:
            for one in self._slots.pop(slot, ()):
                one.slot = -1
                self._check(one, now)

    def _check(self, one: Timed, now: float) -> None:
        try:
            self.ask(one, one.check(now))
        except Exception:  # one broken connection must not stop the clock of all others
            log.exception("a deadline of %r could not be checked", type(one).__name__)
