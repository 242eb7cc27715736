"""Any value that can be stored, for property tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from hypothesis import strategies as st

from gitsync.bundle.tree import Commit
from gitsync.bundle.version import ConfigObject, MatchRules, Payload, Slot, TargetVersion, TypeRule
from gitsync.collector.document import Origin
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.fleet.agent import Agent, Attempt, AttemptState, CommandState, Reported, Restart
from gitsync.fleet.connection import AgentConnection, OfferState, SectionOffer
from gitsync.fleet.health import METRICS, keep
from gitsync.ids import AgentUid, ConfigHash, SourceName, TargetId
from gitsync.labels import Operator, RankedLabels, Selector, requirement
from gitsync.opamp.messages import (
    ComponentHealth,
    ConfigStatus,
    PackagesReported,
    PackageState,
    PackageStatus,
    RecentError,
)
from gitsync.rollout.cohort import Cohort
from gitsync.rollout.plan import Plan, Stage
from gitsync.rollout.state import Phase, Pin, Quarantined, Rollout, TargetState

texts = st.text(max_size=12)
digests = st.binary(min_size=32, max_size=32)
maybe_digests = st.none() | digests
instants = st.integers(0, 2**53).map(lambda micros: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros))
ids = st.text("0123456789abcdef", min_size=40, max_size=40)
numbers = st.integers(0, 2**62)


def maps(keys: st.SearchStrategy[str], values: st.SearchStrategy[object]) -> st.SearchStrategy[MappingProxyType]:
    return st.dictionaries(keys, values, max_size=3).map(MappingProxyType)


def tuples_of(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple]:
    return st.lists(values, max_size=3).map(tuple)


commits = st.builds(Commit, ids, ids, tuples_of(ids), texts, instants, texts, st.none() | texts)
diagnostics = st.builds(Diagnostic, texts, numbers, numbers, st.sampled_from(Severity), st.just("GS1001"), texts, texts)

objects = st.builds(ConfigObject, texts, texts, texts, st.binary(max_size=40))
origins = st.builds(Origin, texts, numbers, numbers)
payloads = st.builds(
    Payload.of, st.lists(objects, min_size=1, max_size=3, unique_by=lambda one: one.name), maps(texts, origins)
)

values = st.lists(texts, min_size=1, max_size=3)
requirements = st.one_of(
    st.builds(requirement, texts, st.sampled_from([Operator.IN, Operator.NOT_IN]), values),
    st.builds(requirement, texts, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
)
selectors = st.lists(requirements, max_size=4).map(Selector.of)
rules = st.builds(MatchRules, maps(texts, tuples_of(texts)), tuples_of(st.builds(TypeRule, texts, selectors)))
slots = st.builds(
    Slot,
    st.none() | texts,
    tuples_of(st.tuples(texts, texts)),
    st.frozensets(st.integers(0, 9), max_size=3),
    st.frozensets(texts, max_size=3),
)
plans = st.builds(Plan, texts, tuples_of(st.builds(Stage, texts, st.integers(0, 10_000))))
settings = st.none() | st.dictionaries(texts, texts | st.booleans() | st.none() | st.lists(numbers), max_size=3)
versions = st.builds(
    TargetVersion,
    source=texts.map(SourceName),
    path=texts,
    digest=digests,
    origin=commits,
    selector=st.none() | selectors,
    trusted_only=st.booleans(),
    priority=st.integers(-100, 100),
    agent_type=texts,
    rules=rules,
    slots=st.dictionaries(slots, digests, max_size=3).map(MappingProxyType),
    inputs=maps(texts, ids),
    plan=plans,
    variants=tuples_of(st.tuples(texts, st.integers(0, 100))),
    connection=settings,
    packages=settings,
    suspend=st.booleans(),
)

culprits = maps(texts, st.none() | ids)
rollouts = st.builds(
    Rollout,
    texts,
    maybe_digests,
    maybe_digests,
    plans,
    st.sampled_from(Phase),
    st.builds(Cohort, st.integers(0, 9), st.integers(0, 10_000)),
    instants,
    tuples_of(st.booleans()),
    texts,
)
states = st.builds(
    TargetState,
    source=texts.map(SourceName),
    path=texts,
    head=maybe_digests,
    stable=maybe_digests,
    fallback=maybe_digests,
    rollout=st.none() | rollouts,
    waiting=maybe_digests,
    completed=tuples_of(digests),
    pin=st.none() | st.builds(Pin, ids, maybe_digests, culprits, texts, texts),
    quarantine=tuples_of(st.builds(Quarantined, digests, numbers, culprits, instants, texts)),
    suspended=st.booleans(),
    frozen=st.booleans(),
)

hashes = digests.map(ConfigHash)
attempts = st.builds(
    Attempt,
    hashes,
    numbers,
    st.sampled_from(AttemptState),
    instants,
    instants,
    texts,
    st.integers(1, 99),
    st.none() | instants,
    st.none() | instants,
    st.none() | instants,
    st.none() | instants,
    st.booleans(),
    st.booleans(),
)
uint64 = st.integers(0, 2**64 - 1)
healths = st.recursive(
    st.builds(ComponentHealth, st.booleans(), texts, texts, uint64, uint64),
    lambda inner: st.builds(
        ComponentHealth,
        st.booleans(),
        texts,
        texts,
        uint64,
        uint64,
        st.dictionaries(texts, inner, max_size=3),
        st.dictionaries(texts | st.sampled_from(METRICS), texts | numbers.map(str), max_size=3),
        tuples_of(st.builds(RecentError, st.none() | instants, texts, numbers)),
    ),
    max_leaves=5,
)
packages = st.builds(
    PackagesReported,
    st.dictionaries(
        texts,
        st.builds(
            PackageState,
            texts,
            digests,
            texts,
            digests,
            st.sampled_from(PackageStatus),
            texts,
            st.none() | st.floats(0, 100),
        ),
        max_size=3,
    ),
    digests,
    texts,
)
connections = st.builds(
    AgentConnection,
    hash=digests,
    sections=st.dictionaries(texts, st.builds(SectionOffer, digests, st.sampled_from(OfferState)), max_size=3),
    offered_at=instants,
    changed_at=instants,
    epoch=numbers,
    promised_seconds=numbers,
    heartbeat_seconds=numbers,
    reports_other=st.booleans(),
    repeated=st.booleans(),
    doubts_health=st.booleans(),
    error=texts,
)
labels = st.builds(RankedLabels, maps(texts, texts), maps(texts, texts), maps(texts, texts), maps(texts, texts))
agents = st.builds(
    Agent,
    uid=st.binary(min_size=16, max_size=16).map(AgentUid),
    labels=labels,
    identifying_keys=st.lists(texts, max_size=3, unique=True).map(lambda keys: tuple(sorted(keys))),
    capabilities=uint64,
    reported=st.none() | st.builds(Reported, hashes, st.sampled_from(ConfigStatus), texts),
    current=st.none() | attempts,
    last_good=st.none() | hashes,
    failed=tuples_of(hashes),
    target=st.none() | st.builds(TargetId, texts.map(SourceName), texts),
    wanted=st.none() | hashes,
    health=st.none() | healths.map(keep),
    effective=st.none() | digests,
    contained=st.none() | st.booleans(),
    components=st.none() | st.binary(max_size=64),
    packages=st.none() | packages,
    connection=st.none() | connections,
    started_at=st.none() | instants,
    flag=st.none() | texts,
    restart=st.none() | st.builds(Restart, st.sampled_from(CommandState), instants, instants, texts),
    twin=st.none() | st.binary(min_size=16, max_size=16).map(AgentUid),
)
