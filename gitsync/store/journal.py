"""The journal: agent facts out, in batches, behind what happens.

Memory is the truth for live agents; the store follows within two seconds. Of each agent the newest record waits,
however often it changed. While the store is away nothing is lost but history between first and last value.

Rules
- `note` never blocks and never raises.
- A record with a lower `conn_epoch` never replaces one with a higher one.
- What is being written counts as waiting until the store has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from gitsync.control.records import AgentRecord, AttemptRecord
from gitsync.errors import GitsyncError, SettingsError, Unavailable
from gitsync.fleet.agent import Attempt
from gitsync.ids import AgentUid, ConfigHash, show_uid

logger = logging.getLogger(__name__)

_AttemptKey = tuple[AgentUid, ConfigHash, int]
_K = TypeVar("_K")
_V = TypeVar("_V")


class AgentStore(Protocol):
    """What the journal needs of the store."""

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """The stored rows of these agents."""

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        """Inserts or replaces in one transaction; of agents in `before` only what differs."""

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        """Stores a large value once."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """When the journal writes, and what it keeps while it cannot.

    Attributes:
        quiet_seconds: when nothing new has come for this long, what waits is written.
        interval_seconds: how long a change waits at most; so a publication is one write for most agents.
        longest_pause_seconds: between two tries while the store is away.
        full_at: this many waiting agents are written at once.
        batch: agents in one transaction.
        agents: waiting agents that are kept; the longest waiting ones go first.
        attempts: waiting attempts that are kept.
        blob_bytes: waiting large values that are kept, in sum.
        known_blobs: digests that are remembered as stored.
        known_agents: agents whose stored record is remembered, so that only what differs is written.
    """

    quiet_seconds: float = 0.1
    interval_seconds: float = 1.2
    longest_pause_seconds: float = 5.0
    full_at: int = 50_000
    batch: int = 2_000
    agents: int = 200_000
    attempts: int = 400_000
    blob_bytes: int = 64 * 1024 * 1024
    known_blobs: int = 20_000
    known_agents: int = 100_000


class Journal:
    """The driver of the port `AgentJournal`; writes while `run` runs.

    Attributes:
        dropped: values that were given up, because too much waited or the database refused them.
    """

    def __init__(
        self,
        store: AgentStore,
        now: Callable[[], datetime],
        limits: JournalLimits | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """A journal with nothing in it.

        Args:
            store: where to.
            now: the clock.
            limits: the defaults when left out.
            failed: called whenever a batch could not be written; it is tried again.
        """
        self._failed = failed
        self._store = store
        self._now = now
        self._limits = limits or JournalLimits()
        self._agents: OrderedDict[AgentUid, AgentRecord | Callable[[], AgentRecord]] = OrderedDict()
        self._attempts: OrderedDict[_AttemptKey, AttemptRecord] = OrderedDict()
        self._blobs: OrderedDict[bytes, tuple[str, bytes]] = OrderedDict()
        self._blob_bytes = 0
        self._writing: dict[AgentUid, AgentRecord] = {}
        self._stored: OrderedDict[AgentUid, AgentRecord] = OrderedDict()
        self._noted: dict[AgentUid, Attempt] = {}
        self._known_blobs: OrderedDict[bytes, None] = OrderedDict()
        self._something = asyncio.Event()
        self._full = asyncio.Event()
        self._turn = asyncio.Lock()
        self._notes = 0
        self._stopping = False
        self._away = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Agents whose newest record the store does not have yet."""
        return len(self._agents) + len(self._writing)

    async def load(self, uid: AgentUid) -> AgentRecord | None:
        """The newest record of the agent: the one that waits, else the stored one; None for an unknown agent.

        Raises:
            Unavailable: nothing waits and the store is away.
        """
        waiting = self._waiting_of([uid])
        return waiting[uid] if waiting else (await self._store.load_agents([uid])).get(uid)

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """As `load`, for many agents in one query; unknown ones are left out.

        What another process stored of a later connection is newer than what waits here.

        Raises:
            Unavailable: the store is away.
        """
        # Looked at before and after the query: what is written meanwhile may be missing in its answer.
        newest = self._waiting_of(uids)
        found = dict(await self._store.load_agents(uids))
        for uid, waiting in (newest | self._waiting_of(uids)).items():
            stored = found.get(uid)
            if stored is None or stored.conn_epoch <= waiting.conn_epoch:
                found[uid] = waiting
        return found

    def note(self, record: AgentRecord) -> None:
        """Keeps the newest record of the agent, and its current attempt when that changed, for the next batch."""
        uid = record.agent.uid
        known = self._waiting_of([uid]).get(uid)
        if known is not None and known.conn_epoch > record.conn_epoch:
            return
        self._note(uid, record.agent.current, record)

    def note_later(self, uid: AgentUid, current: Attempt | None, record: Callable[[], AgentRecord]) -> None:
        """As `note`, without making a record for each of many changes: `record` is called when the batch is written.

        Args:
            uid: of the agent, also at that time.
            current: its current attempt now, for the history.
            record: makes its newest record; the same object each time.
        """
        if self._agents.get(uid) is record and self._noted.get(uid) is current:
            self._notes += 1  # it waits already, and is made when it is written
            return
        self._note(uid, current, record)

    def _note(self, uid: AgentUid, current: Attempt | None, record: AgentRecord | Callable[[], AgentRecord]) -> None:
        self._agents[uid] = record
        self._notes += 1
        noted = self._noted.get(uid)
        if current is not None and noted is not current and noted != current:
            self._noted[uid] = current
            self._attempts[uid, current.digest, current.revision] = AttemptRecord(uid, current)
            self.dropped += _shrink(self._attempts, self._limits.attempts)
        self.dropped += _shrink(self._agents, self._limits.agents)
        self._something.set()
        # Not while the store is away: each further record would make `run` try again at once.
        if len(self._agents) >= self._limits.full_at and not self._away:
            self._full.set()

    def note_blob(self, digest: bytes, kind: str, body: bytes) -> None:
        """Keeps a large value for the next batch; a digest that was kept lately costs nothing."""
        if digest in self._known_blobs:
            self._known_blobs.move_to_end(digest)
            return
        if digest in self._blobs:
            return
        self._blobs[digest] = (kind, body)
        self._blob_bytes += len(body)
        while self._blob_bytes > self._limits.blob_bytes:
            _, (_, oldest) = self._blobs.popitem(last=False)
            self._blob_bytes -= len(oldest)
            self.dropped += 1
        self._something.set()

    async def flush(self) -> None:
        """Writes everything that waits now.

        Raises:
            Unavailable: the store is away; everything still waits.
        """
        # The lock keeps two flushes from writing one agent's records in the wrong order.
        async with self._turn:
            await self._flush_blobs()
            left = len(self._agents)
            while left > 0 or self._attempts:
                written = await self._flush_batch()
                left -= max(written, self._limits.batch)

    async def run(self) -> None:
        """Writes until `stop`, then once more; failures of the store are logged once per outage and tried again."""
        pause = self._limits.interval_seconds
        while not self._stopping:
            await self._something.wait()
            await self._wait_for_more(pause)
            if await self._try_flush():
                pause = self._limits.interval_seconds
            else:
                pause = min(pause * 2, self._limits.longest_pause_seconds)
        await self._try_flush()

    def stop(self) -> None:
        """Makes `run` write what waits and return."""
        self._stopping = True
        self._something.set()
        self._full.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Journal]:
        """Runs the journal on a task of its own inside the block; at the end what waits is written."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.run(), name="agent journal")
                try:
                    yield self
                finally:
                    self.stop()
        finally:
            # When the block was cancelled, so was the task: this is then the last chance.
            if self.waiting:
                await self._try_flush()
            if self.waiting:
                logger.warning("the newest state of %d agents was not stored", self.waiting)

    def _waiting_of(self, uids: Sequence[AgentUid]) -> dict[AgentUid, AgentRecord]:
        found = ((uid, self._agents.get(uid) or self._writing.get(uid)) for uid in uids)
        return {uid: _made(record) for uid, record in found if record is not None}

    async def _wait_for_more(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    before = self._notes
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds if self._away else self._limits.quiet_seconds):
                            await self._full.wait()
                            return
                    if self._notes == before:
                        return

    async def _try_flush(self) -> bool:
        self._something.clear()
        self._full.clear()
        try:
            await self.flush()
        except Unavailable as error:
            self._failed()
            if not self._away:
                logger.warning("agent states are not stored for now, the newest of each is kept: %s", error)
            self._away = True
            self._something.set()
            return False
        if self._away:
            logger.warning("agent states are stored again")
        self._away = False
        return True

    async def _flush_blobs(self) -> None:
        while self._blobs:
            digest, (kind, body) = next(iter(self._blobs.items()))
            try:
                await self._store.keep_blob(digest, kind, body, self._now())
            except Unavailable:
                raise
            except GitsyncError as error:
                self.dropped += 1
                logger.warning("a value of kind %s was given up, the database refuses it: %s", kind, error)
            if self._blobs.pop(digest, None) is not None:
                self._blob_bytes -= len(body)
            self._known_blobs[digest] = None
            _shrink(self._known_blobs, self._limits.known_blobs)

    async def _flush_batch(self) -> int:
        """Writes one batch; how many agents were in it."""
        self._writing = {uid: _made(record) for uid, record in _take(self._agents, self._limits.batch).items()}
        attempts = _take(self._attempts, 2 * self._limits.batch)
        try:
            await self._save(list(self._writing.values()), list(attempts.values()))
        except BaseException:
            # Away or cancelled: back to the front, but never over what was noted meanwhile.
            _put_back(self._agents, self._writing)
            _put_back(self._attempts, attempts)
            raise
        finally:
            written = len(self._writing)
            self._writing = {}
        return written

    async def _save(self, records: Sequence[AgentRecord], attempts: Sequence[AttemptRecord]) -> None:
        """Writes the batch; when the database refuses a value in it, finds that one and gives it up.

        Raises:
            Unavailable: the store is away.
        """
        try:
            before = {uid: old for one in records if (old := self._stored.get(uid := one.agent.uid)) is not None}
            await self._store.save_agents(records, attempts, before)
        except Unavailable:
            for one in records:  # whether it was written is not known, so the next time they are written whole
                self._stored.pop(one.agent.uid, None)
            raise
        except SettingsError as error:
            # The whole database refuses us (rights, a damaged file), not a value of this batch: it waits for repair.
            raise Unavailable(error.message, code=error.code, hint=error.hint) from error
        except GitsyncError as error:
            if len(records) + len(attempts) > 1:
                half, part = len(records) // 2, len(attempts) // 2
                if len(records) == 1 and len(attempts) == 1:
                    part = 1
                await self._save(records[:half], attempts[:part])
                await self._save(records[half:], attempts[part:])
                return
            self.dropped += 1
            uid = records[0].agent.uid if records else attempts[0].uid
            self._stored.pop(uid, None)
            logger.warning("a state of agent %s was given up, the database refuses it: %s", show_uid(uid), error)
        else:
            for one in records:
                self._stored[one.agent.uid] = one
                # What was noted last is remembered for connected agents only, so this cannot grow for ever.
                if one.agent.current is None or not one.connected:
                    self._noted.pop(one.agent.uid, None)
            _shrink(self._stored, self._limits.known_agents)


def _made(record: AgentRecord | Callable[[], AgentRecord]) -> AgentRecord:
    return record if isinstance(record, AgentRecord) else record()


def _take(waiting: OrderedDict[_K, _V], count: int) -> dict[_K, _V]:
    return dict(waiting.popitem(last=False) for _ in range(min(count, len(waiting))))


def _put_back(waiting: OrderedDict[_K, _V], taken: Mapping[_K, Any]) -> None:
    for key, value in reversed(list(taken.items())):
        if key not in waiting:
            waiting[key] = value
            waiting.move_to_end(key, last=False)


def _shrink(waiting: OrderedDict[_K, _V], limit: int) -> int:
    gone = 0
    while len(waiting) > limit:
        waiting.popitem(last=False)
        gone += 1
    return gone
