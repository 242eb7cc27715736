"""`Commands`: restart commands to agents, and what became of them.

Rules
- A command travels alone (ServerToAgent.command): on a WebSocket at once, for a poll in place of that poll's answer.
- It is sent once. What became of it is inferred (`fleet.restart`), because OpAMP has no result.
- While one is under way, a second request for the same agent is the same command.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gitsync.control.connected import ConnectedAgent
from gitsync.control.ports import Clock
from gitsync.errors import Conflict
from gitsync.fleet.agent import CommandState, Restart
from gitsync.fleet.observe import Observed
from gitsync.fleet.restart import RestartOverdue, RestartRequested, RestartSent
from gitsync.ids import AgentUid
from gitsync.opamp.messages import Capability
from gitsync.opamp.session import Step

See = Callable[[ConnectedAgent, Observed, datetime], None]
Note = Callable[[ConnectedAgent], None]


class Commands:
    """The commands that are under way."""

    def __init__(self, see: See, note: Note, clock: Clock, patience: timedelta) -> None:
        """Nothing is under way.

        Args:
            see: folds what became known into an agent.
            note: hands an agent's newest facts to the journal.
            clock: the time.
            patience: after which there is no sign.
        """
        self._see = see
        self._note = note
        self._clock = clock
        self._patience = patience
        self._open: dict[AgentUid, ConnectedAgent] = {}

    def obstacle(self, one: ConnectedAgent | None) -> Conflict | None:
        """Why the agent cannot be told to restart: `agent.not-connected` or `agent.capability`; None: it can."""
        if one is None or not _can_be_told(one):
            return Conflict("the agent is not connected", code="agent.not-connected", hint="try again when it is")
        if not one.session.capabilities & Capability.ACCEPTS_RESTART_COMMAND:
            return Conflict(
                "the agent does not declare AcceptsRestartCommand",
                code="agent.capability",
                hint="of a supervisor: set accepts_restart_command: true in the capabilities of its file",
            )
        return None

    def restart(self, one: ConnectedAgent | None) -> Restart:
        """Tells the agent to restart.

        Raises:
            Conflict: see `obstacle`.
        """
        obstacle = self.obstacle(one)
        if obstacle is not None or one is None:
            raise obstacle or AssertionError
        under_way = one.agent.restart
        if under_way is not None and under_way.state.is_open:
            return under_way
        self._see(one, RestartRequested(), self._clock.now())
        self.follow(one)
        if one.transport == "http":
            one.generation = -1  # its next poll takes the long way
        elif one.link is not None:
            one.link.send((self._send(one),))
        self._note(one)
        restart = one.agent.restart
        assert restart is not None
        return restart

    def follow(self, one: ConnectedAgent) -> None:
        """Keeps the deadline of what is under way; nothing happens for others."""
        if one.agent.restart is not None and one.agent.restart.state.is_open:
            self._open[one.agent.uid] = one

    def is_waiting(self, one: ConnectedAgent) -> bool:
        """Whether a command waits for the agent's next poll."""
        restart = one.agent.restart
        return restart is not None and restart.state is CommandState.REQUESTED and one.agent.uid in self._open

    def take(self, one: ConnectedAgent, step: Step) -> bytes | None:
        """The command that goes out instead of the answer to a poll.

        None when there is none, and when that answer says something itself: then the next one is replaced.
        """
        if not self.is_waiting(one) or not one.connected or step.reply != one.session.head:
            return None
        if not one.session.capabilities & Capability.ACCEPTS_RESTART_COMMAND:
            return None
        command = self._send(one)
        self._note(one)
        return command

    def _send(self, one: ConnectedAgent) -> bytes:
        self._see(one, RestartSent(), self._clock.now())
        return one.session.restart(self._clock.monotonic()).reply

    def check(self, at: datetime) -> None:
        """Gives up on what has shown no sign in time."""
        for uid, one in list(self._open.items()):
            restart = one.agent.restart
            if restart is None or not restart.state.is_open or one.agent.uid != uid:
                del self._open[uid]
                self.follow(one)
            elif at - restart.changed_at > self._patience:
                del self._open[uid]
                self._see(one, RestartOverdue(), at)
                self._note(one)


def _can_be_told(one: ConnectedAgent) -> bool:
    """Whether something can be sent to it, now or with its next poll; not while its socket closes."""
    return one.connected and (one.transport == "http" or (one.link is not None and one.link.is_open))
