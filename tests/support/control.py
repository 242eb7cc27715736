"""The parts around the control modules: a bundle from texts, and small ports that a test steers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gitsync.bundle.statements import Signature
from gitsync.bundle.tree import Commit, ConfigTree
from gitsync.bundle.version import Bundle, CompileResult
from gitsync.control.leader import LEASE, TTL
from gitsync.control.meters import Meters
from gitsync.control.publish import Publisher, PublishOptions
from gitsync.control.records import Lease, StoredSource
from gitsync.errors import GitsyncError
from gitsync.ids import DEFAULT_SOURCE, CommitId
from gitsync.store import SqlStore
from tests.support.clock import FixedRandom, ManualClock
from tests.support.compiling import bundle_of
from tests.support.configrepo import tree_of
from tests.support.configs import FLEET, collector
from tests.support.signing import KEY, Key


def a_tree(port: int = 4317, *, without: Sequence[str] = (), subject: str = "a change") -> ConfigTree:
    """The tree of a fleet whose agents listen on this port."""
    files = {**FLEET, "agents/collector.yaml": collector(port)}
    kept = {name: text for name, text in files.items() if not name.startswith(tuple(without) or ("\0",))}
    return tree_of(kept, subject=f"{subject} {port}")


def a_bundle(port: int = 4317, *, without: Sequence[str] = ()) -> Bundle:
    """The bundle of `a_tree`."""
    return bundle_of(a_tree(port, without=without))


async def lead(store: SqlStore, holder: str = "replica-1", ttl: timedelta = TTL) -> Lease:
    """The leader's lease."""
    lease = await store.acquire_lease(LEASE, holder, ttl)
    assert lease is not None
    return lease


async def published(store: SqlStore) -> StoredSource:
    """What is published."""
    stored = await store.load_published(DEFAULT_SOURCE)
    assert stored is not None
    return stored


# One for all: the request ids of two publishers on one store must differ.
_RANDOM = FixedRandom()


@dataclass
class SteeredSigner:
    """Signs with the usual key of tests, unless it is told to fail.

    Attributes:
        error: raised instead of signing.
        signed: how many statements were signed by each call.
        key: that signs.
    """

    error: GitsyncError | None = None
    signed: list[int] = field(default_factory=list)
    key: Key = KEY

    @property
    def keyid(self) -> str:
        return self.key.record.keyid

    async def sign(self, bodies: Sequence[bytes]) -> Sequence[Signature]:
        if self.error is not None:
            raise self.error
        self.signed.append(len(bodies))
        return [self.key.sign(body) for body in bodies]


def a_publisher(
    store: SqlStore,
    clock: ManualClock | None = None,
    *,
    signer: SteeredSigner | None = None,
    meters: Meters | None = None,
    options: PublishOptions | None = None,
) -> Publisher:
    """A publisher on a real store."""
    return Publisher(
        options or PublishOptions(),
        store,
        signer or SteeredSigner(),
        meters or Meters(),
        clock or ManualClock(),
        _RANDOM,
    )


@dataclass(frozen=True)
class Fetch:
    """What one fetch found."""

    head: CommitId
    found: bool = True


@dataclass
class SteeredRepository:
    """A mirror whose commits a test pushes; the port `Repository`.

    Attributes:
        error: raised by `fetch`.
        fetched: what each fetch expected.
        rewritten: no commit descends from another one.
    """

    error: GitsyncError | None = None
    rewritten: bool = False
    fetched: list[CommitId | None] = field(default_factory=list)
    trees: list[ConfigTree] = field(default_factory=list)
    changes: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def push(self, tree: ConfigTree) -> CommitId:
        """Makes this the newest commit."""
        self.trees.append(tree)
        return tree.commit.id

    async def open(self) -> None:
        """Nothing to repair."""

    async def fetch(self, expected: CommitId | None = None) -> Fetch:
        self.fetched.append(expected)
        if self.error is not None:
            raise self.error
        known = {one.commit.id for one in self.trees}
        return Fetch(self.trees[-1].commit.id, expected is None or expected in known)

    async def is_ancestor(self, old: CommitId, new: CommitId) -> bool:
        return not self.rewritten or old == new

    async def load_commit(self, commit: CommitId) -> Commit:
        return (await self.load_tree(commit)).commit

    async def load_tree(self, commit: CommitId) -> ConfigTree:
        return next(one for one in self.trees if one.commit.id == commit)

    async def watch(self) -> AsyncGenerator[None, None]:
        while True:
            yield await self.changes.get()


@dataclass
class DirectCompiler:
    """Compiles in this process; the port `Compiler`.

    Attributes:
        compiled: the commits that were judged, in order.
        answers: given instead of compiling, first one first.
        gate: a compile waits for it.
    """

    compiled: list[CommitId] = field(default_factory=list)
    answers: list[CompileResult] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def compile(self, tree: ConfigTree) -> CompileResult:
        from tests.support.compiling import compiled

        self.compiled.append(tree.commit.id)
        await self.gate.wait()
        return self.answers.pop(0) if self.answers else compiled(tree)
