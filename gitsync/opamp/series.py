"""Whether two agents speak with one instance uid, told by their sequence numbers (Duplicate instance_uid Detection).

Each agent counts its own messages. Two of them under one uid look like one series that jumps: 5, 0, 6, 1, 7, 2. Real
agents repeat numbers and leave some out (a client that builds messages before it sends them), begin again at 0 when
they are started anew, and are delayed; none of that goes on in *both* series, time after time. So the claim needs
several changes in a row, each of which continues the series that was interrupted before.

Clones whose numbers are equal cannot be told apart in this way.
"""

from __future__ import annotations

from dataclasses import dataclass

ALTERNATIONS = 3
"""Changes in a row after which there are two agents."""


@dataclass(frozen=True, slots=True)
class Series:
    """What two agents would have said so far.

    Attributes:
        waiting: last number of the one that is not speaking now.
        alternations: how often in a row a change went on in the other series.
        is_later: whether the one that speaks now came second.
    """

    waiting: int
    alternations: int = 0
    is_later: bool = True

    @property
    def is_proven(self) -> bool:
        """Whether there are two agents."""
        return self.alternations >= ALTERNATIONS


def follow(series: Series | None, previous: int, number: int) -> Series:
    """What is known after a message whose number does not follow the one before.

    Args:
        series: what was known; None: the numbers followed each other until now.
        previous: the number before.
        number: of the message.
    """
    if series is None or number != series.waiting + 1:
        return Series(previous)
    return Series(previous, series.alternations + 1, not series.is_later)
