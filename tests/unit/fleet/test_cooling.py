"""An offer that is never answered: how long the agent is left alone before it is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gitsync.fleet.agent import Agent, AttemptState
from gitsync.fleet.assign import Kind, Reason, assign
from gitsync.fleet.observe import MAX_TRIES, FellDue, Offered, Reconnected, due_at, observe
from tests.support.builders import SUPERVISOR, a_desired, a_hash, a_version, an_agent, later

DESIRED = a_desired(a_version(text="a"))


def unanswered(tries: int) -> Agent:
    agent = an_agent(capabilities=int(SUPERVISOR))
    for number in range(tries):
        agent = observe(agent, Offered(a_hash("a"), 1), later(number))
        agent = observe(agent, Reconnected(), later(number))
    return agent


@pytest.mark.parametrize(
    ("tries", "minutes"), [(3, 10), (4, 20), (5, 40), (6, 80), (7, 160), (8, 320), (9, 360), (200, 360)]
)
def test_the_time_doubles_up_to_six_hours(tries: int, minutes: int) -> None:
    agent = unanswered(tries)
    attempt = agent.current
    assert attempt is not None
    assert attempt.tries == tries
    assert due_at(agent) == attempt.changed_at + timedelta(minutes=minutes)


def test_an_agent_that_may_still_be_tried_waits_for_nothing() -> None:
    assert due_at(unanswered(MAX_TRIES - 1)) is None


@pytest.mark.parametrize("state", [one for one in AttemptState if one is not AttemptState.NO_ANSWER])
def test_an_attempt_with_an_answer_is_not_the_question(state: AttemptState) -> None:
    agent = unanswered(MAX_TRIES)
    assert agent.current is not None
    assert due_at(replace(agent, current=replace(agent.current, state=state))) is None


def test_a_flagged_agent_is_offered_again_once_when_it_has_cooled_down() -> None:
    agent = unanswered(MAX_TRIES)
    kept = assign(agent, DESIRED)
    assert (kept.kind, kept.reason) == (Kind.KEEP, Reason.NO_ANSWER)
    agent = observe(agent, FellDue(), later(600))
    assert assign(agent, DESIRED).kind is Kind.OFFER
    assert due_at(agent) is None
    agent = observe(observe(agent, Offered(a_hash("a"), 1), later(601)), Reconnected(), later(602))
    assert assign(agent, DESIRED).reason is Reason.NO_ANSWER


def test_without_an_offer_there_is_nothing_to_cool() -> None:
    agent = an_agent()
    assert due_at(agent) is None
    assert observe(agent, FellDue(), later(1)) is agent
