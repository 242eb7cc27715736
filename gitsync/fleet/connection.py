"""Who is offered which connection settings, and what became of it. Pure.

Rules (in `due`, first hit wins)
1. An agent that was told where to connect, and did not come back yet, is offered nothing.
2. What it was never offered, or what has changed since, is offered; own telemetry travels as one.
3. Nothing is offered twice: each repetition makes real clients reconnect. The one exception: an agent that reports what
   became of settings, and reports others than it was offered, gets them once again.
4. What failed, or what it did not come back from, is not offered to it again until that section changes.

An OpAMP section is done only when the agent is back on a new connection: APPLIED is said before that is tried.
Such offers go to one agent of a target first, then to as many at a time as are back, and to nobody once one failed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gitsync.opamp.connection import OPAMP, Offerable
from gitsync.opamp.messages import ComponentHealth, ConfigStatus, ConnectionStatusReported


class OfferState(enum.StrEnum):
    """How far one section of an offer came on one agent."""

    OFFERED = "offered"
    REPORTED = "reported"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"

    @property
    def is_open(self) -> bool:
        """Whether more may become of it."""
        return self in (OfferState.OFFERED, OfferState.REPORTED)


@dataclass(frozen=True, slots=True)
class SectionOffer:
    """The last offer of one section to one agent."""

    digest: bytes
    state: OfferState


@dataclass(frozen=True, slots=True)
class AgentConnection:
    """What one agent was offered to connect to, and what became of it.

    Attributes:
        hash: of the newest offer.
        sections: the last offer of each section.
        offered_at: of the newest offer.
        changed_at: of the newest change of a state.
        epoch: the agent's connection when an OpAMP section was offered, later when it was done; connections only rise.
        promised_seconds: the heartbeat that the newest OpAMP section asks for; 0 without one.
        heartbeat_seconds: in force by an OpAMP section; 0: the default.
        reports_other: the agent said that it has other settings than the newest offer's.
        repeated: the newest offer was made once again because of that.
        doubts_health: the agent was made to reconnect, and has not said anything real about its health since.
        error: the agent's words about a failure; "" without one.
    """

    hash: bytes
    sections: Mapping[str, SectionOffer]
    offered_at: datetime
    changed_at: datetime
    epoch: int = 0
    promised_seconds: int = 0
    heartbeat_seconds: int = 0
    reports_other: bool = False
    repeated: bool = False
    doubts_health: bool = False
    error: str = ""

    @property
    def state(self) -> OfferState:
        """The section that people should know of first decides."""
        found = {one.state for one in self.sections.values()}
        return next(one for one in _WORST_FIRST if one in found or one is OfferState.DONE)

    @property
    def awaits_return(self) -> bool:
        """Whether the agent was told where to connect and did not come back yet."""
        found = self.sections.get(OPAMP)
        return found is not None and found.state.is_open

    @property
    def flag(self) -> str | None:
        """What people should look at."""
        return f"connection-{self.state}" if self.state in (OfferState.FAILED, OfferState.LOST) else None


_WORST_FIRST = (OfferState.LOST, OfferState.FAILED, OfferState.OFFERED, OfferState.REPORTED, OfferState.DONE)


@dataclass(frozen=True, slots=True)
class Ramp:
    """Agents that were offered one OpAMP section by this process: still away, back, and failed or lost."""

    waiting: int = 0
    done: int = 0
    bad: int = 0

    @property
    def stopped(self) -> bool:
        """Whether nobody else is offered it."""
        return self.bad > 0

    @property
    def free(self) -> int:
        """How many more agents may be offered it now."""
        return 0 if self.stopped else max(max(self.done, 1) - self.waiting, 0)


def due(known: AgentConnection | None, offer: Offerable, *, reports_status: bool) -> tuple[str, ...]:
    """The names of the sections that the agent should be offered now; the rules stand on top."""
    if known is None:
        return tuple(offer.sections)
    if known.awaits_return:
        return ()
    changed = tuple(
        name
        for name, section in offer.sections.items()
        if (before := known.sections.get(name)) is None or before.digest != section.digest
    )
    if changed:
        return changed
    if not (reports_status and known.reports_other) or known.repeated:
        return ()
    bad = (OfferState.FAILED, OfferState.LOST)
    return tuple(name for name in offer.sections if known.sections[name].state not in bad)


def offered(
    known: AgentConnection | None, offer: Offerable, names: Iterable[str], *, epoch: int, at: datetime
) -> AgentConnection:
    """These sections were put on the wire for the agent."""
    names = tuple(names)
    made = {name: SectionOffer(offer.sections[name].digest, OfferState.OFFERED) for name in names}
    before = {} if known is None else known.sections
    repeats = known is not None and all(
        name in before and before[name].digest == one.digest for name, one in made.items()
    )
    moves = OPAMP in made
    return AgentConnection(
        hash=offer.hash,
        sections={**before, **made},
        offered_at=at,
        changed_at=at,
        epoch=epoch if moves or known is None else known.epoch,
        promised_seconds=offer.heartbeat_seconds if moves else 0,
        heartbeat_seconds=0 if known is None else known.heartbeat_seconds,
        repeated=repeats,
        doubts_health=moves or (known is not None and known.doubts_health),
    )


def reported(known: AgentConnection, event: ConnectionStatusReported, at: datetime) -> AgentConnection:
    """The agent said what became of settings; a status for others than the newest offer's is booked on nothing."""
    if event.settings_hash != known.hash:
        # One that says FAILED about something older still has to try the newest.
        return replace(known, reports_other=event.status is not ConfigStatus.FAILED)
    match event.status:
        case ConfigStatus.APPLIED:
            moved = _moved(known, {OfferState.OFFERED: OfferState.DONE}, at)
            return replace(moved, reports_other=False)
        case ConfigStatus.FAILED:
            bad = {OfferState.OFFERED: OfferState.FAILED, OfferState.REPORTED: OfferState.FAILED}
            moved = _moved(known, bad, at)
            return replace(moved, error=event.error, reports_other=False, doubts_health=False)
        case _:
            return replace(known, reports_other=False)


def _moved(known: AgentConnection, changes: Mapping[OfferState, OfferState], at: datetime) -> AgentConnection:
    """The sections with their states changed; of the OpAMP section, APPLIED is a claim only."""
    sections = {}
    for name, one in known.sections.items():
        state = changes.get(one.state, one.state)
        if name == OPAMP and state is OfferState.DONE and one.state is OfferState.OFFERED:
            state = OfferState.REPORTED
        sections[name] = one if state is one.state else replace(one, state=state)
    return known if sections == known.sections else replace(known, sections=sections, changed_at=at)


def is_back(known: AgentConnection, *, epoch: int, has_started_over: bool, polled: bool) -> bool:
    """Whether what is seen proves that the agent connects as it was told.

    A new WebSocket alone may be the old settings after a broken line: the client that took settings is a new one, whose
    sequence starts over. Polls come on any connection, so there the sequence is all; or a poll after the agent said
    APPLIED, which the caller asks about with the next message only.

    Args:
        epoch: of the connection that the message came on.
        has_started_over: its sequence began anew after the offer.
        polled: it came by plain HTTP.
    """
    if not known.awaits_return:
        return False
    if polled:
        return has_started_over or known.sections[OPAMP].state is OfferState.REPORTED
    return has_started_over and epoch > known.epoch


def back(known: AgentConnection, *, epoch: int, at: datetime) -> AgentConnection:
    """The agent came back as it was told: from now on the heartbeat that it was told is in force."""
    sections = {**known.sections, OPAMP: replace(known.sections[OPAMP], state=OfferState.DONE)}
    return replace(
        known, sections=sections, changed_at=at, epoch=epoch, heartbeat_seconds=known.promised_seconds, error=""
    )


def lost(known: AgentConnection, at: datetime) -> AgentConnection:
    """The agent did not come back in time."""
    sections = {**known.sections, OPAMP: replace(known.sections[OPAMP], state=OfferState.LOST)}
    return replace(known, sections=sections, changed_at=at, error="it did not come back on a new connection")


def restarted(known: AgentConnection, *, epoch: int) -> AgentConnection:
    """The agent's process started again by itself: agents keep offered heartbeats only while they run."""
    return replace(known, epoch=max(known.epoch, epoch), heartbeat_seconds=0, doubts_health=False)


def is_doubtful(known: AgentConnection | None, health: ComponentHealth) -> bool:
    """Whether a report of health is only what a supervisor says after it was made to reconnect.

    It says "not healthy" and nothing else, and repeats that until the Collector changes, though the Collector runs on.
    """
    return known is not None and known.doubts_health and health == _BARE


_BARE = ComponentHealth(healthy=False)
