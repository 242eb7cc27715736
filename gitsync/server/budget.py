"""`Budget`: how many bytes of unfinished messages all connections together may hold."""

from __future__ import annotations


class Budget:
    """Bytes in flight: heads, bodies and messages that have begun to arrive and are not complete.

    Attributes:
        limit: how many there may be.
        used: how many there are.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, count: int) -> bool:
        """Takes room; False, and nothing is taken, when there is not enough."""
        if self.used + count > self.limit:
            return False
        self.used += count
        return True

    def give(self, count: int) -> None:
        """Gives room back."""
        self.used -= count

    def change(self, held: int, wanted: int) -> int:
        """Changes what one connection holds to what it needs now.

        Returns:
            What it holds from now on: `wanted`, or still `held` when there is no room for more.
        """
        if wanted > held and not self.take(wanted - held):
            return held
        if wanted < held:
            self.give(held - wanted)
        return wanted
