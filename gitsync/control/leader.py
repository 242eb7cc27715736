"""Leadership: one process at a time syncs, decides and signs; a lease in database time, with a fencing epoch.

A leader that was frozen finds its lease gone, and every write that it still tries is refused by its old epoch.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from gitsync.control.ports import Store
from gitsync.control.records import Lease
from gitsync.errors import GitsyncError

log = logging.getLogger("gitsync.leader")

LEASE = "leader"
TTL = timedelta(seconds=15)
RENEW = timedelta(seconds=5)


class Leadership:
    """Holds the lease whenever it can."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._lease: Lease | None = None
        self._changed = asyncio.Event()
        self._trouble = ""

    @property
    def lease(self) -> Lease | None:
        """The lease, as far as this process knows; the store has the last word at every write."""
        return self._lease

    async def wait(self) -> Lease:
        """The lease, once it is held."""
        while self._lease is None:
            self._changed.clear()
            await self._changed.wait()
        return self._lease

    def lost(self) -> None:
        """A guarded write was refused: another process leads now."""
        self._lease = None

    async def run(self) -> None:
        """Takes and renews the lease until cancelled, then gives it back."""
        try:
            while True:
                await self._step()
                await asyncio.sleep(RENEW.total_seconds() if self._lease is not None else 1.0)
        finally:
            await self._give_back()

    async def _step(self) -> None:
        held = self._lease
        try:
            async with asyncio.timeout(TTL.total_seconds() / 2):
                if held is None:
                    self._lease = await self._store.acquire_lease(LEASE, self._holder, TTL)
                else:
                    self._lease = await self._store.renew_lease(held, TTL)
        except (GitsyncError, TimeoutError) as error:
            # Also when the database refuses us for good: agents are served all the same.
            # The lease may run out meanwhile; then the next guarded write, or the next renewal, is refused.
            text = str(error) or "the database is too slow"
            if text != self._trouble:
                log.warning("cannot take or renew the leader's lease: %s", text)
            self._trouble = text
            return
        self._trouble = ""
        if self._lease is not None and held is None:
            log.info("leading, epoch %d", self._lease.epoch)
        elif self._lease is None and held is not None:
            log.warning("the leader's lease was lost")
        self._changed.set()

    async def _give_back(self) -> None:
        if self._lease is None:
            return
        try:
            async with asyncio.timeout(2):
                await self._store.release_lease(self._lease)
        except (GitsyncError, TimeoutError):
            log.info("the leader's lease could not be given back; it runs out by itself")
