"""`Renewal`: the leader signs what is published again, same contents, higher revision: at half of its life, and when
the key is another one than that which signed it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from gitsync.bundle.statements import Release
from gitsync.control.leader import Leadership
from gitsync.control.ports import Clock
from gitsync.control.publish import LEASE_LOST, Publisher
from gitsync.control.published import Published
from gitsync.errors import GitsyncError
from gitsync.ids import SourceName

log = logging.getLogger("gitsync.renewal")

LONGEST_WAIT = timedelta(seconds=5)


def due_at(release: Release) -> datetime:
    """When a release wants to be signed again: half way to its expiry; an expired one at once."""
    return release.issued + (release.expires - release.issued) / 2


class Renewal:
    """Watches the age of what is published."""

    def __init__(
        self,
        publisher: Publisher,
        leadership: Leadership,
        published: Callable[[], Published],
        clock: Clock,
        done: Callable[[], None],
    ) -> None:
        self._publisher = publisher
        self._leadership = leadership
        self._published = published
        self._clock = clock
        self._done = done
        self._signed: dict[SourceName, int] = {}
        self._failures = 0

    async def run(self) -> None:
        """Signs again whatever is due, until cancelled."""
        while True:
            await self.renew()
            await asyncio.sleep(self._wait().total_seconds())

    async def renew(self) -> None:
        """Signs again whatever is due now."""
        lease = self._leadership.lease
        if lease is None:
            return
        failures = 0
        for source, release in self._published().desired.releases.items():
            if not release.statements or release.revision < self._signed.get(source, 0):
                continue  # signed already: what is in effect here has only not caught up
            if not self._publisher.has_signed(release):
                # A new or replaced key: verifiers are told this one's root, and would refuse what another has signed.
                log.warning("source %s: revision %d was signed by another key", source, release.revision)
            elif self._clock.now() < due_at(release):
                continue
            try:
                pointer = await self._publisher.resign(source, lease)
            except GitsyncError as error:
                failures += 1
                log.warning("source %s: signing again failed: %s", source, error)
                if error.code == LEASE_LOST:
                    self._leadership.lost()
                continue
            if pointer is not None:
                log.info("source %s: revision %d, signed again", source, pointer.revision)
                self._signed[source] = pointer.revision
                self._done()
        self._failures = self._failures + 1 if failures else 0

    def _wait(self) -> timedelta:
        """Until something may be due; a failing signer or store is asked less and less often."""
        if self._failures:
            return timedelta(seconds=2 ** min(self._failures, 6))
        now = self._clock.now()
        soonest = min((due_at(one) for one in self._published().desired.releases.values()), default=now + LONGEST_WAIT)
        return min(max(soonest - now, timedelta(seconds=1)), LONGEST_WAIT)
