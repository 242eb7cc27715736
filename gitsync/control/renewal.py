"""`Renewal`: the leader signs what is published again at half of its life, same contents, higher revision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from gitsync.bundle.statements import Release
from gitsync.control.leader import Leadership
from gitsync.control.ports import Clock
from gitsync.control.publish import Publisher
from gitsync.control.published import Published
from gitsync.errors import GitsyncError

log = logging.getLogger("gitsync.renewal")

LONGEST_WAIT = timedelta(minutes=1)


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
        for source, release in self._published().desired.releases.items():
            if not release.statements or self._clock.now() < due_at(release):
                continue
            try:
                pointer = await self._publisher.resign(source, lease)
            except GitsyncError as error:
                log.warning("source %s: signing again failed: %s", source, error)
                continue
            if pointer is not None:
                log.info("source %s: revision %d, signed again", source, pointer.revision)
                self._done()

    def _wait(self) -> timedelta:
        """Until something may be due; at least a second, so that a failing signer is not hammered."""
        now = self._clock.now()
        soonest = min((due_at(one) for one in self._published().desired.releases.values()), default=now + LONGEST_WAIT)
        return min(max(soonest - now, timedelta(seconds=1)), LONGEST_WAIT)
