"""`progress`: one of five words about an agent and what is desired for it now."""

from __future__ import annotations

import pytest

from gitsync.fleet.agent import STOP, Attempt, AttemptState, Reported
from gitsync.fleet.assign import Assignment, Kind, Reason, assign
from gitsync.fleet.progress import SyncState, progress
from gitsync.opamp.messages import ConfigStatus
from tests.support.builders import NOW, a_desired, a_hash, a_version, an_agent

VERSION = a_version("agents", "new")
OLD = a_version("agents", "old")
DESIRED = a_desired(VERSION, fallbacks={"agents": OLD})
NEW_HASH, OLD_HASH = a_hash("new"), a_hash("old")


def attempt(digest: bytes, state: AttemptState) -> Attempt:
    return Attempt(digest, 1, state, NOW, NOW)  # type: ignore[arg-type]


def settled(kind: Kind, reason: Reason, digest: bytes | None = NEW_HASH) -> Assignment:
    return Assignment(kind, reason, VERSION.id, VERSION.digest, NEW_HASH, digest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (AttemptState.OFFERED, SyncState.OFFERED),
        (AttemptState.NO_ANSWER, SyncState.OFFERED),
        (AttemptState.APPLYING, SyncState.APPLYING),
        (AttemptState.APPLIED, SyncState.APPLIED),
        (AttemptState.PROVEN, SyncState.APPLIED),
        (AttemptState.FAILED, SyncState.FAILED),
    ],
)
def test_the_attempt_at_what_is_wanted_says_how_far_it_is(state: AttemptState, expected: SyncState) -> None:
    agent = an_agent(current=attempt(NEW_HASH, state))
    assert progress(agent, settled(Kind.KEEP, Reason.ON_ITS_WAY)) is expected


@pytest.mark.parametrize("state", list(AttemptState))
def test_an_attempt_at_something_older_says_nothing_about_what_is_wanted(state: AttemptState) -> None:
    agent = an_agent(current=attempt(OLD_HASH, state))
    assert progress(agent, settled(Kind.OFFER, Reason.WANTED)) is SyncState.PENDING


def test_an_agent_without_a_target_or_that_cannot_take_any_is_pending() -> None:
    assert progress(an_agent(), Assignment(Kind.KEEP, Reason.NO_TARGET)) is SyncState.PENDING
    assert progress(an_agent(), settled(Kind.READ_ONLY, Reason.UNKNOWN_TYPE, None)) is SyncState.PENDING


@pytest.mark.parametrize(
    "assignment",
    [
        settled(Kind.BLOCKED, Reason.ALL_FAILED, None),
        settled(Kind.STOP, Reason.STUCK, STOP),
        settled(Kind.KEEP, Reason.WANTED_FAILED, OLD_HASH),
        settled(Kind.OFFER, Reason.WANTED_FAILED, OLD_HASH),
    ],
    ids=lambda one: str(one.reason),
)
def test_an_agent_that_is_given_something_else_has_failed(assignment: Assignment) -> None:
    assert progress(an_agent(current=attempt(OLD_HASH, AttemptState.PROVEN)), assignment) is SyncState.FAILED


def test_an_agent_that_reports_what_is_wanted_without_having_been_offered_it_here_is_applied() -> None:
    agent = an_agent(reported=Reported(NEW_HASH, ConfigStatus.APPLIED))
    assert progress(agent, assign(agent, DESIRED)) is SyncState.APPLIED


def test_a_suspended_target_leaves_its_agents_pending() -> None:
    desired = a_desired(a_version("agents", "new", suspend=True))
    assert progress(an_agent(), assign(an_agent(), desired)) is SyncState.PENDING
