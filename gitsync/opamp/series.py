"""Whether two agents speak with one instance uid, told by their sequence numbers (Duplicate instance_uid Detection).

Each agent counts its own messages. Two of them under one uid look like one series that jumps: 5, 0, 6, 1, 7, 2. Real
agents repeat numbers and leave some out (a client that builds messages before it sends them), begin again at 0 when
they are started anew, and are delayed; none of that goes on in *both* series, time after time. So the claim needs
several changes in a row, each of which continues the series that was interrupted before.

Clones that count alike say each number twice. So does one agent that says a message again; but it does not do that
for one number after the other, from two places in turn.
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


@dataclass(frozen=True, slots=True)
class Echo:
    """Numbers that were said twice in a row.

    Attributes:
        number: the last of them.
        places: from where it was said, and said again.
        times: how many numbers, one after the other, were said twice from these places.
    """

    number: int
    places: tuple[str, str]
    times: int = 1

    @property
    def is_proven(self) -> bool:
        """Whether there are two agents."""
        return self.times >= ALTERNATIONS


def echoed(echo: Echo | None, number: int, addresses: tuple[str, str]) -> Echo | None:
    """What is known after a message with the number of the one before; None: one agent has said it again.

    Args:
        echo: what was known.
        number: of both messages.
        addresses: `ip:port` of the message before, and of this one. Clients open connections as they like, so on one
            host the ports have to stay what they are.
    """
    if addresses[0] == addresses[1]:
        return None
    hosts = (addresses[0].rpartition(":")[0], addresses[1].rpartition(":")[0])
    places = addresses if hosts[0] == hosts[1] else hosts
    if echo is not None and (echo.number + 1, echo.places) == (number, places):
        return Echo(number, places, echo.times + 1)
    return Echo(number, places)
