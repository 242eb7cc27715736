"""`Session`: the server's protocol state of one agent, without I/O.

Rules (OpAMP; numbers and reasons in the specification's chapters named here)
- Every message is answered, and every answer carries the agent's instance uid (ServerToAgent Message).
- The first answer on a link carries the server's capabilities; later ones need not.
- The full state is asked for when a message is not the next in its sequence, or the agent is not known, and
  the message lacks something that its capabilities promise (Agent Status Compression). One request at a time,
  until a fuller message comes; what a full state did not hold is not missed again.
- A repeated message is answered again with the same flags, and processed once (Retrying Messages).
- Offers open after the second message; 2 s after the first one on WebSocket; at once when a known session
  goes on in its sequence. Never in the answer to the first message of a new agent process: real supervisors
  that are still starting report such a configuration as applied and do not run it.
- A sequence number that goes back is a new process of the same agent. One that stays where it is, poll after poll, is
  no number: such an agent does not count, and is offered things like any other.
- A command travels alone; a new instance uid is told once, and again only when the agent asks again.
- A request for a certificate is refused, in an answer with nothing else in it; what else the message said counts.

A session outlives its link. It is one object per agent, tens of thousands in a process: no timers, no
generated objects, no history. `now` is a monotonic clock in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, show_uid
from gitsync.opamp.messages import (
    CapabilitiesChanged,
    Capability,
    CustomCapabilitiesReported,
    Disconnected,
    ErrorType,
    Event,
    NumberRepeated,
    OffersOpened,
    Renamed,
    SequenceBroken,
    UidRequested,
)
from gitsync.opamp.offers import SharedOffer, head, identification_tail
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.reports import read_config_status, read_reports
from gitsync.opamp.wire import UID_BYTES, error_reply

OPENING_SECONDS = 2.0
"""How long after the first message of a WebSocket link offers open by themselves."""
STANDING_POLLS = 4
"""Polls in a row with one number after which the agent does not count."""
REPEATED_QUESTIONS = 2
"""How often a question is repeated to an agent that repeats its description."""
NO_CERTIFICATES = "this server does not issue certificates yet"
"""What an agent is told that asks for one."""
DEFAULT_HEARTBEAT_SECONDS = 30
"""Interval of heartbeats and polls unless the server offered another one."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one input did.

    Attributes:
        reply: a serialised ServerToAgent without frame header, or empty: nothing to send. Tails of `offers`
            may be appended to make one message (`reply + shared.tail`): so a poll is offered something.
        events: in the order in which they happened.
        deadline: when `Session.tick` wants to be called; None: not at all.
        alone: nothing may be appended to the reply: it refuses what the message asked for.
    """

    reply: bytes
    events: tuple[Event, ...] = ()
    deadline: float | None = None
    alone: bool = False


# Plain numbers: arithmetic on enum members costs as much as reading the rest of a status report.
_REPORT_FULL_STATE = 1
_REPORT_COMPONENTS = 2
_REQUEST_INSTANCE_UID = 1
_ACCEPTS_REMOTE_CONFIG = int(Capability.ACCEPTS_REMOTE_CONFIG)
_DESCRIPTION = int(Capability.REPORTS_STATUS)  # the description is what every agent promises
_SHORT_STATUS_BYTES = 130  # so long, the length of a sub-message takes one byte
_UNKNOWN = -2  # no message yet: never one less than a sequence number

_PROMISES = (
    (int(Capability.REPORTS_EFFECTIVE_CONFIG), "effective_config"),
    (int(Capability.REPORTS_HEALTH), "health"),
    (int(Capability.REPORTS_REMOTE_CONFIG), "remote_config_status"),
    (int(Capability.REPORTS_PACKAGE_STATUSES), "package_statuses"),
    (int(Capability.REPORTS_AVAILABLE_COMPONENTS), "available_components"),
)
"""Capability and the sub-message that it promises in a full state. ReportsConnectionSettingsStatus is not
among them: an agent that was never offered connection settings has nothing to report."""


@lru_cache(maxsize=256)
def _tail(flags: int, capabilities: int, custom: tuple[str, ...]) -> bytes:
    """The fields of an answer after its uid; few combinations exist, and all agents share them."""
    message = pb.ServerToAgent(flags=flags, capabilities=capabilities)
    if custom:
        message.custom_capabilities.capabilities.extend(custom)
    return message.SerializeToString()


def _varint_bytes(value: int) -> int:
    return (value.bit_length() + 6) // 7


def _beat_bytes(capabilities: int) -> int:
    """Size of a heartbeat without the digits of its number: uid, capabilities, and the number's tag."""
    return UID_BYTES + 2 + (1 + _varint_bytes(capabilities) if capabilities else 0) + 1


def _missing(message: pb.AgentToServer, capabilities: int) -> int:
    """Bits of the promises that `message` does not keep; ReportsStatus stands for the description."""
    missing = 0 if message.HasField("agent_description") else _DESCRIPTION
    for bit, name in _PROMISES:
        # The names are those of message fields; the stubs want a literal.
        if capabilities & bit and not message.HasField(name):  # type: ignore[arg-type]
            missing |= bit
    return missing


class Session:
    """Protocol state of one agent. See the module's rules."""

    __slots__ = (
        "_absent",
        "_asked",
        "_beat",
        "_beat_bytes",
        "_capabilities",
        "_custom",
        "_deadline",
        "_digest",
        "_greeted",
        "_heartbeat",
        "_last_flags",
        "_new_uid",
        "_offers_open",
        "_pending",
        "_polled",
        "_repeats",
        "_seen",
        "_sequence_num",
        "_sequences",
        "_server_capabilities",
        "_server_custom",
        "_standing",
        "_standing_at",
        "_uid",
    )

    def __init__(self, uid: AgentUid, *, server_capabilities: int, server_custom: tuple[str, ...] = ()) -> None:
        """A session of an agent that has not said anything yet.

        Args:
            uid: 16 bytes.
            server_capabilities: `ServerCapability` bits for the first answer.
            server_custom: custom capabilities of the server for the first answer; shared by all sessions.

        Raises:
            ValueError: `uid` has not 16 bytes.
        """
        self._uid = uid
        self._new_uid: AgentUid | None = None
        self._server_capabilities = int(server_capabilities)
        self._server_custom = server_custom
        self._capabilities = 0
        self._sequence_num = _UNKNOWN
        self._digest = 0  # of the last message's content, see _content_digest
        self._custom: frozenset[str] = frozenset()
        self._polled = False
        self._heartbeat = DEFAULT_HEARTBEAT_SECONDS
        self._sequences = 0
        self._seen = 0  # messages of this process of the agent on this link, at most 2
        self._greeted = False
        self._offers_open = False
        self._deadline: float | None = None
        self._pending = 0  # flags that the next answer carries
        self._asked = 0  # flags that were sent and not answered
        self._last_flags = 0  # flags sent since the last message, for when it is repeated
        self._repeats = 0  # how often the last message was repeated
        self._standing = 0  # polls in a row with the number `_standing_at`, at most STANDING_POLLS
        self._standing_at = _UNKNOWN
        self._absent = 0  # promises that a full state did not keep
        self._beat = Step(head(uid))
        self._beat_bytes = _beat_bytes(self._capabilities)

    # ── What it knows ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def uid(self) -> AgentUid:
        """The instance uid that the agent uses now."""
        return self._uid

    @property
    def new_uid(self) -> AgentUid | None:
        """The instance uid that the agent was told and does not use yet: its messages may carry either."""
        return self._new_uid

    @property
    def head(self) -> bytes:
        """Serialised ServerToAgent with only the uid: write it, then a tail, to push without a copy."""
        return self._beat.reply

    @property
    def capabilities(self) -> int:
        """`Capability` bits, with unknown ones kept; 0 before the first message."""
        return self._capabilities

    @property
    def sequence_num(self) -> int | None:
        """Of the last message that was processed; None before the first."""
        return None if self._sequence_num == _UNKNOWN else self._sequence_num

    @property
    def offers_open(self) -> bool:
        """Whether the protocol lets the agent be offered something now."""
        return self._offers_open

    @property
    def custom_capabilities(self) -> frozenset[str]:
        """What the agent declared last."""
        return self._custom

    @property
    def heartbeat_seconds(self) -> int:
        """Longest expected silence; 0: none is expected, the link alone tells whether the agent is there."""
        if self._polled or self._capabilities & Capability.REPORTS_HEARTBEAT:
            return self._heartbeat
        return 0

    @property
    def sequences(self) -> int:
        """How many sequences of messages this session saw begin: one for each process of the agent since it is here."""
        return self._sequences

    @property
    def polled(self) -> bool:
        """Whether the last message came by plain HTTP."""
        return self._polled

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called; None: not at all."""
        return self._deadline

    # ── Messages ────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, message: pb.AgentToServer, now: float, *, polled: bool) -> Step:
        """Process one message; the reply is never empty.

        Args:
            message: from `wire.parse_agent_message`.
            now: monotonic seconds.
            polled: it came by plain HTTP.

        Raises:
            ProtocolError: the message carries the instance uid of another agent.
        """
        number = message.sequence_num
        if (
            number == self._sequence_num + 1
            and self._offers_open
            and not self._pending
            and polled == self._polled
            and message.capabilities == self._capabilities
            and message.instance_uid == self._uid
        ):
            more = message.ByteSize() - self._beat_bytes - _varint_bytes(number)
            if not more:
                # A heartbeat: uid, number and capabilities fill it, so it says nothing else, known or unknown.
                self._sequence_num = number
                self._digest = self._capabilities
                self._last_flags = 0
                return self._beat
            if more < _SHORT_STATUS_BYTES and self._greeted and not (self._asked or self._absent):
                status = message.remote_config_status
                if more == status.ByteSize() + 2 and message.HasField("remote_config_status"):
                    return self._take_status(message, status)
        return self._receive(message, now, polled)

    def _take_status(self, message: pb.AgentToServer, status: pb.RemoteConfigStatus) -> Step:
        """A status and nothing else, next in its sequence, which a whole fleet says at once; as `_receive` takes it."""
        self._sequence_num = message.sequence_num
        self._digest = hash(message.SerializeToString(deterministic=True))
        self._last_flags = 0
        self._repeats = 0
        return Step(self._beat.reply, (read_config_status(status),), self._deadline)

    def _receive(self, message: pb.AgentToServer, now: float, polled: bool) -> Step:
        events: list[Event] = []
        self._take_uid(message.instance_uid, events)
        if polled != self._polled:
            self.reconnected(now)
            self._polled = polled
        number = message.sequence_num
        previous = self._sequence_num
        digest = self._content_digest(message)
        is_bare = self._is_bare_poll(message)
        if number == previous and not is_bare:
            self._stand(number, events)
            if digest == self._digest:
                return self._repeat(message, now, events)
        self._last_flags = 0
        self._repeats = 0
        self._take_capabilities(message, events)
        # What the next message in a sequence leaves out has not changed; nothing is asked, so nothing can be missing.
        is_quiet = number == previous + 1 and not (self._pending | self._asked) and not self._absent
        missing = 0 if is_quiet and number > 1 else _missing(message, self._capabilities)
        answered = self._take_answer(missing)
        if not is_bare:
            # Clients begin to count at 0, some at 1; who was known elsewhere may go on with 1, and says little then.
            is_first = number == 0 or (number == 1 and not missing & _DESCRIPTION)
            self._sequences += is_first if previous == _UNKNOWN else number <= previous and not self._stands_at(number)
            self._take_sequence(number, digest, answered)
        if number not in (previous, previous + 1) and previous != _UNKNOWN and not is_bare:
            events.append(SequenceBroken(previous, number))
        for report in read_reports(message):
            if isinstance(report, CustomCapabilitiesReported):
                self._custom = report.capabilities
            events.append(report)
        follows = previous != _UNKNOWN and (number == previous + 1 or is_bare or self._stands_at(number))
        self._take_news(message, missing, follows)
        self._conclude(message, now, follows, events)
        return self._reply(message, events)

    def _conclude(self, message: pb.AgentToServer, now: float, follows: bool, events: list[Event]) -> None:
        """What a message asks for or ends, after everything that it reports."""
        wants_uid = bool(message.flags & _REQUEST_INSTANCE_UID)
        if wants_uid and self._new_uid is None and not message.HasField("connection_settings_request"):
            events.append(UidRequested())
        if message.HasField("agent_disconnect"):
            self._forget_link()
            events.append(Disconnected())
        else:
            self._count(now, follows, events)

    def _take_uid(self, uid: bytes, events: list[Event]) -> None:
        if uid == self._uid:
            return
        if self._new_uid is None or uid != self._new_uid:
            shown = show_uid(uid) if len(uid) == UID_BYTES else f"{len(uid)} bytes"
            raise ProtocolError(
                f"a message of agent {shown} came to the session of agent {show_uid(self._uid)}",
                code="opamp.uid",
            )
        events.append(Renamed(self._uid, self._new_uid))
        self._uid = self._new_uid
        self._new_uid = None
        self._beat = Step(head(self._uid))

    def _is_bare_poll(self, message: pb.AgentToServer) -> bool:
        """A poll with only an instance uid, which a plain HTTP client may send (Plain HTTP Transport)."""
        return self._polled and message.ByteSize() == UID_BYTES + 2

    @staticmethod
    def _content_digest(message: pb.AgentToServer) -> int:
        """Tells a repeated message from another one with the same number.

        Of a heartbeat it is the capabilities, which are all that it says: so the fast path need not hash.
        """
        bits, number = message.capabilities, message.sequence_num
        if message.ByteSize() == _beat_bytes(bits) + _varint_bytes(number):
            return bits
        return hash(message.SerializeToString(deterministic=True))

    def _stand(self, number: int, events: list[Event]) -> None:
        """Count a message with the number of the one before."""
        if self._standing_at != number or not self._polled:
            self._standing_at, self._standing = number, 1
        self._standing = min(self._standing + 1, STANDING_POLLS)
        if self._standing < STANDING_POLLS:
            events.append(NumberRepeated(number))

    def _stands_at(self, number: int) -> bool:
        """Whether the agent has said this number so often that it does not count."""
        return number == self._standing_at and self._standing == STANDING_POLLS

    def _repeat(self, message: pb.AgentToServer, now: float, events: list[Event]) -> Step:
        """Answer again what was answered before; the first answer may have been lost."""
        self._repeats = min(self._repeats + 1, 9)
        if self._repeats <= REPEATED_QUESTIONS or not message.HasField("agent_description"):
            # An agent that does not count gives its full state in what looks like a repetition.
            self._pending |= self._last_flags
        if self._seen == 0 and not message.HasField("agent_disconnect"):
            # The same first message on a new link: nothing new to say, but this link has spoken.
            self._count(now, follows=False, events=events)
        if not self._stands_at(message.sequence_num):
            self._greeted = False  # the capabilities may have been lost with the first answer
        elif not self._offers_open and not message.HasField("agent_disconnect"):
            self._open(events)
        return self._reply(message, events)

    def _take_sequence(self, number: int, digest: int, answered: bool) -> None:
        if number <= self._sequence_num and not self._stands_at(number):
            # A new process of this agent, which is starting up again; or an agent that does not count, whose
            # answers must not make us ask again and again.
            self._forget_link()
            if not answered:
                self._absent = 0
        self._sequence_num = number
        self._digest = digest

    def _take_answer(self, missing: int) -> bool:
        """Whether the message answers a request for the full state; what it lacks is not missed again."""
        if self._asked & _REPORT_FULL_STATE and not missing & _DESCRIPTION:
            self._asked &= ~_REPORT_FULL_STATE
            self._absent = missing
            return True
        self._absent &= missing
        return False

    def _take_news(self, message: pb.AgentToServer, missing: int, follows: bool) -> None:
        """What was told need not be asked for, and what should have been told is."""
        if not missing:
            self._pending &= ~_REPORT_FULL_STATE
        elif not follows and missing & ~self._absent:
            self.request_full_state()
        if message.available_components.components:
            self._asked &= ~_REPORT_COMPONENTS
            self._pending &= ~_REPORT_COMPONENTS

    def _take_capabilities(self, message: pb.AgentToServer, events: list[Event]) -> None:
        bits = message.capabilities
        if bits == self._capabilities or (self._polled and not bits):
            return
        self._capabilities = bits
        self._beat_bytes = _beat_bytes(self._capabilities)
        events.append(CapabilitiesChanged(bits))

    def _count(self, now: float, follows: bool, events: list[Event]) -> None:
        """Count a message of this link, and open offers when it is time."""
        first = self._seen == 0
        self._seen = min(self._seen + 1, 2)
        if self._offers_open:
            return
        if not first or follows:
            self._open(events)
        elif not self._polled:
            self._deadline = now + OPENING_SECONDS

    def _open(self, events: list[Event]) -> None:
        self._offers_open = True
        self._deadline = None
        events.append(OffersOpened())

    def _forget_link(self) -> None:
        self._seen = 0
        self._greeted = False
        self._offers_open = False
        self._deadline = None
        # A request that was not answered is made again; whom to ask for components is the caller's choice anew.
        self._pending |= self._asked & ~_REPORT_COMPONENTS
        self._asked = 0

    # ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _reply(self, message: pb.AgentToServer, events: list[Event]) -> Step:
        """The step of a message that was taken."""
        if message.HasField("connection_settings_request"):
            # What is due stays due: an error has nothing beside it (ServerToAgent.error_response).
            refusal = error_reply(self._uid, ErrorType.BAD_REQUEST, NO_CERTIFICATES)
            return Step(refusal, tuple(events), self._deadline, alone=True)
        tell_uid = bool(message.flags & _REQUEST_INSTANCE_UID)
        return Step(self._answer(tell_uid=tell_uid), tuple(events), self._deadline)

    def _answer(self, *, tell_uid: bool = False) -> bytes:
        """The agent's uid, and whatever is due: greeting, flags, its new uid."""
        reply = self._beat.reply
        flags = self._pending
        self._asked |= flags
        self._last_flags |= flags
        self._pending = 0
        if not self._greeted:
            self._greeted = True
            reply += _tail(flags, self._server_capabilities, self._server_custom)
        elif flags:
            reply += _tail(flags, 0, ())
        if tell_uid and self._new_uid is not None:
            reply += identification_tail(self._new_uid)
        return reply

    # ── What the server does ────────────────────────────────────────────────────────────────────────────────

    def offer(self, shared: SharedOffer, now: float) -> Step:
        """The message that offers a configuration to a connected agent, flags that are due included.

        For a poll use `reply + shared.tail` instead, so that the poll gets one message.

        Raises:
            ProtocolError: the agent does not accept remote configuration, or offers are not open yet.
        """
        if not self._capabilities & _ACCEPTS_REMOTE_CONFIG:
            raise ProtocolError(
                f"agent {show_uid(self._uid)} does not accept remote configuration", code="opamp.capability"
            )
        if not self._offers_open:
            raise ProtocolError(f"agent {show_uid(self._uid)} cannot be offered anything yet", code="opamp.not-open")
        return Step(self._answer() + shared.tail, (), self._deadline)

    def restart(self, now: float) -> Step:
        """The restart command, alone in its message as it must be.

        For a poll send it in place of that poll's reply: agents ignore all else in a message with a command.

        Raises:
            ProtocolError: the agent does not accept the command.
        """
        if not self._capabilities & Capability.ACCEPTS_RESTART_COMMAND:
            raise ProtocolError(
                f"agent {show_uid(self._uid)} does not accept the restart command", code="opamp.capability"
            )
        command = pb.ServerToAgentCommand(type=pb.CommandType_Restart)
        return Step(self._beat.reply + pb.ServerToAgent(command=command).SerializeToString(), (), self._deadline)

    def rename(self, new_uid: AgentUid) -> Step:
        """Tell the agent a new instance uid; the caller must from now on route both uids here.

        `Renamed` follows when the agent uses it. An agent may ignore it; then it is not told again by itself.
        The reply may be appended to that of the message which asked for it.

        Raises:
            ValueError: `new_uid` has not 16 bytes, or is the present one.
        """
        if len(new_uid) != UID_BYTES:
            raise ValueError(f"an instance uid has {UID_BYTES} bytes, not {len(new_uid)}")
        if new_uid == self._uid:
            raise ValueError(f"agent {show_uid(new_uid)} has this instance uid already")
        self._new_uid = new_uid
        return Step(self._beat.reply + identification_tail(new_uid), (), self._deadline)

    def expect_heartbeats(self, seconds: int) -> None:
        """The agent was told this interval and took it; 0: it goes by the default again."""
        self._heartbeat = seconds or DEFAULT_HEARTBEAT_SECONDS

    def request_full_state(self) -> None:
        """Ask for everything in the next answer, unless a request is outstanding."""
        self._pending |= _REPORT_FULL_STATE & ~self._asked

    def request_components(self) -> None:
        """Ask for the component map in the next answer: its hash is unknown.

        Nothing happens for an agent that does not report components, or while a request is outstanding.
        """
        if self._capabilities & Capability.REPORTS_AVAILABLE_COMPONENTS:
            self._pending |= _REPORT_COMPONENTS & ~self._asked

    def withdraw_components(self) -> None:
        """The component map is not wanted of this agent any more: another one gave it, or it does not answer."""
        self._asked &= ~_REPORT_COMPONENTS
        self._pending &= ~_REPORT_COMPONENTS

    def ask(self) -> Step:
        """The message with the questions that are due, for a link on which the agent has spoken.

        The reply is empty when nothing is due, or the agent must speak first.
        """
        if not self._pending or not self._seen:
            return Step(b"", (), self._deadline)
        return Step(self._answer(), (), self._deadline)

    def tick(self, now: float) -> Step:
        """Do what is due at `now`; the reply is empty."""
        events: list[Event] = []
        if self._deadline is not None and now >= self._deadline:
            self._open(events)
        return Step(b"", tuple(events), self._deadline)

    def reconnected(self, now: float) -> None:
        """The agent has a new link (not for each POST); call it before that link's first message is received.

        Kept: what the agent reported, its sequence number, its new uid. Forgotten: that it was greeted, and
        that offers were open. A request that the old link did not answer is made again.
        """
        self._forget_link()
