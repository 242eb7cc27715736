"""An agent that says APPLIED and reports to run something else: offered the same once more, then flagged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.bundle.version import TargetVersion
from gitsync.fleet.agent import Agent, AttemptState
from gitsync.fleet.assign import Kind, Reason, assign
from gitsync.fleet.observe import (
    EFFECT_PATIENCE,
    MAX_TRIES,
    AnswerOverdue,
    Assigned,
    EffectiveJudged,
    FellDue,
    Observed,
    Offered,
    Recalled,
    Reconnected,
    contradicts_itself,
    due_at,
    observe,
)
from gitsync.fleet.progress import SyncState, progress
from gitsync.fleet.why import reason_text, steps
from gitsync.opamp.messages import (
    Capability,
    ComponentHealth,
    ConfigStatus,
    ConfigStatusReported,
    EffectiveObject,
    EffectiveReported,
    HealthReported,
)
from tests.support.builders import NOW, SUPERVISOR, a_desired, a_hash, a_version, an_agent, later

A, B = a_hash("a"), a_hash("b")
VERSION = a_version(text="a")
DESIRED = a_desired(VERSION)
OLD, NEW = (EffectiveReported({"": EffectiveObject(body)}) for body in (b"receivers: {nop: }", b"receivers: {otlp: }"))
APPLYING, APPLIED, FAILED = (
    ConfigStatusReported(A, status) for status in (ConfigStatus.APPLYING, ConfigStatus.APPLIED, ConfigStatus.FAILED)
)
AGAIN = (FellDue(), Offered(A, 2))


def fold(agent: Agent, *events: Observed, at: float = 0) -> Agent:
    for event in events:
        agent = observe(agent, event, later(at))
    return agent


def judged(agent: Agent, contained: bool, at: float = 0) -> Agent:
    assert agent.effective is not None
    return fold(agent, EffectiveJudged(A, agent.effective, contained), at=at)


def lying(*events: Observed, capabilities: int = int(SUPERVISOR)) -> Agent:
    """It says that it applied the offer, and reports to run what it ran before; then these events."""
    agent = fold(an_agent(capabilities=capabilities), OLD, Offered(A, 1), APPLYING, APPLIED)
    return fold(judged(agent, contained=False), *events, at=40)


def repeated(*events: Observed) -> Agent:
    return lying(*AGAIN, *events)


def decided(agent: Agent, version: TargetVersion = VERSION) -> tuple[Kind, Reason, str | None]:
    result = assign(agent, a_desired(version))
    return result.kind, result.reason, result.flag


def state(agent: Agent) -> AttemptState:
    assert agent.current is not None
    return agent.current.state


KEPT = (Kind.KEEP, Reason.UP_TO_DATE, None)
OFFERED = (Kind.OFFER, Reason.WANTED, None)
GIVEN_UP = (Kind.KEEP, Reason.NOT_IN_EFFECT, "not-in-effect")


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        pytest.param(lying(), KEPT, id="it may come yet"),
        pytest.param(lying(FellDue()), OFFERED, id="it did not"),
        pytest.param(repeated(), KEPT, id="offered once more"),
        pytest.param(repeated(APPLIED), KEPT, id="and it says so again"),
        pytest.param(repeated(FellDue()), GIVEN_UP, id="to no avail"),
        pytest.param(repeated(FellDue(), Reconnected()), GIVEN_UP, id="a new connection changes nothing"),
        pytest.param(repeated(FellDue(), Recalled()), GIVEN_UP, id="nor does a new server"),
        pytest.param(judged(repeated(FellDue(), NEW), contained=True), KEPT, id="it has come round"),
        pytest.param(repeated(FellDue(), NEW), KEPT, id="something new is not judged yet"),
        pytest.param(judged(repeated(FellDue(), NEW), contained=False), GIVEN_UP, id="nor what was wanted"),
    ],
)
def test_it_is_offered_once_more_and_then_given_up(agent: Agent, expected: tuple[Kind, Reason, str | None]) -> None:
    assert decided(agent) == expected
    assert progress(agent, assign(agent, DESIRED)) is (
        SyncState.APPLIED if expected[0] is Kind.KEEP else progress(lying(), assign(lying(), DESIRED))
    )


def test_the_time_is_counted_from_the_word_and_then_from_the_second_offer() -> None:
    assert due_at(lying()) == NOW + EFFECT_PATIENCE
    assert due_at(lying(FellDue())) is None
    assert due_at(repeated()) == later(40) + EFFECT_PATIENCE
    assert due_at(repeated(FellDue())) is None


def applied(*events: Observed) -> Agent:
    """It says that it applied the offer, and reports to run it; then these events, a minute later."""
    agent = fold(an_agent(capabilities=int(SUPERVISOR)), OLD, Offered(A, 1), APPLYING, APPLIED, NEW)
    return fold(judged(agent, contained=True), *events, at=60)


def test_who_reported_the_right_thing_first_has_the_whole_time_to_report_it_again() -> None:
    unhealthy = fold(an_agent(capabilities=int(SUPERVISOR)), HealthReported(ComponentHealth(healthy=False)))
    agent = fold(unhealthy, OLD, Offered(A, 1), APPLYING, APPLIED, NEW)
    agent = fold(judged(agent, contained=True), Reconnected(), OLD, at=60)
    agent = judged(agent, contained=False, at=61)
    assert contradicts_itself(agent, A)
    assert due_at(agent) == later(61) + EFFECT_PATIENCE
    agent = judged(fold(agent, NEW, at=62), contained=True, at=63)
    assert due_at(agent) is None
    agent = judged(fold(agent, OLD, at=64), contained=False, at=65)
    assert due_at(agent) == later(65) + EFFECT_PATIENCE


@pytest.mark.parametrize("event", [Reconnected(), Recalled()])
def test_who_has_just_come_may_still_be_starting(event: Observed) -> None:
    assert due_at(lying(event)) == later(40) + EFFECT_PATIENCE
    assert due_at(judged(applied(event), contained=True)) is None


def test_another_wrong_report_does_not_begin_the_time_anew() -> None:
    assert due_at(judged(lying(NEW), contained=False, at=45)) == NOW + EFFECT_PATIENCE


@pytest.mark.parametrize("word", [APPLYING, APPLIED])
def test_a_late_word_ends_that_an_offer_without_answer_was_due(word: Observed) -> None:
    offer = Offered(A, 1)
    agent = fold(an_agent(capabilities=int(SUPERVISOR)), OLD, offer)
    for _ in range(MAX_TRIES - 1):
        agent = fold(agent, AnswerOverdue(), offer, at=10)
    agent = fold(agent, AnswerOverdue(), FellDue(), at=20)
    assert decided(agent)[0] is Kind.OFFER
    agent = fold(agent, word, at=30)
    assert agent.current is not None
    assert not agent.current.is_due
    assert decided(agent)[0] is Kind.KEEP


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(judged(lying(NEW), contained=True), id="it runs it"),
        pytest.param(lying(NEW), id="not judged yet"),
        pytest.param(lying(FAILED), id="it failed"),
        pytest.param(lying(Offered(B, 2)), id="something else was offered since"),
        pytest.param(lying(ConfigStatusReported(B, ConfigStatus.APPLIED)), id="it went back by itself"),
        pytest.param(lying(ConfigStatusReported(b"", ConfigStatus.UNSET)), id="its memory is gone"),
        pytest.param(replace(lying(), capabilities=int(Capability.REPORTS_REMOTE_CONFIG)), id="it declares no report"),
        pytest.param(an_agent(), id="it was offered nothing"),
    ],
)
def test_nothing_waits_where_there_is_no_contradiction(agent: Agent) -> None:
    assert not contradicts_itself(agent, A)
    assert due_at(agent) is None
    assert decided(fold(agent, FellDue()))[1] is not Reason.NOT_IN_EFFECT


def test_the_second_offer_is_the_same_attempt_and_waits_for_no_answer() -> None:
    before, agent = lying().current, repeated()
    assert before is not None
    assert agent.current == replace(before, changed_at=later(40), tries=2, repeated=True)
    for event in (AnswerOverdue(), Reconnected(), Recalled()):
        assert fold(agent, event) == agent


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((APPLYING,), AttemptState.APPLYING),
        ((APPLYING, APPLIED), AttemptState.APPLIED),
        ((APPLYING, FAILED), AttemptState.FAILED),
        ((FAILED,), AttemptState.FAILED),
        ((APPLYING, AnswerOverdue()), AttemptState.NO_ANSWER),
    ],
)
def test_an_answer_to_the_second_offer_moves_the_attempt(events: tuple[Observed, ...], expected: AttemptState) -> None:
    agent = repeated(FellDue(), *events)
    assert state(agent) is expected
    assert agent.flag is None
    if expected is AttemptState.APPLIED:
        assert decided(agent) == KEPT, "what it says anew gets new time"
        assert decided(fold(agent, FellDue())) == GIVEN_UP


def test_an_attempt_is_repeated_once_even_if_it_is_interrupted_meanwhile() -> None:
    agent = repeated(APPLYING, AnswerOverdue(), Offered(A, 3))
    assert state(agent) is AttemptState.OFFERED
    agent = judged(fold(agent, APPLIED), contained=False)
    assert decided(fold(agent, FellDue())) == GIVEN_UP


def test_applying_that_nobody_asked_for_is_no_new_attempt() -> None:
    assert state(lying(APPLYING)) is AttemptState.APPLIED


def test_a_report_that_contains_it_is_the_proof_and_clears_the_flag() -> None:
    agent = repeated(FellDue(), Assigned(VERSION.id, A, "not-in-effect"), NEW)
    agent = judged(agent, contained=True)
    assert (state(agent), agent.last_good) == (AttemptState.PROVEN, A)
    assert agent.current is not None
    assert not agent.current.is_due
    assert decided(agent) == KEPT


def test_what_it_runs_has_to_be_healthy_to_be_proven_and_is_not_repeated_while_it_is_not() -> None:
    agent = fold(lying(FellDue()), HealthReported(ComponentHealth(healthy=False)), NEW)
    agent = judged(agent, contained=True)
    assert state(agent) is AttemptState.APPLIED
    assert decided(agent) == KEPT


def test_another_configuration_and_its_return_are_new_attempts() -> None:
    given_up = repeated(FellDue())
    elsewhere = a_version(text="b")
    assert decided(given_up, elsewhere) == OFFERED
    back = fold(given_up, Offered(B, 3), Offered(A, 4))
    assert back.current is not None
    assert (back.current.tries, back.current.repeated) == (1, False)


def test_an_agent_that_lost_its_memory_gets_a_new_attempt_not_the_second_half_of_an_old_one() -> None:
    agent = lying(ConfigStatusReported(b"", ConfigStatus.UNSET))
    assert decided(agent) == OFFERED
    again = fold(agent, Offered(A, 2))
    assert (state(again), again.current and again.current.repeated) == (AttemptState.OFFERED, False)


def test_a_suspended_target_repeats_nothing() -> None:
    suspended = a_version(text="a", suspend=True)
    assert decided(lying(FellDue()), suspended) == (Kind.KEEP, Reason.SUSPENDED, None)
    assert decided(repeated(FellDue()), suspended) == GIVEN_UP


def test_a_fallback_that_is_not_in_effect_is_repeated_and_given_up_too() -> None:
    version = a_version("agents", "new")
    desired = a_desired(version, fallbacks={"agents": a_version("agents", "a")})
    agent = replace(lying(FellDue()), failed=(a_hash("new"),), wanted=a_hash("new"))
    assert assign(agent, desired).kind is Kind.OFFER
    agent = replace(repeated(FellDue()), failed=(a_hash("new"),), wanted=a_hash("new"))
    result = assign(agent, desired)
    # What people must see to is the configuration that is wanted; `steps` tells the rest.
    assert (result.kind, result.flag) == (Kind.KEEP, "wanted-failed")
    assert progress(agent, result) is SyncState.FAILED
    assert "it was offered it once more" in steps(agent, desired, result)[-1]


def test_people_read_what_is_wrong() -> None:
    agent = repeated(FellDue())
    text = reason_text(agent, assign(agent, DESIRED))
    assert text == "it says that it applied the configuration, but the one that it reports to run lacks it"
    lines = steps(agent, DESIRED, assign(agent, DESIRED))
    assert lines[-1] == (
        "evidence: the configuration that it reports to run lacks the last offer, though it was offered it once more"
    )
    early = lying()
    assert steps(early, DESIRED, assign(early, DESIRED))[-1].endswith("lacks the last offer so far")


SAID = (APPLYING, APPLIED, FAILED, OLD, NEW, ConfigStatusReported(b"", ConfigStatus.UNSET))
KNOWN = (FellDue(), AnswerOverdue(), Reconnected(), Recalled(), "contained", "not contained")


@given(st.lists(st.sampled_from((*SAID, *KNOWN)), max_size=40))
def test_whatever_happens_no_attempt_is_repeated_twice(story: list[Observed | str]) -> None:
    agent, repetitions = an_agent(), 0
    for number, event in enumerate(story):
        if not isinstance(event, str):
            agent = observe(agent, event, later(number))
        elif agent.effective is not None:
            agent = judged(agent, contained=event == "contained", at=number)
        if assign(agent, DESIRED).kind is not Kind.OFFER:
            continue
        repeats = contradicts_itself(agent, A)
        before, agent = agent.current, observe(agent, Offered(A, 1), later(number))
        assert agent.current is not None
        if repeats:
            assert agent.current.state is AttemptState.APPLIED
            repetitions += 1
        elif before is None or before.state is not AttemptState.NO_ANSWER:
            repetitions = 0
        assert repetitions <= 1
        assert agent.current.repeated is (repetitions == 1)
