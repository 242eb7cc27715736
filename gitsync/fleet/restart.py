"""Whether an agent did what a restart command told it. OpAMP has no result of a command, so it is read from signs.

Signs, after the command was sent: its sequence begins again; it, or one of its components, has a new start time; it was
unhealthy and is healthy; it opens a new connection with its full state. Without any of them in time: no sign.
A command is sent once. What was not sent when the server stopped is not sent by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gitsync.fleet.agent import Agent, CommandState, Restart
from gitsync.opamp import messages
from gitsync.opamp.messages import ComponentHealth

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """Somebody wants the agent to restart."""


@dataclass(frozen=True, slots=True)
class RestartSent:
    """The command was put on the wire."""


@dataclass(frozen=True, slots=True)
class RestartOverdue:
    """The deadline for a sign has passed."""


RestartEvent = RestartRequested | RestartSent | RestartOverdue


def on_command(agent: Agent, event: RestartEvent, at: datetime) -> Agent:
    """The agent after what the server did."""
    restart = agent.restart
    match event:
        case RestartRequested():
            return replace(agent, restart=Restart(CommandState.REQUESTED, at, at))
        case RestartSent():
            return _moved(agent, CommandState.SENT, at)
        case RestartOverdue():
            if restart is None or not restart.state.is_open:
                return agent
            was_sent = restart.state is CommandState.SENT
            return _moved(agent, CommandState.NO_SIGN, at, "" if was_sent else "it did not ask in time")


def forget_request(agent: Agent, at: datetime) -> Agent:
    """The agent as another process of the server finds it: a command that was not sent is not sent any more."""
    if agent.restart is None or agent.restart.state is not CommandState.REQUESTED:
        return agent
    return _moved(agent, CommandState.NO_SIGN, at, "the server restarted before the command was sent")


def look_for_sign(agent: Agent, event: object, connected_anew: bool, at: datetime) -> Agent:
    """The agent after an event that may show that it restarted.

    Args:
        agent: as it was before the event.
        event: anything that became known.
        connected_anew: the event is a new connection.
        at: when.
    """
    restart = agent.restart
    if restart is None or restart.state is not CommandState.SENT:
        return agent
    if connected_anew:
        return replace(agent, restart=replace(restart, reconnected=True))
    match event:
        case messages.SequenceBroken(previous, number) if number < previous:
            return _moved(agent, CommandState.RESTARTED, at, "its sequence began again")
        case messages.SequenceBroken():
            # Something was lost: a full state that follows was asked for.
            return replace(agent, restart=replace(restart, reconnected=False))
        case messages.Described() if restart.reconnected:
            return _moved(agent, CommandState.RESTARTED, at, "it came back with its full state")
        case messages.HealthReported(health):
            sign = _sign_of(agent, health)
            return _moved(agent, CommandState.RESTARTED, at, sign) if sign else agent
        case _:
            return agent


def _sign_of(agent: Agent, health: ComponentHealth) -> str:
    before = agent.health
    started = health.start_time_unix_nano
    known = agent.started_at
    if started and known is not None and _EPOCH + timedelta(microseconds=started // 1000) != known:
        return "it has a new start time"
    if before is None:
        return ""
    if health.healthy and not before.healthy:
        return "it was unhealthy and is healthy"
    return "a component has a new start time" if _has_new_start(before.components, health.components) else ""


def _has_new_start(before: Mapping[str, ComponentHealth], now: Mapping[str, ComponentHealth]) -> bool:
    for name, one in before.items():
        new = now.get(name)
        if new is None:
            continue
        times = (one.start_time_unix_nano, new.start_time_unix_nano)
        if (all(times) and times[0] != times[1]) or _has_new_start(one.components, new.components):
            return True
    return False


def _moved(agent: Agent, state: CommandState, at: datetime, sign: str = "") -> Agent:
    restart = agent.restart
    requested = at if restart is None else restart.requested_at
    return replace(agent, restart=Restart(state, requested, at, sign))
