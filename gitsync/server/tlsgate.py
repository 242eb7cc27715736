"""TLS handshakes a few at a time, so that what open connections say is heard between them.

Rules
- A step of a handshake costs up to a millisecond; only a few are taken before the loop looks at all sockets again.
- A handshake is under way from its first bytes to its end. So many may be; some more wait, unread, in order, within
  their own deadline (that of the first request). Those beyond are dropped: nothing can be said to a peer before TLS.
- While others wait, a peer may not take long over its handshake, or a few silent ones would keep everybody out.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol

from gitsync.server.wheel import TimingWheel

STEPS_PER_TURN = 4
"""Steps of handshakes in one turn of the loop: 2 ms, or 3."""
WAITING_PER_PLACE = 32
"""How many wait, at most, for each place: what a core does within the deadline."""
PATIENCE_SECONDS = 3.0
"""How long a handshake may take while others wait."""


class Handshake(Protocol):
    """One connection that is not encrypted yet (`tlswire.TlsWire`)."""

    def shake(self) -> None:
        """Takes one step with what has come."""

    def give_up(self, *, waited: bool) -> None:
        """Closes: there is no place for it (`waited` is False), or it kept its place for too long."""


class HandshakeGate:
    """The places of one listener, and the queue for them.

    Attributes:
        slot: owned by the timing wheel.
    """

    __slots__ = ("_due", "_inside", "_left", "_loop", "_places", "_turning", "_waiting", "_wheel", "slot")

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: TimingWheel, places: int) -> None:
        self.slot = -1
        self._loop = loop
        self._wheel = wheel
        self._places = places
        self._inside: dict[Handshake, float] = {}  # since when; the oldest first
        self._due: dict[Handshake, None] = {}
        self._waiting: dict[Handshake, None] = {}
        self._left = STEPS_PER_TURN
        self._turning = False

    def step(self, one: Handshake) -> None:
        """Bytes have come for a handshake: takes a step now, or soon, or has it wait, or ends it."""
        if one in self._waiting or one in self._due:
            return
        if one not in self._inside and not self._enter(one):
            return
        if self._left and not self._due:
            self._take(one)
        else:
            self._due[one] = None
        self._turn_soon()

    def leave(self, one: Handshake) -> None:
        """A handshake is complete, has failed, or its peer is gone; nothing happens when it was not known."""
        self._due.pop(one, None)
        self._waiting.pop(one, None)
        if self._inside.pop(one, None) is not None and self._waiting:
            self._turn_soon()

    def check(self, now: float) -> float:
        """Ends handshakes that take long while others wait."""
        if not self._waiting:
            return inf
        for one, since in list(self._inside.items()):
            if now - since < PATIENCE_SECONDS:
                break
            if one not in self._due:
                one.give_up(waited=True)
                self.leave(one)
        return now + PATIENCE_SECONDS / 3 if self._waiting else inf

    def _enter(self, one: Handshake) -> bool:
        if len(self._inside) < self._places and not self._waiting:
            self._inside[one] = self._loop.time()
            return True
        if len(self._waiting) < self._places * WAITING_PER_PLACE:
            self._waiting[one] = None
            self._wheel.ask(self, self._loop.time() + PATIENCE_SECONDS / 3)
        else:
            one.give_up(waited=False)
        return False

    def _take(self, one: Handshake) -> None:
        self._left -= 1
        one.shake()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Once in a turn of the loop while there is something to do; those inside come before those who wait."""
        self._turning = False
        self._left = STEPS_PER_TURN
        try:
            while self._left and self._due:
                one = next(iter(self._due))
                del self._due[one]
                self._take(one)
            while self._left and self._waiting and len(self._inside) < self._places:
                one = next(iter(self._waiting))
                del self._waiting[one]
                self._inside[one] = self._loop.time()
                self._take(one)
        finally:  # whatever happened in one of them, the others go on
            if self._left < STEPS_PER_TURN:
                self._turn_soon()
