"""Signs that an agent restarted."""

from __future__ import annotations

import pytest

from gitsync.fleet.agent import Agent, CommandState
from gitsync.fleet.observe import Observed, Recalled, Reconnected, observe
from gitsync.fleet.restart import RestartOverdue, RestartRequested, RestartSent
from gitsync.opamp.messages import ComponentHealth, Described, HealthReported, SequenceBroken
from tests.support.builders import SUPERVISOR, an_agent, later


def health(*, healthy: bool = True, start: int = 1_000_000, part: int = 5) -> HealthReported:
    components = {"pipeline:traces": ComponentHealth(healthy, start_time_unix_nano=part)}
    return HealthReported(ComponentHealth(healthy, start_time_unix_nano=start, components=components))


def told(*events: Observed, agent: Agent | None = None) -> Agent:
    """A healthy agent after these events, a second apart."""
    agent = agent or observe(an_agent(capabilities=int(SUPERVISOR)), health(), later(0))
    for number, event in enumerate(events):
        agent = observe(agent, event, later(number + 1))
    return agent


def state(agent: Agent) -> CommandState | None:
    return agent.restart and agent.restart.state


SENT = (RestartRequested(), RestartSent())


def test_an_agent_without_a_command_has_no_result() -> None:
    assert told(SequenceBroken(9, 0), health(start=2_000_000)).restart is None


def test_a_command_is_requested_and_then_sent() -> None:
    requested = told(RestartRequested())
    assert state(requested) is CommandState.REQUESTED
    sent = told(RestartSent(), agent=requested)
    assert state(sent) is CommandState.SENT
    assert sent.restart is not None
    assert requested.restart is not None
    assert sent.restart.requested_at == requested.restart.requested_at


@pytest.mark.parametrize(
    ("events", "sign"),
    [
        ([SequenceBroken(9, 0)], "its sequence began again"),
        ([health(start=2_000_000)], "it has a new start time"),
        ([health(healthy=False, start=0), health(start=2_000_000)], "it has a new start time"),
        ([health(healthy=False, start=0, part=0), health(start=0, part=0)], "it was unhealthy and is healthy"),
        ([Reconnected(), Described({}, {})], "it came back with its full state"),
    ],
    ids=["sequence", "start", "start after a stop", "health", "connection"],
)
def test_signs_of_a_restart(events: list[Observed], sign: str) -> None:
    agent = told(*SENT, *events)
    assert agent.restart is not None
    assert (agent.restart.state, agent.restart.sign) == (CommandState.RESTARTED, sign)
    assert agent.restart.changed_at == later(2 + len(events))


@pytest.mark.parametrize(
    "events",
    [
        [health()],
        [health(healthy=False)],
        [SequenceBroken(9, 12)],
        [Described({}, {})],
        [Reconnected()],
        [Reconnected(), SequenceBroken(9, 12), Described({}, {})],
    ],
    ids=["the same", "unhealthy", "a gap", "a new description", "another connection", "a state that was asked for"],
)
def test_what_is_no_sign(events: list[Observed]) -> None:
    assert state(told(*SENT, *events)) is CommandState.SENT


def test_a_sign_before_the_command_was_sent_does_not_count() -> None:
    assert state(told(RestartRequested(), SequenceBroken(9, 0))) is CommandState.REQUESTED


def test_without_a_sign_in_time_there_is_none_and_a_later_one_is_not_looked_for() -> None:
    agent = told(*SENT, RestartOverdue())
    assert state(agent) is CommandState.NO_SIGN
    assert state(told(SequenceBroken(9, 0), agent=agent)) is CommandState.NO_SIGN


def test_a_result_stays_what_it_is() -> None:
    agent = told(*SENT, SequenceBroken(9, 0))
    assert told(RestartOverdue(), agent=agent) is agent


def test_a_command_that_was_not_sent_is_not_sent_by_the_next_process_of_the_server() -> None:
    agent = told(RestartRequested(), Recalled())
    assert agent.restart is not None
    assert (agent.restart.state, agent.restart.sign) == (
        CommandState.NO_SIGN,
        "the server restarted before the command was sent",
    )


def test_a_command_that_was_sent_still_shows_its_sign_to_the_next_process_of_the_server() -> None:
    assert state(told(*SENT, Recalled(), Described({}, {}))) is CommandState.SENT
    assert state(told(*SENT, Recalled(), SequenceBroken(9, 0))) is CommandState.RESTARTED


def test_a_new_command_replaces_the_result_of_the_last_one() -> None:
    assert state(told(*SENT, RestartOverdue(), RestartRequested())) is CommandState.REQUESTED
