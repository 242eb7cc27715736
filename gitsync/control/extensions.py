"""Extensions: custom capabilities of OpAMP that somebody else's code serves (CustomCapabilities, CustomMessage).

Rules
- The server lists the capabilities of its extensions in the first answer to each agent; an extension speaks only with
  agents that list its capability.
- A message of a capability that nobody serves, or of a type that the extension does not know, is counted and ignored.
- An extension is called on the path of a message, so it answers at once and briefly. What it raises is logged and
  disturbs nobody; of what it answers only so much is taken.
- What an extension says by itself is limited for each agent, and what waits is limited for all of them.
- One custom message travels in one message of ours. In the answer the first one rides along, unless a statement has
  the place; the others follow, to a polling agent with its next polls.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Protocol

from gitsync.control.connected import ConnectedAgent
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock
from gitsync.errors import SettingsError
from gitsync.fleet.agent import Agent
from gitsync.ids import AgentUid
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, CustomMessageReceived
from gitsync.opamp.offers import custom_message_tail

log = logging.getLogger("gitsync.extensions")

ANSWERS = 8
"""Messages that an extension may answer to one message."""
WAITING = 16
"""Messages that wait for one agent."""
WAITING_AGENTS = 10_000
"""Agents for which messages wait."""
WAITING_BYTES = 64 << 20
"""What waits for all agents together."""
MESSAGE_BYTES = 1 << 20
"""Largest data of one message."""
MESSAGES_A_SECOND, BYTES_A_SECOND = 20, 1 << 20
"""What an extension may say to one agent for ever, when no agent has spoken; either uses up the other."""
BURST_SECONDS = 10.0
"""How much of that may be said at once."""
NAME_CHARS = 256
TROUBLE_SECONDS = 10.0
"""How often the traceback of one extension is logged."""
_CUSTOM_MESSAGE = b"\x5a"
"""How a part with a custom message begins: the tag of ServerToAgent.custom_message."""


class Sender(Protocol):
    """Handed to an extension at start: how it speaks when no agent has. Only to be used on the server's event loop."""

    def send(self, uid: AgentUid, type: str, data: bytes) -> bool:  # noqa: A002  # the field's name
        """Sends a message, or lets it wait for the agent's next poll.

        Returns:
            False: the agent is not connected here, does not list the capability, or too much was said to it already.

        Raises:
            ValueError: the type or the data is too long.
        """

    def agents(self) -> Sequence[Agent]:
        """The agents that are connected here and list the capability."""


class Extension(Protocol):
    """What serves one custom capability.

    It may also have `started(sender: Sender)`, `connected(agent: Agent)` and `gone(agent: Agent)`, each without a
    result: called once when the server starts, when an agent that lists the capability comes, and when it goes.
    """

    @property
    def capability(self) -> str:
        """Its name: reverse domain, then what it is, with a version (`com.example.greeting.v1`)."""

    def received(self, agent: Agent, type: str, data: bytes) -> Iterable[tuple[str, bytes]] | None:  # noqa: A002
        """An agent said something.

        Args:
            agent: who, and everything that is known of it.
            type: of the message, within the capability.
            data: as it came; not to be trusted.

        Returns:
            Type and data of each message to answer with, maybe none; None: the type is not known.
        """


class _Served:
    """One extension, and the agents that list its capability. The driver of `Sender`."""

    def __init__(self, extension: Extension, owner: Extensions) -> None:
        self.extension = extension
        self.capability = extension.capability
        self.peers: set[ConnectedAgent] = set()
        self.silent_until = 0.0
        self._owner = owner

    def send(self, uid: AgentUid, type: str, data: bytes) -> bool:  # noqa: A002  # the field's name
        """See `Sender`."""
        return self._owner.send(self, uid, type, data)

    def agents(self) -> Sequence[Agent]:
        """See `Sender`."""
        return [one.agent for one in self.peers]


class Extensions:
    """All extensions of one server (a `Watcher` of `Presence`)."""

    def __init__(self, extensions: Iterable[Extension], meters: Meters, clock: Clock) -> None:
        """Registers them; `start` hands them their senders.

        Raises:
            SettingsError: `extension.capability`: a name is empty, too long, taken, or our own.
        """
        self._meters = meters
        self._clock = clock
        self._served: dict[str, _Served] = {}
        self._waiting: dict[ConnectedAgent, deque[tuple[str, bytes]]] = {}
        self._waiting_bytes = 0
        self._paid_until: dict[ConnectedAgent, float] = {}
        self._speaking: ConnectedAgent | None = None
        self._find: Callable[[AgentUid], ConnectedAgent | None] = lambda _: None
        for one in extensions:
            name = one.capability
            if not name or len(name) > NAME_CHARS or name in self._served or name == ATTESTATION_CAPABILITY:
                raise SettingsError(
                    f"an extension cannot serve the capability {name[:NAME_CHARS]!r}",
                    code="extension.capability",
                    hint="each capability has a name of its own, of at most 256 characters",
                )
            self._served[name] = _Served(one, self)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the server lists on their behalf."""
        return tuple(self._served)

    def start(self, find: Callable[[AgentUid], ConnectedAgent | None]) -> None:
        """Logs what is served, and hands each extension its sender.

        Args:
            find: the live agent of a uid.
        """
        self._find = find
        if self._served:
            log.info("extensions serve %s", ", ".join(self._served))
        for one in self._served.values():
            self._tell(one, "started", one)

    # ── Agents that come and go ─────────────────────────────────────────────────────────────────────────────

    def arrived(self, one: ConnectedAgent) -> None:
        """The agent is on a new connection, or lists other capabilities."""
        if not self._served:
            return
        listed = one.session.custom_capabilities
        for served in self._served.values():
            if served.capability in listed and one not in served.peers:
                served.peers.add(one)
                # The message that brought it here is not answered yet: what is said to it now follows the answer.
                self._speaking = one
                self._tell(served, "connected", one.agent)
                self._speaking = None
            elif served.capability not in listed and one in served.peers:
                self._part(served, one)

    def left(self, one: ConnectedAgent) -> None:
        """The agent is on no link any more."""
        self._paid_until.pop(one, None)
        self._take_out(one)
        for served in self._served.values():
            if one in served.peers:
                self._part(served, one)

    def _part(self, served: _Served, one: ConnectedAgent) -> None:
        served.peers.discard(one)
        waiting = self._take_out(one)
        for capability, tail in waiting:
            if capability != served.capability:
                self._wait(one, capability, tail)
        self._tell(served, "gone", one.agent)

    # ── Messages ────────────────────────────────────────────────────────────────────────────────────────────

    def received(self, one: ConnectedAgent, event: CustomMessageReceived) -> None:
        """A message of an agent; what is answered waits for `attach`."""
        served = self._served.get(event.capability)
        if served is None or served.capability not in one.session.custom_capabilities:
            self._meters.custom_messages["", "ignored"] += 1
            return
        self._speaking = one
        try:
            answers = served.extension.received(one.agent, event.type, event.data)
            taken = None if answers is None else list(islice(answers, ANSWERS))
            for kind, data in taken or ():
                self._wait(one, served.capability, self._tail(served, kind, data))
        except Exception as error:  # noqa: BLE001 - somebody else's code must not disturb an agent
            self._trouble(served, "received", error)
            return
        finally:
            self._speaking = None
        self._meters.custom_messages[served.capability, "ignored" if taken is None else "received"] += 1

    def send(self, served: _Served, uid: AgentUid, type: str, data: bytes) -> bool:  # noqa: A002  # the field's name
        """See `Sender.send`."""
        tail = self._tail(served, type, data)
        one = self._find(uid)
        if one is None or not one.connected or served.capability not in one.session.custom_capabilities:
            return False
        now = self._clock.monotonic()
        price = max(1 / MESSAGES_A_SECOND, len(tail) / BYTES_A_SECOND)
        paid = max(self._paid_until.get(one, now), now) + price
        if paid - now > BURST_SECONDS:
            return False
        if one is not self._speaking and one.link is not None and one.link.is_open and one not in self._waiting:
            one.link.send((one.session.head, tail))
            self._meters.custom_messages[served.capability, "sent"] += 1
        elif not self._wait(one, served.capability, tail):
            return False
        else:
            one.generation = -1  # its next message takes the long way
        self._paid_until[one] = paid
        return True

    def is_waiting(self, one: ConnectedAgent) -> bool:
        """Whether messages wait for the agent."""
        return bool(self._waiting) and one in self._waiting

    def attach(self, one: ConnectedAgent, parts: Sequence[bytes]) -> Sequence[bytes]:
        """The answer to a message with what waits for the agent.

        Returns:
            What is to be written as the answer; empty when everything was written here, because there was more of it.
        """
        waiting = self._waiting.get(one)
        if waiting is None:
            return parts
        if not any(part.startswith(_CUSTOM_MESSAGE) for part in parts):
            parts = (*parts, self._pop(waiting))
        if waiting and one.link is not None and one.link.is_open:
            link, head = one.link, one.session.head
            link.send(parts)
            while waiting:
                link.send((head, self._pop(waiting)))
            parts = ()
        if not waiting:
            self._waiting.pop(one, None)
        return parts

    def _pop(self, waiting: deque[tuple[str, bytes]]) -> bytes:
        capability, tail = waiting.popleft()
        self._waiting_bytes -= len(tail)
        self._meters.custom_messages[capability, "sent"] += 1
        return tail

    def _wait(self, one: ConnectedAgent, capability: str, tail: bytes) -> bool:
        waiting = self._waiting.get(one)
        if self._waiting_bytes + len(tail) > WAITING_BYTES:
            return False
        if waiting is None:
            if len(self._waiting) >= WAITING_AGENTS:
                return False
            waiting = self._waiting[one] = deque()
        if len(waiting) >= WAITING:
            return False
        waiting.append((capability, tail))
        self._waiting_bytes += len(tail)
        return True

    def _take_out(self, one: ConnectedAgent) -> Sequence[tuple[str, bytes]]:
        """What waits for the agent, which waits no longer."""
        waiting = self._waiting.pop(one, ())
        self._waiting_bytes -= sum(len(tail) for _, tail in waiting)
        return tuple(waiting)

    def _tail(self, served: _Served, type: str, data: bytes) -> bytes:  # noqa: A002  # the field's name
        if len(type) > NAME_CHARS or len(data) > MESSAGE_BYTES:
            raise ValueError(f"a custom message has at most {NAME_CHARS} characters of type and {MESSAGE_BYTES} bytes")
        return custom_message_tail(served.capability, type, data)

    # ── Somebody else's code ────────────────────────────────────────────────────────────────────────────────

    def _tell(self, served: _Served, what: str, value: object) -> None:
        """Calls what an extension may have."""
        method = getattr(served.extension, what, None)
        if method is None:
            return
        try:
            method(value)
        except Exception as error:  # noqa: BLE001 - somebody else's code must not disturb an agent
            self._trouble(served, what, error)

    def _trouble(self, served: _Served, what: str, error: Exception) -> None:
        self._meters.custom_messages[served.capability, "failed"] += 1
        now = self._clock.monotonic()
        if now >= served.silent_until:
            served.silent_until = now + TROUBLE_SECONDS
            log.error("the extension for %s failed in %s", served.capability, what, exc_info=error)
