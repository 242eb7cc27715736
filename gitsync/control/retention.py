"""`Sweeper`: drops old history, and never what runs, is pinned, or is a baseline."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from gitsync.control.leader import Leadership
from gitsync.control.ports import Clock, Store
from gitsync.control.records import Retention
from gitsync.errors import GitsyncError

log = logging.getLogger("gitsync.retention")

INTERVAL = timedelta(minutes=10)


class Sweeper:
    """Sweeps now and then, on the leader only."""

    def __init__(self, store: Store, leadership: Leadership, retention: Retention, clock: Clock) -> None:
        self._store = store
        self._leadership = leadership
        self._retention = retention
        self._clock = clock

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            if self._leadership.lease is None:
                continue
            try:
                dropped = await self._store.sweep(self._retention, self._clock.now())
            except GitsyncError as error:
                log.warning("old history is kept for now: %s", error)
                continue
            if dropped:
                log.info("dropped %d rows of old history", dropped)
