"""`SourceSync`: one source from fetch to verdict to publication, again and again.

A pass is `fetch, look, judge, publish`. Whoever wants one rings; rings that come while a pass runs make one more pass,
and the newest head wins. A commit is judged once; a rejected one changes nothing but its own record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta

from gitsync.bundle.tree import Commit
from gitsync.bundle.version import CompileResult
from gitsync.control.lacking import find_lacking
from gitsync.control.leader import Leadership
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock, Compiler, Random, Repository, Store
from gitsync.control.publish import LEASE_LOST, Publisher
from gitsync.control.records import AuditEntry, CommitRecord, Lease, SourceRecord, Verdict
from gitsync.control.service import SyncResult
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.errors import Conflict, GitsyncError, SettingsError, Unavailable
from gitsync.ids import CommitId, SourceName

log = logging.getLogger("gitsync.sync")

ANNOUNCED_TRIES = 6
"""How often an announced commit is looked for, 1 s, 2 s, 4 s, ... apart."""
LOUD_AFTER = 3
"""So many failures in a row are an error, no hiccup."""
FIRST_BACKOFF = timedelta(seconds=2)
CRASHED = "GS0699"
"""The compile process died, or ran out of time or memory."""
MAX_BACKOFF = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a source is followed.

    Attributes:
        interval: between polls when all is well; each is up to 10 % longer, so that many servers spread out.
        timeout: of one whole pass.
        announced_pause: before an announced commit that is not there yet is looked for again; doubles each time.
        follow_interval: how often a server that does not lead looks what the leader wrote about the source.
    """

    url: str
    ref: str
    interval: timedelta = timedelta(minutes=1)
    timeout: timedelta = timedelta(minutes=10)
    announced_pause: timedelta = timedelta(seconds=1)
    follow_interval: timedelta = timedelta(seconds=3)
    allow_rewrite: bool = False


class SourceSync:
    """Follows one source."""

    def __init__(
        self,
        name: SourceName,
        options: SyncOptions,
        repository: Repository,
        compiler: Compiler,
        publisher: Publisher,
        store: Store,
        leadership: Leadership,
        meters: Meters,
        clock: Clock,
        random: Random,
        published: Callable[[], None],
    ) -> None:
        self.name = name
        self._options = options
        self._repository = repository
        self._compiler = compiler
        self._publisher = publisher
        self._store = store
        self._leadership = leadership
        self._meters = meters
        self._clock = clock
        self._random = random
        self._published = published
        self._bell = asyncio.Event()
        self._actor = "system"
        self._announced: CommitId | None = None
        self._announced_tries = 0
        self._failures = 0
        self._said = ""
        self._seq = 0
        self._verdict: SyncResult | None = None
        self._held: CompileResult | None = None
        self._is_open = False
        self._waiters: list[asyncio.Future[SyncResult]] = []
        self.record = SourceRecord(name, options.url, options.ref)
        self.last = SyncResult("noop")

    # ── What others call ────────────────────────────────────────────────────────────────────────────────────

    def ring(self, announced: CommitId | None = None, *, actor: str = "system") -> None:
        """Asks for a pass soon; `announced` is looked for again when it is not there yet."""
        if announced is not None:
            self._announced, self._announced_tries = announced, 0
        if actor.startswith("token:") or not self._actor.startswith("token:"):
            self._actor = actor  # a person who asks is not hidden by a webhook or a poll that rings, too
        self._bell.set()

    async def sync(self, *, actor: str) -> SyncResult:
        """Asks for a pass and waits for the one that begins after this call.

        Raises:
            Unavailable: this server does not lead (`leader.none`).
        """
        waiter: asyncio.Future[SyncResult] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.ring(actor=actor)
        return await waiter

    async def run(self) -> None:
        """Follows the source until cancelled."""
        await self._recall()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(), name=f"watch-{self.name}")
            tasks.create_task(self._passes(), name=f"sync-{self.name}")

    # ── Passes ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _recall(self) -> None:
        """Takes what is stored of the source; what is known stays while the store is away."""
        try:
            stored = await self._store.load_source(self.name)
        except GitsyncError as error:
            log.debug("source %s: its stored state cannot be read: %s", self.name, error)
            return
        if stored is not None:
            self.record = replace(stored, url=self._options.url, ref=self._options.ref)

    async def _watch(self) -> None:
        while True:
            try:
                async with aclosing(self._repository.watch()) as changes:
                    async for _ in changes:
                        self.ring()
                return  # nothing to watch: not a local repository
            except GitsyncError as error:
                log.warning("source %s: watching failed, polling goes on: %s", self.name, error)
                await asyncio.sleep(30)

    async def _passes(self) -> None:
        while True:
            lease = await self._lead()
            self._bell.clear()
            waiters, self._waiters = self._waiters, []
            actor, self._actor = self._actor, "system"
            result = await self._pass(actor, lease)
            self.last = result
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(result)
            try:
                async with asyncio.timeout(self._pause().total_seconds()):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def _lead(self) -> Lease:
        """The leader's lease, once it is held.

        Another server may lead for days: that is no failure of a pass, and nothing is counted. What that one writes
        about the source is what is shown here.
        """
        while True:
            try:
                async with asyncio.timeout(self._options.follow_interval.total_seconds()):
                    return await self._leadership.wait()
            except TimeoutError:
                self._turn_away()
                await self._recall()

    def _turn_away(self) -> None:
        """Whoever waits for a pass is told that there will be none here."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                hint = "try again in a moment"
                waiter.set_exception(Unavailable("this server is not the leader now", code="leader.none", hint=hint))

    def _pause(self) -> timedelta:
        """Until the next pass, when nobody rings."""
        if self._failures:
            # Quick at first, as most failures are short; also while a commit is announced.
            pause = min(FIRST_BACKOFF * float(2 ** min(self._failures - 1, 10)), MAX_BACKOFF)
        elif self._announced is not None:
            return self._options.announced_pause * float(2 ** max(self._announced_tries - 1, 0))
        else:
            pause = self._options.interval
        return pause * self._random.uniform(1.0, 1.1)

    async def _pass(self, actor: str, lease: Lease) -> SyncResult:
        before = self._verdict
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                result = await self._sync_once(actor, lease)
        except (GitsyncError, TimeoutError) as error:
            return await self._failed(error)
        except Exception:  # a fault of ours over one repository must not stop the agents' service
            log.exception("source %s: a sync could not be done", self.name)
            return await self._failed(GitsyncError("internal error, the server's log has more", code="sync.internal"))
        if self._failures:
            log.info("source %s: it works again", self.name)
        self._failures, self._said = 0, ""
        self._meters.source_ready[self.name] = True
        self._meters.last_sync[self.name] = self._clock.now().timestamp()
        published = result.outcome == "published"
        if result is not before or result.outcome == "noop":
            self._meters.syncs[self.name, "success" if published else str(result.outcome)] += 1
        return result

    async def _failed(self, error: BaseException) -> SyncResult:
        self._failures += 1
        text = str(error) or f"the sync took longer than {self._options.timeout}"
        level = logging.ERROR if isinstance(error, SettingsError) or self._failures >= LOUD_AFTER else logging.WARNING
        if text != self._said or self._failures == LOUD_AFTER:
            log.log(level, "source %s: %s", self.name, text)
        self._said = text
        self._meters.syncs[self.name, "error"] += 1
        self._meters.source_ready[self.name] = False
        await self._save_source(replace(self.record, error=text))
        return SyncResult("error", self.record.head, error=text)

    async def _save_source(self, record: SourceRecord) -> None:
        self.record = record
        try:
            await self._store.save_source(record)
        except GitsyncError as error:
            log.warning("source %s: its state cannot be stored: %s", self.name, error)

    async def _sync_once(self, actor: str, lease: Lease) -> SyncResult:
        if not self._is_open:
            await self._repository.open()
            self._is_open = True
        began = self._clock.monotonic()
        announced = self._announced
        fetched = await self._repository.fetch(announced)
        self._meters.fetch_seconds.observe(self._clock.monotonic() - began)
        self._take_announced(announced, found=fetched.found)
        verdict = self._verdict if self._verdict is not None and self._verdict.commit == fetched.head else None
        error = verdict.error if verdict is not None and verdict.outcome == "refused" else ""
        await self._save_source(replace(self.record, head=fetched.head, fetched_at=self._clock.now(), error=error))
        if verdict is not None and not await self._is_behind() and not await self._is_freed():
            # Judged before: a commit that was turned down stays so, and is not said again.
            return verdict if verdict.outcome in ("rejected", "refused") else SyncResult("noop", fetched.head)
        self._held = None
        commit = await self._repository.load_commit(fetched.head)
        log.info("source %s: commit %s %s", self.name, commit.id[:12], commit.subject)
        refusal = await self._refusal(commit)
        if refusal:
            return await self._refuse(commit, refusal)
        result = await self._compiler.compile(await self._repository.load_tree(commit.id))
        lacking = await find_lacking(self.name, result, self._store)
        self._held = result if has_errors(lacking) else None
        return await self._conclude(commit, result.with_findings(lacking), actor, lease)

    async def _is_behind(self) -> bool:
        """Whether the store lost what was published here: then the newest commit is judged and published again."""
        try:
            pointers = {one.source: one.seq for one in await self._store.load_pointers()}
        except GitsyncError:
            return False
        seq = pointers.get(self.name, 0)
        behind, self._seq = seq < self._seq, seq
        if behind:
            log.warning(
                "source %s: the database is back at an older state, the newest commit is published again", self.name
            )
        return behind

    async def _is_freed(self) -> bool:
        """Whether the newest commit was held back by the builds of agents, and by now they have what it needs."""
        return self._held is not None and not await find_lacking(self.name, self._held, self._store)

    def _take_announced(self, announced: CommitId | None, *, found: bool) -> None:
        """A webhook may be quicker than its forge: its commit is looked for again, a few times."""
        if announced is None or announced != self._announced:
            return
        self._announced_tries += 1
        if found:
            self._announced = None
        elif self._announced_tries >= ANNOUNCED_TRIES:
            log.info("source %s: announced commit %s is not on %s", self.name, announced[:12], self._options.ref)
            self._announced = None

    # ── Verdicts ────────────────────────────────────────────────────────────────────────────────────────────

    async def _refusal(self, commit: Commit) -> str:
        """Why a commit may not be published whatever it contains; "" when it may."""
        stored = await self._store.load_published(self.name)
        if stored is None or self._options.allow_rewrite:
            return ""
        before = stored.pointer.head
        if await self._repository.is_ancestor(before, commit.id):
            return ""
        return (
            f"the history of {self._options.ref} was rewritten: {commit.id[:12]} does not descend from the "
            f"published commit {before[:12]}; the last release keeps serving "
            "(push a commit on top of it, or set allow_rewrite)"
        )

    async def _refuse(self, commit: Commit, refusal: str) -> SyncResult:
        log.error("source %s: %s", self.name, refusal)
        record = CommitRecord(self.name, commit, Verdict.REJECTED, (), (), self._clock.now(), refusal)
        await self._store.save_commit(record)
        await self._save_source(replace(self.record, error=refusal))
        self._verdict = SyncResult("refused", commit.id, error=refusal, errors=1)
        return self._verdict

    async def _conclude(self, commit: Commit, result: CompileResult, actor: str, lease: Lease) -> SyncResult:
        errors = [one for one in result.diagnostics if one.severity is Severity.ERROR]
        verdict = Verdict.ACCEPTED if result.bundle is not None else Verdict.REJECTED
        await self._store.save_commit(
            CommitRecord(self.name, commit, verdict, result.diagnostics, result.files, self._clock.now())
        )
        if result.bundle is None:
            self._report_rejected(commit, errors)
            first = str(errors[0]) if errors else ""
            await self._audit_rejected(commit, actor, first)
            rejected = SyncResult("rejected", commit.id, error=first, errors=len(errors))
            if not any(one.code == CRASHED for one in errors):
                # A commit that the validator could not finish is judged again at the next pass.
                self._verdict = rejected
            return rejected
        try:
            pointer = await self._publisher.publish(result.bundle, lease, actor)
        except Conflict as error:
            if error.code == LEASE_LOST:
                self._leadership.lost()
            raise
        self._verdict = SyncResult("noop", commit.id)
        if pointer is None:
            log.info("source %s: commit %s changes nothing for any agent", self.name, commit.id[:12])
            return self._verdict
        self._seq = pointer.seq
        log.info("source %s: revision %d published from %s", self.name, pointer.revision, commit.id[:12])
        self._published()
        return SyncResult("published", commit.id, pointer.revision)

    def _report_rejected(self, commit: Commit, errors: Sequence[Diagnostic]) -> None:
        log.error(
            "source %s: commit %s is rejected, %d errors; the last release keeps serving",
            self.name,
            commit.id[:12],
            len(errors),
        )
        for one in errors:
            self._meters.validation_errors[one.code] += 1
        for one in errors[:20]:
            log.error("source %s: %s", self.name, one)

    async def _audit_rejected(self, commit: Commit, actor: str, reason: str) -> None:
        entry = AuditEntry(
            self._clock.now(),
            actor,
            "config_update",
            f"source/{self.name}",
            "failure",
            reason,
            details={"commit": commit.id},
        )
        await self._store.append_audit([entry])
