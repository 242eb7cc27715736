"""`Offering`: what each agent should have now, decided and put on the wire.

Rules
- An agent is offered something only after its stored row was loaded: a failure that another process saw must not be
  repeated.
- An agent is decided about when it changed, or when what is desired changed; never because a heartbeat came.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from gitsync.bundle.version import Payload
from gitsync.control.connected import ConnectedAgent, shared_offer, stop_entry
from gitsync.control.connections import Connections
from gitsync.control.errands import Errands
from gitsync.control.facts import Facts
from gitsync.control.fewlines import FewLines
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock
from gitsync.control.published import Published
from gitsync.fleet.agent import STOP
from gitsync.fleet.assign import Assignment, Kind, assign
from gitsync.fleet.observe import RELAPSED, contradicts_itself, on_assignment, on_offer
from gitsync.fleet.progress import progress
from gitsync.ids import ConfigHash, show_digest, show_uid
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, STATEMENT_TYPE
from gitsync.opamp.offers import SharedOffer, build_remote_config, custom_message_tail
from gitsync.opamp.session import Step

log = logging.getLogger("gitsync.agents")

_STOPPING = build_remote_config((), STOP, stop=True)


class Offering:
    """Decides about agents by what is published.

    Attributes:
        published: what is in effect here.
        generation: rises with everything that is published.
    """

    def __init__(self, connections: Connections, facts: Facts, errands: Errands, meters: Meters, clock: Clock) -> None:
        self._connections = connections
        self._facts = facts
        self._errands = errands
        self._meters = meters
        self._clock = clock
        self.published = Published()
        self.generation = 0
        self._payloads: dict[ConfigHash, SharedOffer] = {}
        self._repeated = FewLines(log, clock.monotonic)
        self._published_at = 0.0
        self._published_when = clock.now()

    def set_published(self, published: Published) -> None:
        """Puts a new desired state in effect; nobody is decided about yet."""
        self.published = published
        self._connections.set_published(published)
        self._payloads = {
            digest: self._payloads.get(digest) or shared_offer(payload)
            for digest, payload in published.payloads.items()
        }
        self.generation += 1
        self._published_at = self._clock.monotonic()
        self._published_when = self._clock.now()

    def tell(self) -> None:
        """Says how many lines about repeated offers were left out; to be called from time to time."""
        self._repeated.tell()

    def take_payload(self, payload: Payload) -> None:
        """A payload that is not in use any more; it can be offered until the next publication."""
        self._payloads[payload.digest] = shared_offer(payload)

    # ── Decisions ───────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, one: ConnectedAgent, step: Step) -> Sequence[bytes]:
        """The reply to a message, with an offer in the same message when there is one to make."""
        if not one.connected:
            return (step.reply,)
        if step.deadline is not None:
            self._errands.open_later(one.agent.uid, step.deadline)
        if step.alone:
            one.generation = -1  # decided about with its next message
            return (step.reply,)
        offer = self._decide(one)
        if not offer and one.transport == "http":
            offer = self._connections.offer(one)
        return (step.reply, *offer) if offer else (step.reply,)

    def push(self, one: ConnectedAgent) -> None:
        """Decides about an agent outside of any message, and writes what comes of it."""
        link = one.link
        if one.transport == "http" or link is None or not link.is_open:
            # What is desired is computed when it speaks again; until then only the view is kept true.
            one.generation = -1
            if one.backlog is None:
                one.assignment = assign(one.agent, self.published.desired)
                state = progress(one.agent, one.assignment)
                if state is not one.state:
                    one.state = state
                    self._facts.note(one)
            return
        tail = self._decide(one)
        if tail:
            link.send((one.session.head, *tail), is_config=True)

    def _decide(self, one: ConnectedAgent) -> tuple[bytes, ...]:
        """Decides about one agent; the tail of an offer to append to a reply, or nothing."""
        assignment = assign(one.agent, self.published.desired)
        # Of an agent that was here before the publication, the first decision after it: what the push took.
        is_push = one.decided != self.generation and one.connected_at < self._published_when
        one.decided = self.generation
        one.assignment = assignment
        one.generation = self.generation
        agent, state = one.agent, one.state
        if one.backlog is None:
            at = self._clock.now()
            if one.agent.connection is not None:
                self._connections.heard(one)
            if assignment.target is not None:
                flag = assignment.flag or (one.agent.flag if one.agent.flag == RELAPSED else None)
                if flag is None and one.agent.connection is not None:
                    flag = one.agent.connection.flag
                one.agent = on_assignment(one.agent, assignment.target, assignment.wanted, flag)
            tail = self._offer(one, assignment, at) if assignment.kind in (Kind.OFFER, Kind.STOP) else ()
            if tail and is_push:
                self._meters.push_seconds.observe(self._clock.monotonic() - self._published_at)
        else:
            tail = ()
        one.state = progress(one.agent, assignment)
        if not tail and one.transport != "http":
            self._connections.consider(one)
        self._errands.judge(one)
        if one.agent is not agent or one.state is not state:
            self._facts.note(one)
        return tail

    def _offer(self, one: ConnectedAgent, assignment: Assignment, at: datetime) -> tuple[bytes, ...]:
        digest = assignment.digest
        if digest is None or not one.session.offers_open or not one.connected:
            return ()
        shared = _STOPPING if assignment.kind is Kind.STOP else self._payloads.get(digest)
        if shared is None:
            self._errands.fetch_payload(digest, one.agent.uid)
            return ()
        tail: tuple[bytes, ...] = (shared.tail,)
        if assignment.kind is Kind.STOP:
            log.warning("agent %s refuses everything: it is stopped once to free it", show_uid(one.agent.uid))
            self._errands.audit(stop_entry(one, at))
        elif ATTESTATION_CAPABILITY in one.session.custom_capabilities:
            envelope = None
            if assignment.target is not None:
                envelope = self.published.statements.get((assignment.target, digest))
            if envelope is None:
                return ()  # an agent that verifies is never given what it could not verify
            tail = (*tail, custom_message_tail(ATTESTATION_CAPABILITY, STATEMENT_TYPE, envelope.as_json()))
        source = assignment.target.source if assignment.target is not None else None
        revision = self.published.revision(source) if source is not None else 0
        if contradicts_itself(one.agent, digest):
            says = f"agent {show_uid(one.agent.uid)} says that it applied {show_digest(digest)}"
            text = f"{says}, and reports to run something else: it is offered once more"
            self._repeated.note("agent.not-in-effect", one.remote_addr, text)
        one.agent = on_offer(one.agent, digest, revision, at)
        self._meters.config_updates["offered"] += 1
        return tail
