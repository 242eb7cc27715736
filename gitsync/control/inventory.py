"""`Inventory`: which components the builds of agents contain; asked for once per build, and stored once.

Rules
- A hash that nobody here knows is looked up in the store first: another process may have asked.
- Then one agent with that build is asked, and another one when it leaves or does not answer in time.
- An agent that was asked and did not answer is not asked again while it stays; one build is asked for only so often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from gitsync.control.connected import ConnectedAgent, components_body
from gitsync.control.errands import Errands
from gitsync.control.facts import Facts
from gitsync.control.ports import Clock
from gitsync.opamp.messages import ComponentsReported

COMPONENTS = "components"
COMPONENTS_LIMIT = 10_000
BUILDS_ASKED = 1_000
"""Unknown builds that are asked for at a time; agents can invent them."""
ANSWER_SECONDS = 30.0
WAITING = 16
"""Agents that are remembered to be asked next; when they are used up, the whole fleet is looked through."""
TRIES = 16
"""How often a build is asked for."""


@dataclass(slots=True)
class Question:
    """A build whose components are not known.

    Attributes:
        asked: who is to answer now; None: nobody, yet or any more.
        until: monotonic seconds; then another one is asked.
        waiting: who could be asked next.
        silent: who was asked and did not answer.
    """

    asked: ConnectedAgent | None = None
    until: float = 0.0
    tries: int = 0
    waiting: list[ConnectedAgent] = field(default_factory=list)
    silent: set[ConnectedAgent] = field(default_factory=set)
    looked_up: bool = False


def stored_key(components_hash: bytes) -> bytes:
    """Under which the components of a build are stored; agents choose the hash, so it must not name anything else."""
    return hashlib.sha256(b"gitsync.components.v1\0" + components_hash).digest()


class Inventory:
    """The hashes whose components are known, and the questions that are open."""

    def __init__(self, facts: Facts, errands: Errands, clock: Clock) -> None:
        """Nothing is known yet."""
        self._facts = facts
        self._errands = errands
        self._clock = clock
        self._known: set[bytes] = set()
        self._questions: dict[bytes, Question] = {}

    def take(self, one: ConnectedAgent, event: ComponentsReported) -> None:
        """What an agent says of its build: the components, or only their hash."""
        if event.components is not None:
            self._learn(event.hash)
            self._facts.keep(stored_key(event.hash), COMPONENTS, components_body(event.components))
            return
        if event.hash in self._known or not event.hash:
            return
        question = self._questions.get(event.hash)
        if question is None:
            if len(self._questions) >= BUILDS_ASKED and not self._give_up_one():
                return
            question = self._questions[event.hash] = Question()
            self._errands.look_up(event.hash, stored_key(event.hash))
        if one not in question.silent and one is not question.asked and len(question.waiting) < WAITING:
            question.waiting.append(one)
        if question.looked_up and question.asked is None:
            self._ask_next(question)

    def looked_up(self, components_hash: bytes, *, found: bool) -> None:
        """The store was asked."""
        question = self._questions.get(components_hash)
        if question is None:
            return
        if found:
            self._learn(components_hash)
            return
        question.looked_up = True
        self._ask_next(question)

    def arrived(self, one: ConnectedAgent) -> None:
        """Nothing happens: its components are what they were."""

    def left(self, one: ConnectedAgent) -> None:
        """Whoever was asked and has left does not answer."""
        question = self._questions.get(one.agent.components or b"")
        if question is None:
            return
        question.silent.discard(one)
        if question.asked is one:
            one.session.withdraw_components()
            self._ask_next(question)

    def check(self, everybody: Iterable[ConnectedAgent]) -> None:
        """Asks others where nobody answered."""
        now = self._clock.monotonic()
        due = {key: one for key, one in self._questions.items() if one.looked_up and now >= one.until}
        if not due:
            return
        for one in everybody:
            question = due.get(one.agent.components or b"")
            if question is not None and one.connected and len(question.waiting) < WAITING:
                question.waiting.append(one)
        for key, question in due.items():
            if question.asked is not None:
                question.asked.session.withdraw_components()
                question.silent.add(question.asked)
            self._ask_next(question)
            if question.asked is None and question.tries == 0:
                del self._questions[key]  # everybody with this build is gone

    def _give_up_one(self) -> bool:
        """Makes room: the oldest question that nobody answered is not asked any more."""
        given_up = next((key for key, one in self._questions.items() if one.looked_up and one.asked is None), None)
        if given_up is None:
            return False
        del self._questions[given_up]
        return True

    def _ask_next(self, question: Question) -> None:
        question.asked = None
        question.until = self._clock.monotonic() + ANSWER_SECONDS
        while question.waiting:
            one = question.waiting.pop(0)
            if not one.connected or one in question.silent:
                continue
            if question.tries >= TRIES:
                question.waiting.clear()
                return
            question.tries += 1
            question.asked = one
            one.session.request_components()
            if one.transport == "http":
                question.until += one.session.heartbeat_seconds  # it hears of it with its next poll
            self._errands.ask(one.agent.uid)
            return

    def _learn(self, components_hash: bytes) -> None:
        question = self._questions.pop(components_hash, None)
        if question is not None and question.asked is not None:
            question.asked.session.withdraw_components()
        if len(self._known) >= COMPONENTS_LIMIT:
            self._known.clear()
        self._known.add(components_hash)
