"""What is counted while the service runs: plain integers, cheap on the hot path, exported when somebody scrapes.

No value that comes from an agent, a repository or a webhook is a key here, except source names and target paths,
which the operator and the merged configuration bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BUCKETS_SECONDS = tuple(0.001 * 2**power for power in range(10))
"""0.001 s to 0.512 s, each twice the one before."""
LONG_BUCKETS_SECONDS = tuple(0.05 * 2**power for power in range(12))
"""0.05 s to 102.4 s: what takes a network or a fleet."""


class Histogram:
    """Counts of observations by upper bound (the last count is of those above all bounds)."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = BUCKETS_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """Pairs of upper bound (text, the last is `+Inf`) and how many were at most that."""
        pairs: list[tuple[str, int]] = []
        running = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            pairs.append(("+Inf" if bound == float("inf") else repr(bound), running))
        return pairs


MESSAGE_TYPES = ("heartbeat", "status", "full", "disconnect", "invalid")


@dataclass(slots=True)
class Meters:
    """All counters of one process.

    Attributes:
        open_links: sockets of agents that are open now, by transport.
        config_updates: by status: offered, applying, applied, failed, no_answer.
        connection_offers: of connection settings, by result: offered; of those that move agents: done, failed, lost.
        protocol_errors: refused messages by stable code.
        commands: by (command, result: requested | sent | restarted | no-sign).
        custom_messages: by (capability of an extension, or "": of nobody, result: received | sent | ignored | failed).
        duplicate_uids: agents that used the uid of another one and were given one of their own.
        throttled: times that a connection was not read for a while, because too much came on it.
        turned_away: agents that did nothing wrong and were not served, by reason.
        tls_reloads: times that changed certificate files were looked at, by result: success | error.
        syncs: by (source, result: success | error | noop | rejected | refused).
        last_sync: source to unix seconds of the last successful contact.
        source_ready: source to whether its last sync worked.
        validation_errors: by diagnostic code.
        webhooks: by (provider, result).
        push_seconds: from publication to the offer of one agent being written.
        heartbeat_timeouts: agents found silent.
        store_errors: failed batches of status writes.
    """

    open_links: Counter[str] = field(default_factory=Counter)
    config_updates: Counter[str] = field(default_factory=Counter)
    connection_offers: Counter[str] = field(default_factory=Counter)
    message_seconds: dict[str, Histogram] = field(default_factory=lambda: {kind: Histogram() for kind in MESSAGE_TYPES})
    protocol_errors: Counter[str] = field(default_factory=Counter)
    commands: Counter[tuple[str, str]] = field(default_factory=Counter)
    custom_messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    duplicate_uids: int = 0
    throttled: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)
    tls_reloads: Counter[str] = field(default_factory=Counter)
    syncs: Counter[tuple[str, str]] = field(default_factory=Counter)
    last_sync: dict[str, float] = field(default_factory=dict)
    source_ready: dict[str, bool] = field(default_factory=dict)
    fetch_seconds: Histogram = field(default_factory=lambda: Histogram(LONG_BUCKETS_SECONDS))
    validation_errors: Counter[str] = field(default_factory=Counter)
    webhooks: Counter[tuple[str, str]] = field(default_factory=Counter)
    push_seconds: Histogram = field(default_factory=lambda: Histogram(LONG_BUCKETS_SECONDS))
    heartbeat_timeouts: int = 0
    store_errors: int = 0
    releases: Counter[str] = field(default_factory=Counter)

    def count_store_error(self) -> None:
        """A batch of status writes failed."""
        self.store_errors += 1
