"""`on_commit`: what a good commit does to one target."""

from __future__ import annotations

from gitsync.ids import DEFAULT_SOURCE, VersionDigest
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import COMPLETED_KEPT, Proposal, TargetState
from gitsync.rollout.transitions import on_commit
from tests.support.builders import NOW

A, B, C = (VersionDigest(letter * 32) for letter in (b"a", b"b", b"c"))


def run(*digests: VersionDigest | None) -> tuple[TargetState, list[str]]:
    state, causes = TargetState(DEFAULT_SOURCE, "agents"), []
    for digest in digests:
        proposal = None if digest is None else Proposal(digest, Plan())
        state, events = on_commit(state, proposal, NOW)
        causes.append(",".join(one.cause for one in events))
    return state, causes


def test_the_first_version_is_stable_at_once() -> None:
    state, causes = run(A)
    assert (state.head, state.stable, state.fallback, state.completed) == (A, A, None, (A,))
    assert causes == ["commit"]
    assert state.rollout is None


def test_an_unchanged_version_is_no_transition() -> None:
    state, causes = run(A, A)
    assert causes == ["commit", ""]
    assert state.stable == A


def test_a_new_version_makes_the_old_one_the_fallback() -> None:
    state, _ = run(A, B)
    assert (state.stable, state.fallback, state.completed) == (B, A, (B, A))


def test_a_revert_goes_back_and_never_makes_the_left_version_a_fallback() -> None:
    state, causes = run(A, B, A)
    assert causes == ["commit", "commit", "back"]
    assert state.stable == A
    assert state.fallback is None
    assert state.completed == (A, B)


def test_going_back_further_keeps_the_older_version_as_fallback() -> None:
    state, _ = run(C, A, B, A)
    assert state.fallback == C


def test_a_deleted_target_gives_nothing_and_its_revert_brings_it_back() -> None:
    state, causes = run(A, None)
    assert (state.head, state.stable) == (None, None)
    assert state.completed == (A,)
    state, causes = run(A, None, A)
    assert causes == ["commit", "delete", "back"]
    assert state.stable == A


def test_a_target_that_never_was_stays_absent() -> None:
    state, causes = run(None)
    assert causes == [""]
    assert state.stable is None


def test_completed_versions_are_remembered_up_to_the_limit_without_repeats() -> None:
    digests = [VersionDigest(bytes([number]) * 32) for number in range(COMPLETED_KEPT + 5)]
    state, _ = run(*digests, digests[-2])
    assert len(state.completed) == COMPLETED_KEPT
    assert len(set(state.completed)) == COMPLETED_KEPT
    assert state.completed[:2] == (digests[-2], digests[-1])


def test_in_use_names_every_version_that_an_agent_may_get() -> None:
    state, _ = run(A, B)
    assert state.in_use() == {A, B}
    assert state.in_effect(0) == state.in_effect(9_999) == B
