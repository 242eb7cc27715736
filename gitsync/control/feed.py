"""`Feed`: brings what is published from the store to the agents of this process; starting is recovering.

The doorbell only makes it quick; polling the pointers is the truth. What was loaded once is kept on this machine's
disk, so that a start without the database serves the last release.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from gitsync.control.ports import Cache, Clock, Store
from gitsync.control.published import Published, assemble
from gitsync.control.records import Pointer, StoredSource
from gitsync.errors import GitsyncError, Unavailable

log = logging.getLogger("gitsync.feed")


class Feed:
    """Follows the pointers of all sources and delivers what they name."""

    def __init__(
        self,
        store: Store,
        cache: Cache,
        clock: Clock,
        deliver: Callable[[Published], None],
        *,
        interval: timedelta = timedelta(seconds=3),
    ) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._deliver = deliver
        self._interval = interval
        self._bell = asyncio.Event()
        self._known: tuple[Pointer, ...] | None = None
        self._served = Published()
        self.ready = False
        self.error = ""

    def ring(self) -> None:
        """Something was published: look now."""
        self._bell.set()

    async def run(self) -> None:
        """Follows the pointers until cancelled."""
        while True:
            self._bell.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(self._interval.total_seconds()):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def refresh(self) -> None:
        """Loads what changed and delivers it; whatever fails leaves the last good state in effect."""
        try:
            async with asyncio.timeout(30):
                pointers = _by_source(await self._store.load_pointers())
                if pointers == self._known:
                    self._clear_error()
                    return
                stored = [await self._store.load_published(one.source) for one in pointers]
            loaded = [one for one in stored if one is not None]
            published = assemble(loaded)
        except (Unavailable, TimeoutError) as error:
            await self._without_store(error)
            return
        except GitsyncError as error:
            self._fail(f"what is stored cannot be used, the last good release keeps serving: {error}")
            await self._serve_kept()
            return
        older = self._older(published)
        if older:
            self._fail(older)
            return
        self._put(published)
        self._known = _by_source([one.pointer for one in loaded])
        self._clear_error()
        await self._save(loaded)

    async def _without_store(self, error: BaseException) -> None:
        self._fail(f"the database is away, the last release keeps serving: {str(error) or 'it does not answer'}")
        await self._serve_kept()

    def _older(self, published: Published) -> str:
        """Why this must not replace what is served; "" when it may.

        Agents that verify refuse a lower revision, so a database that was put back to an older state is not followed.
        """
        for source in published.desired.releases:
            stored, served = published.revision(source), self._served.revision(source)
            if stored < served:
                return (
                    f"the database has revision {stored} of source {source}, older than revision {served}, which keeps "
                    "serving until something newer is published (was a backup restored?)"
                )
        return ""

    async def _serve_kept(self) -> None:
        """At a start that cannot use the database: what this machine kept, if it can be trusted."""
        if self.ready:
            return
        cached = await self._cache.load()
        if not cached:
            return
        try:
            published = assemble(cached)
        except GitsyncError as untrusted:
            self._fail(f"the release kept on this machine cannot be trusted: {untrusted}")
            return
        log.warning("serving the release that is kept on this machine")
        self._put(published)

    def _put(self, published: Published) -> None:
        now = self._clock.now()
        for release in published.desired.releases.values():
            if release.statements and release.expires <= now:
                log.warning(
                    "revision %d of source %s expired at %s; it is served until it is signed again",
                    release.revision,
                    release.source,
                    release.expires.isoformat(),
                )
        self._served = published
        self._deliver(published)
        self.ready = True

    async def _save(self, sources: Sequence[StoredSource]) -> None:
        try:
            await self._cache.save(sources)
        except Unavailable as error:
            log.warning("the release cannot be kept on this machine's disk: %s", error)

    def _fail(self, text: str) -> None:
        if text != self.error:
            log.error("%s", text)
        self.error = text

    def _clear_error(self) -> None:
        if self.error:
            log.info("the database can be used again")
        self.error = ""
        self.ready = True


def _by_source(pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
    return tuple(sorted(pointers, key=lambda one: one.source))
