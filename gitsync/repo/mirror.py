"""The mirror of one source: fetched from the remote, read from the object database, repaired by itself.

Below its directory: `mirror.git` (bare), `lock`, `clean` (its last user ended in order), and small files for
git's and ssh's eyes. Rules:
    1. One process uses a mirror. The lock is inherited by every git that it starts, so that after `kill -9`
       nobody touches the mirror while an orphan still writes into it.
    2. Crash argument: `clean` is removed, durably, before anything else happens. Git writes objects first
       and the ref last; so after a crash the ref names a whole history, or the connectivity check fails and
       the mirror is made anew. The next fetch then clones.
    3. Nothing is decided here: a rewritten history is fetched as any other; `is_ancestor` tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gitsync.bundle.tree import Commit, ConfigTree
from gitsync.errors import Conflict, GitsyncError, SettingsError, Unavailable
from gitsync.ids import BlobId, CommitId
from gitsync.repo import history
from gitsync.repo.bare import BareRepository, check_owner, sync_directory, take_lock
from gitsync.repo.credentials import Access, prepare_file, prepare_https, prepare_ssh
from gitsync.repo.listing import BlobCache, parse_batch, parse_commit_object, parse_listing
from gitsync.repo.runner import Call, Finished, GitProgram, Operation, Remote, Runner, build
from gitsync.repo.source import Scheme, SourceSpec
from gitsync.repo.watch import watch_refs

log = logging.getLogger(__name__)

#: `ls-remote --exit-code` says by this that no ref matched.
_NO_SUCH_REF = 2
#: Git's exit code for what it calls fatal, a missing object among others.
_GIT_DIED = 128
#: A commit object is read whole; what is larger was made to harm.
_COMMIT_BYTES = 1024 * 1024
_SIZE_CHECK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch found.

    Attributes:
        head: newest commit of the branch.
        previous: what it was before; None on the first fetch and after a repair that had to clone.
        changed: head is another commit than previous.
        found: the expected commit is in the history of head; True when none was expected.
    """

    head: CommitId
    previous: CommitId | None
    changed: bool
    found: bool = True


class Mirror:
    """The local copy of a source's branch. Open it, fetch and read, close it.

    Attributes:
        head: newest commit that was fetched; None before the first fetch.
        runner: counts the git processes.
    """

    def __init__(
        self,
        spec: SourceSpec,
        directory: Path,
        git: GitProgram,
        *,
        lock_wait: timedelta = timedelta(seconds=10),
    ) -> None:
        self.spec = spec
        self.head: CommitId | None = None
        self.runner = Runner(git, keep_open=self._lock_descriptors)
        self._directory = directory.absolute()
        self._bare = BareRepository(self._directory / "mirror.git")
        self._lock_wait = lock_wait
        self._lock: int | None = None
        self._is_fetching = False
        # Reading failed: the next fetch checks the mirror first, and closing does not call it clean.
        self._is_suspect = False
        self._blobs = BlobCache(spec.limits.tree_bytes)

    async def open(self) -> None:
        """Takes the lock and leaves a whole mirror: made, swept, checked or replaced as needed. No network.

        Raises:
            Unavailable: `git.mirror_locked`: another process uses it, also after `lock_wait`.
            SettingsError: `git.owner`, `git.permission`: the directory is not ours to use.
        """
        try:
            await asyncio.to_thread(self._prepare_directory)
            self._lock = await self._take_lock()
            try:
                was_clean = await asyncio.to_thread(self._begin)
                if not was_clean and not await self._is_sound():
                    log.warning("source %s: the mirror is damaged; it is cloned again", self.spec.name)
                    await asyncio.to_thread(self._bare.make)
                self.head = await asyncio.to_thread(history.read_head, self._bare.path)
            except BaseException:
                self._release()
                raise
        except OSError as error:
            raise SettingsError(
                f"the mirror's directory {self._directory} cannot be used: {error.strerror}",
                code="git.permission",
                hint="gitsync must own it and be able to write it",
            ) from None

    async def close(self) -> None:
        """Notes that the mirror was left in order, and gives the lock back. May be called twice."""
        if self._lock is None:
            return
        try:
            if not self._is_suspect and not self._is_fetching:
                await asyncio.to_thread((self._directory / "clean").touch, 0o600)
        finally:
            self._release()

    async def fetch(self, expected: CommitId | None = None) -> FetchResult:
        """Brings the branch up to date. Costs one `ls-remote` when nothing changed.

        Args:
            expected: a commit that somebody announced; the result says whether it has arrived.

        Raises:
            Unavailable: the host cannot be reached or does not answer in time (`git.unreachable`,
                `git.timeout`, …).
            SettingsError: what the operator must change (`git.auth`, `git.host_key`, `git.ref_missing`,
                `git.not_found`, `git.credentials`, `git.mirror_too_large`, …).
            InvalidConfig: `git.unsafe_object`: git refuses an object of the history.
            Conflict: `git.fetch_running`: another fetch of this mirror is under way.
        """
        self._check_open()
        if self._is_fetching:
            raise Conflict("a fetch of this mirror is under way", code="git.fetch_running")
        self._is_fetching = True
        try:
            await self._make_ready()
            remote = await asyncio.to_thread(self._remote)
            previous = self.head
            if await self._announced_head(remote) != previous:
                await self._fetch_or_repair(remote)
            assert self.head is not None
            return FetchResult(
                head=self.head,
                previous=previous,
                changed=self.head != previous,
                found=expected is None or await self.is_ancestor(expected, self.head),
            )
        finally:
            self._is_fetching = False

    async def is_ancestor(self, old: CommitId, new: CommitId) -> bool:
        """Whether `new` is `old` or descends from it; a commit that the mirror lacks is nobody's ancestor.

        Raises:
            Unavailable: `git.commit_missing`: the mirror lacks `new`.
        """
        if old == new:
            return True
        done = await self._git(Operation.MERGE_BASE, commits=(old, new), accept=(0, 1, _GIT_DIED))
        if done.code == _GIT_DIED:
            if await self._raw_commit(new) is None:
                raise history.missing(new)
            if await self._raw_commit(old) is not None:
                self._is_suspect = True  # both are here, but something between them is not
                self.runner.fail(self._build(Operation.MERGE_BASE, commits=(old, new)), done)
        return done.code == 0

    async def load_commit(self, commit: CommitId) -> Commit:
        """Who changed what and when.

        Raises:
            Unavailable: `git.commit_missing`: it is not in the mirror.
        """
        raw = await self._raw_commit(commit)
        if raw is None:
            raise history.missing(commit)
        return await asyncio.to_thread(history.parse_commit, self._bare.path, commit, raw)

    async def load_tree(self, commit: CommitId) -> ConfigTree:
        """The files of a commit; entries that gitsync does not serve are in `bad`, never followed.

        Raises:
            Unavailable: `git.commit_missing`, `git.mirror_broken`, `git.timeout`.
        """
        limits = self.spec.limits
        about = await self.load_commit(commit)
        done = await self._git(Operation.LS_TREE, commits=(commit,), output_bytes=max(1024 * 1024, limits.files * 512))
        listing = await asyncio.to_thread(parse_listing, done.stdout, limits, truncated=done.truncated)
        data = self._blobs.take(listing.load)
        missing = {blob: size for blob, size in listing.load.items() if blob not in data}
        if missing:
            loaded = await self._load_blobs(missing)
            self._blobs.put(loaded)
            data |= loaded
        return ConfigTree(self.spec.name, about, listing.blobs, data, listing.bad)

    async def watch(self) -> AsyncGenerator[None, None]:
        """Yields when the repository may have changed; ends at once for one that is not on this machine.

        Use it with `contextlib.aclosing`. Raises as `watch_refs` does.
        """
        path = self.spec.location.path
        if path is None:
            return
        async with aclosing(watch_refs(path)) as changes:
            async for change in changes:
                yield change

    # -- fetching

    async def _make_ready(self) -> None:
        """Makes sure that git meets only what is ours, and that the quota is kept."""
        if self._is_suspect or not await asyncio.to_thread(self._bare.is_whole):
            await self._repair()
        foreign = await asyncio.to_thread(self._bare.seal)
        if foreign:
            log.warning("source %s: removed from the mirror: %s", self.spec.name, ", ".join(foreign))
        if await asyncio.to_thread(self._bare.size) > self.spec.limits.mirror_bytes:
            raise self._too_large()

    def _remote(self) -> Remote:
        location, auth = self.spec.location, self.spec.auth
        match location.scheme:
            case Scheme.HTTPS | Scheme.HTTP:
                access = prepare_https(auth, self._directory)
            case Scheme.SSH:
                if self.runner.git.ssh is None:
                    raise SettingsError("there is no ssh on the PATH", code="git.missing", hint="install OpenSSH")
                access = prepare_ssh(auth, self._directory)
            case Scheme.FILE:
                access = prepare_file(location.path, self._directory) if location.path else Access()
        return Remote(location, self.spec.ref, access)

    async def _announced_head(self, remote: Remote) -> CommitId:
        done = await self._git(
            Operation.LS_REMOTE, remote=remote, timeout=self.spec.timeouts.poll, accept=(0, _NO_SUCH_REF)
        )
        wanted = f"refs/heads/{remote.branch}"
        for line in done.stdout.decode(errors="replace").splitlines():
            commit, _, ref = line.partition("\t")
            if ref == wanted:
                return CommitId(commit)
        raise SettingsError(
            f"{remote.location.url} has no branch {remote.branch}",
            code="git.ref_missing",
            hint="check the source's ref; an empty repository has no branch before its first push",
        )

    async def _fetch_or_repair(self, remote: Remote) -> None:
        try:
            await self._fetch_branch(remote)
        except GitsyncError as error:
            # What git could not explain may be our own disk: look, and begin again once if so.
            if error.code not in {"git.failed", "git.not_found"} or await self._is_sound():
                raise
            await self._repair()
            await self._fetch_branch(remote)

    async def _fetch_branch(self, remote: Remote) -> None:
        call = self._build(Operation.FETCH, remote=remote)
        try:
            done = await self.runner.run(call, self.spec.timeouts.fetch, remote=remote, guard=self._watch_size)
        except BaseException:
            # Killed in the middle: what it had begun to write is of no use.
            await asyncio.shield(asyncio.to_thread(self._bare.sweep))
            raise
        if done.code:
            await asyncio.to_thread(self._bare.sweep)
            self.runner.fail(call, done, remote)
        head = await asyncio.to_thread(history.read_head, self._bare.path)
        if head is None or (head == self.head and done.stderr):
            self.runner.fail(call, done, remote)
        if await asyncio.to_thread(self._bare.size) > self.spec.limits.mirror_bytes:
            raise self._too_large()
        self.head = head
        await self._tidy()

    async def _watch_size(self) -> GitsyncError:
        while await asyncio.to_thread(self._bare.size) <= self.spec.limits.mirror_bytes:  # noqa: ASYNC110
            await asyncio.sleep(_SIZE_CHECK_SECONDS)
        return self._too_large()

    def _too_large(self) -> SettingsError:
        return SettingsError(
            f"the mirror of {self.spec.url} is larger than {self.spec.limits.mirror_bytes} bytes",
            code="git.mirror_too_large",
            hint=f"keep large files out of the repository, raise the limit, or remove {self._bare.path}",
        )

    async def _tidy(self) -> None:
        """Packs anew when many fetches have left many files; a failure costs speed only."""
        if not await asyncio.to_thread(self._bare.is_scattered):
            return
        try:
            await self._git(Operation.REPACK, timeout=self.spec.timeouts.fetch)
        except GitsyncError as error:
            await asyncio.to_thread(self._bare.sweep)
            log.warning("source %s: packing the mirror failed: %s", self.spec.name, error)

    # -- reading

    async def _load_blobs(self, wanted: dict[BlobId, int]) -> dict[BlobId, bytes]:
        done = await self._git(
            Operation.CAT_FILE,
            stdin="".join(f"{blob}\n" for blob in wanted).encode(),
            output_bytes=sum(wanted.values()) + 128 * len(wanted),
        )
        try:
            return await asyncio.to_thread(parse_batch, done.stdout, wanted)
        except Unavailable:
            self._is_suspect = True
            raise

    async def _raw_commit(self, commit: CommitId) -> bytes | None:
        done = await self._git(Operation.CAT_FILE, stdin=f"{commit}\n".encode(), output_bytes=_COMMIT_BYTES)
        raw = None if done.truncated else parse_commit_object(done.stdout, commit)
        self._is_suspect |= raw is None and commit == self.head
        return raw

    def _build(
        self,
        operation: Operation,
        *,
        remote: Remote | None = None,
        commits: tuple[CommitId, ...] = (),
    ) -> Call:
        return build(self.runner.git, operation, self._bare.path, remote=remote, commits=commits)

    async def _git(
        self,
        operation: Operation,
        *,
        remote: Remote | None = None,
        commits: tuple[CommitId, ...] = (),
        stdin: bytes = b"",
        output_bytes: int = 1024 * 1024,
        timeout: timedelta | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> Finished:
        """Runs one operation; its result when the exit code is accepted, or the output was cut."""
        self._check_open()
        call = self._build(operation, remote=remote, commits=commits)
        done = await self.runner.run(
            call, timeout or self.spec.timeouts.local, remote=remote, stdin=stdin, output_bytes=output_bytes
        )
        if done.code not in accept and not done.truncated:
            self._is_suspect |= remote is None
            self.runner.fail(call, done, remote)
        return done

    # -- housekeeping

    def _prepare_directory(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(self._directory)
        check_owner(self._bare.path)

    def _begin(self) -> bool:
        """Sweeps, and makes what is missing; whether the mirror can be believed without a check."""
        clean = self._directory / "clean"
        was_clean = clean.exists()
        clean.unlink(missing_ok=True)
        sync_directory(self._directory)
        if not self._bare.is_whole():
            self._bare.make()
            return True
        foreign = self._bare.seal()
        if foreign:
            log.warning("source %s: removed from the mirror: %s", self.spec.name, ", ".join(foreign))
        swept = self._bare.sweep()
        if swept:
            log.info("source %s: removed %d leftovers of an interrupted fetch", self.spec.name, swept)
        return was_clean and not foreign and not swept

    async def _is_sound(self) -> bool:
        """Whether every commit, tree and blob that the ref reaches is there."""
        if not await asyncio.to_thread(self._bare.is_whole):
            return False
        call = self._build(Operation.FSCK)
        done = await self.runner.run(call, self.spec.timeouts.fetch)
        return done.code == 0

    async def _repair(self) -> None:
        if not await self._is_sound():
            log.warning("source %s: the mirror is damaged; it is cloned again", self.spec.name)
            await asyncio.to_thread(self._bare.make)
            self.head = None
        self._is_suspect = False

    async def _take_lock(self) -> int:
        file = self._directory / "lock"
        pause = 0.05
        try:
            async with asyncio.timeout(self._lock_wait.total_seconds()):
                # No event tells when another process gives a lock back.
                while (descriptor := await asyncio.to_thread(take_lock, file)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(pause)
                return descriptor
        except TimeoutError:
            raise Unavailable(
                f"another process uses the mirror in {self._directory}",
                code="git.mirror_locked",
                hint="two servers need two data directories; a git that was left over ends by itself",
            ) from None

    def _lock_descriptors(self) -> tuple[int, ...]:
        return () if self._lock is None else (self._lock,)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _check_open(self) -> None:
        if self._lock is None:
            raise Unavailable("the mirror is not open", code="git.mirror_closed")
