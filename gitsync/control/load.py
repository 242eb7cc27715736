"""`LinkLoad`: which agents one link carries, and whether it says more than is reasonable.

A link may send `rate` messages a second for ever, and `BURST_SECONDS` of that at once; each agent on it adds to both,
so that a proxy gets room in proportion. One number is kept: until when everything that came is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.ids import AgentUid

BURST_SECONDS = 10.0
"""How much may come at once: what is allowed in this time."""
RATE_PER_AGENT = 2.0
"""What each further agent adds to the messages a second of its link."""


class LinkLoad:
    """The agents of one link, and its account of messages.

    Attributes:
        paid_until: monotonic seconds; when everything that came would have come at the allowed rate.
        cost: seconds that one message uses up; the same object for all links with one agent.
        is_told: the peer was told that it says too much.
    """

    __slots__ = ("_first", "_more", "cost", "is_told", "paid_until")

    def __init__(self, cost: float) -> None:
        """A link that carries nobody and has said nothing.

        Args:
            cost: seconds between messages at the allowed rate; 0: any rate is allowed.
        """
        self._first: AgentUid | None = None
        self._more: set[AgentUid] | None = None
        self.cost = cost
        self.paid_until = 0.0
        self.is_told = False

    def __len__(self) -> int:
        return (self._first is not None) + (len(self._more) if self._more else 0)

    def __iter__(self) -> Iterator[AgentUid]:
        if self._first is not None:
            yield self._first
        if self._more:
            yield from self._more

    def add(self, uid: AgentUid) -> None:
        """The agent is on this link."""
        if self._first is None and not (self._more and uid in self._more):
            self._first = uid
        elif uid != self._first:
            if self._more is None:
                self._more = set()
            if uid not in self._more:
                self._more.add(uid)
                if self.cost:
                    self.cost = 1 / (1 / self.cost + RATE_PER_AGENT)

    def discard(self, uid: AgentUid) -> None:
        """The agent is not on this link any more; what it could say stays allowed."""
        if uid == self._first:
            self._first = None
        elif self._more is not None:
            self._more.discard(uid)

    def take(self, now: float) -> float:
        """Accounts for one message; how many seconds the link is ahead of what is allowed (not above 0: it is not)."""
        paid = self.paid_until
        # `max` costs three times as much, and this is done for every message.
        self.paid_until = paid = (paid if paid > now else now) + self.cost  # noqa: FURB136
        return paid - now - BURST_SECONDS
