"""`Errands`: what agents need that takes I/O or time, queued by uid and done by one task.

Stored rows, payloads that are not in memory, verdicts about effective configurations, audit lines, and offers that open
by themselves. Nothing on the path of a message waits for any of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Protocol

from gitsync.bundle.version import Payload
from gitsync.control.connected import ConnectedAgent
from gitsync.control.ports import AgentJournal, Clock, Store
from gitsync.control.published import Published, check_payloads
from gitsync.control.records import AgentRecord, AuditEntry
from gitsync.errors import GitsyncError, TrustError, Unavailable
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.effective import contains
from gitsync.fleet.observe import EffectiveJudged, Observed
from gitsync.ids import AgentUid, ConfigHash, show_digest, show_uid

log = logging.getLogger("gitsync.agents")

AUDIT_LIMIT = 1_000
VERDICT_LIMIT = 50_000
ROWS_AT_ONCE = 1_000
OPENED_AT_ONCE = 200
STORE_SECONDS = 30.0


class Fleet(Protocol):
    """What an errand is for: the live agents (`control.agents.Agents`)."""

    @property
    def published(self) -> Published:
        """What is in effect."""

    def get(self, uid: AgentUid) -> ConnectedAgent | None:
        """The live agent."""

    def recall(self, one: ConnectedAgent, row: AgentRecord | None) -> None:
        """Its stored row has come (None: there is none)."""

    def looked_up(self, components_hash: bytes, *, found: bool) -> None:
        """Whether the components of a build are stored is known."""

    def take_payload(self, payload: Payload) -> None:
        """A payload that is not in use any more has come; it can be offered until the next publication."""

    def see(self, one: ConnectedAgent, event: Observed, at: datetime) -> None:
        """Something about it has become known."""

    def push(self, one: ConnectedAgent) -> None:
        """Decide about it again, and write what comes of it."""

    def note(self, one: ConnectedAgent) -> None:
        """Its record has changed."""


class Errands:
    """The queues, and the task that empties them."""

    def __init__(self, fleet: Fleet, store: Store, journal: AgentJournal, clock: Clock) -> None:
        self._fleet = fleet
        self._store = store
        self._journal = journal
        self._clock = clock
        self._to_load: dict[AgentUid, None] = {}
        self._to_fetch: dict[ConfigHash, set[AgentUid]] = {}
        self._to_judge: dict[AgentUid, None] = {}
        self._to_open: dict[AgentUid, float] = {}
        self._to_audit: list[AuditEntry] = []
        self._to_look_up: dict[bytes, bytes] = {}
        self._to_ask: dict[AgentUid, None] = {}
        self._verdicts: dict[tuple[ConfigHash, bytes], bool] = {}
        self._work = asyncio.Event()
        self._busy = False
        self._trouble = ""

    @property
    def idle(self) -> bool:
        """Whether no row, payload or verdict is owed to anybody."""
        queues = (self._to_load, self._to_fetch, self._to_judge, self._to_look_up, self._to_ask)
        return not (any(queues) or self._work.is_set() or self._busy)

    # ── What is asked for ───────────────────────────────────────────────────────────────────────────────────

    def load_row(self, uid: AgentUid) -> None:
        """The agent's stored row is needed."""
        self._to_load[uid] = None
        self._work.set()

    def fetch_payload(self, digest: ConfigHash, uid: AgentUid) -> None:
        """The agent should have a payload that is not in memory."""
        self._to_fetch.setdefault(digest, set()).add(uid)
        self._work.set()

    def judge(self, one: ConnectedAgent) -> None:
        """Whether the agent runs what it was given, if that is open and there is something to judge by.

        An effective configuration from before an offer is looked at again only when the agent says that it applied the
        offer: then nothing changed for it.
        """
        agent = one.agent
        if agent.contained is not None or agent.effective is None or agent.current is None:
            return
        if one.effective is not None or agent.current.state is AttemptState.APPLIED:
            self._to_judge[agent.uid] = None
            self._work.set()

    def look_up(self, components_hash: bytes, key: bytes) -> None:
        """Whether the components of a build are stored, under this key, must be known."""
        self._to_look_up[components_hash] = key
        self._work.set()

    def ask(self, uid: AgentUid) -> None:
        """The agent is to be asked something; one that polls is asked when it does."""
        self._to_ask[uid] = None
        self._work.set()

    def open_later(self, uid: AgentUid, deadline: float) -> None:
        """Offers to the agent open by themselves at this time of its session; later calls have later times."""
        if not self._to_open:
            self._work.set()  # else the task sleeps until the first of them is due
        self._to_open.pop(uid, None)
        self._to_open[uid] = deadline

    def audit(self, entry: AuditEntry) -> None:
        """A line for the audit log."""
        self._to_audit.append(entry)
        self._work.set()

    # ── The task ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            self._busy = True
            try:
                await self._load_rows()
                await self._fetch_payloads()
                await self._write_audit()
                await self._look_up()
            except (GitsyncError, TimeoutError) as error:
                self._say_trouble(
                    f"agents are answered but offered nothing: {str(error) or 'the database is too slow'}"
                )
                await asyncio.sleep(1)
                self._work.set()
            else:
                self._say_trouble("")
            self._ask()
            await self._judge()
            self._busy = False
            await self._open_offers()

    def _say_trouble(self, text: str) -> None:
        """Once when it begins or changes, and once when it is over."""
        if text and text != self._trouble:
            log.warning("%s", text)
        elif self._trouble and not text:
            log.info("agents are offered their configurations again")
        self._trouble = text

    async def _load_rows(self) -> None:
        while self._to_load:
            uids = list(islice(self._to_load, ROWS_AT_ONCE))
            async with asyncio.timeout(STORE_SECONDS):
                rows = await self._rows(uids)
            for uid in uids:
                self._to_load.pop(uid, None)
                one = self._fleet.get(uid)
                if one is not None and one.backlog is not None:
                    self._fleet.recall(one, rows.get(uid))
            await asyncio.sleep(0)

    async def _rows(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """The stored rows; one that is broken is as if it were not there, and must not keep the others waiting."""
        try:
            return await self._journal.load_agents(uids)
        except TrustError as error:
            if len(uids) == 1:
                log.error("the stored row of agent %s is given up: %s", show_uid(uids[0]), error)  # noqa: TRY400
                return {}
            half = len(uids) // 2
            return {**await self._rows(uids[:half]), **await self._rows(uids[half:])}

    async def _fetch_payloads(self) -> None:
        while self._to_fetch:
            digest, uids = self._to_fetch.popitem()
            try:
                async with asyncio.timeout(STORE_SECONDS):
                    found = await self._store.load_payloads([digest])
                check_payloads(found.values())
            except (Unavailable, TimeoutError):
                self._to_fetch.setdefault(digest, set()).update(uids)
                raise
            except GitsyncError as error:
                log.error("payload %s cannot be used, nobody is offered it: %s", show_digest(digest), error)  # noqa: TRY400
                continue
            if digest not in found:
                log.warning("payload %s is not kept any more; nobody is offered it", show_digest(digest))
                continue
            self._fleet.take_payload(found[digest])
            for one in map(self._fleet.get, uids):
                if one is not None:
                    self._fleet.push(one)

    async def _write_audit(self) -> None:
        entries, self._to_audit = self._to_audit, []
        if not entries:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.append_audit(entries)
        except (Unavailable, TimeoutError):
            self._to_audit = [*entries, *self._to_audit][:AUDIT_LIMIT]
            raise

    async def _look_up(self) -> None:
        while self._to_look_up:
            components_hash, key = next(iter(self._to_look_up.items()))
            async with asyncio.timeout(STORE_SECONDS):
                found = await self._store.load_blob(key) is not None
            del self._to_look_up[components_hash]
            self._fleet.looked_up(components_hash, found=found)

    def _ask(self) -> None:
        for uid in self._to_ask:
            one = self._fleet.get(uid)
            if one is None or one.link is None or not one.link.is_open:
                continue
            step = one.session.ask()
            if step.reply:
                one.link.send((step.reply,))
        self._to_ask.clear()

    async def _judge(self) -> None:
        """Whether effective configurations contain what was sent; off the loop, remembered by pair."""
        while self._to_judge:
            uid, _ = self._to_judge.popitem()
            one = self._fleet.get(uid)
            if one is None or one.agent.current is None or one.agent.effective is None:
                continue
            pair = (one.agent.current.digest, one.agent.effective)
            verdict = self._verdicts.get(pair)
            if verdict is None:
                verdict = await self._verdict(one, *pair)
                if verdict is None:
                    continue
                if len(self._verdicts) >= VERDICT_LIMIT:
                    self._verdicts.clear()
                self._verdicts[pair] = verdict
            if one.agent.effective == pair[1]:
                one.effective = None
            self._fleet.see(one, EffectiveJudged(pair[0], pair[1], verdict), self._clock.now())
            self._fleet.push(one)
            self._fleet.note(one)

    async def _verdict(self, one: ConnectedAgent, digest: ConfigHash, effective: bytes) -> bool | None:
        """None when one side of the comparison is not to be had."""
        objects = one.effective
        try:
            payload = self._fleet.published.payloads.get(digest)
            if payload is None:
                payload = (await self._store.load_payloads([digest])).get(digest)
            bodies: Mapping[str, bytes] | None
            if objects is not None:
                bodies = {name: each.body for name, each in objects.items()}
            else:
                blob = await self._store.load_blob(effective)
                bodies = None if blob is None else {"": blob}
        except GitsyncError as error:
            log.warning("an effective configuration is not judged: %s", error)
            return None
        if payload is None or bodies is None:
            return None
        try:
            return await asyncio.to_thread(contains, payload, bodies)
        except Exception:  # a fault of ours over what one agent reported must not stop the others' service
            log.exception("agent %s: its effective configuration could not be judged", show_uid(one.agent.uid))
            return None

    async def _open_offers(self) -> None:
        """Opens offers to agents that sent one message and then nothing: the session's own deadline."""
        while self._to_open and not self._work.is_set():
            now = self._clock.monotonic()
            soonest = next(iter(self._to_open.values()))
            if soonest > now:
                try:
                    async with asyncio.timeout(max(soonest - now, 0.01)):
                        await self._work.wait()
                except TimeoutError:
                    pass
                continue
            for uid in [uid for uid, deadline in islice(self._to_open.items(), OPENED_AT_ONCE) if deadline <= now]:
                del self._to_open[uid]
                one = self._fleet.get(uid)
                if one is not None and one.session.deadline is not None:
                    self._tick(one, now)
            await asyncio.sleep(0)

    def _tick(self, one: ConnectedAgent, now: float) -> None:
        step = one.session.tick(now)
        for event in step.events:
            self._fleet.see(one, event, self._clock.now())
        self._fleet.push(one)
