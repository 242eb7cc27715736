"""Conversations between one agent and its session: messages in; flags, fields and events out."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp import messages as m
from gitsync.opamp.messages import Capability, ServerCapability
from gitsync.opamp.offers import build_remote_config
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.session import OPENING_SECONDS, Session, Step

UID = AgentUid(bytes(range(16)))
NEW_UID = AgentUid(bytes(range(16, 32)))
SERVER = ServerCapability.ACCEPTS_STATUS | ServerCapability.OFFERS_REMOTE_CONFIG
FULL, COMPONENTS = 1, 2
PLAIN = int(Capability.REPORTS_STATUS | Capability.ACCEPTS_REMOTE_CONFIG)
RICH = PLAIN | int(
    Capability.REPORTS_HEALTH
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_AVAILABLE_COMPONENTS
    | Capability.REPORTS_HEARTBEAT
    | Capability.ACCEPTS_RESTART_COMMAND
)
OFFER = build_remote_config([("", "text/yaml", "", b"a: 1")], ConfigHash(b"h" * 32))


def beat(number: int, capabilities: int = PLAIN, uid: bytes = UID, **fields: object) -> pb.AgentToServer:
    return pb.AgentToServer(instance_uid=uid, sequence_num=number, capabilities=capabilities, **fields)


def described(number: int, capabilities: int = PLAIN, **fields: object) -> pb.AgentToServer:
    return beat(number, capabilities, agent_description=pb.AgentDescription(), **fields)


def full(number: int, **fields: object) -> pb.AgentToServer:
    """All that RICH promises."""
    return described(
        number,
        RICH,
        health=pb.ComponentHealth(healthy=True),
        effective_config=pb.EffectiveConfig(),
        remote_config_status=pb.RemoteConfigStatus(),
        available_components=pb.AvailableComponents(hash=b"c"),
        **fields,
    )


def goodbye(number: int) -> pb.AgentToServer:
    return beat(number, agent_disconnect=pb.AgentDisconnect())


@dataclass
class Talk:
    """A session with a clock; each call returns (flags, names of events) and keeps the rest to look at."""

    session: Session = field(default_factory=lambda: Session(UID, server_capabilities=SERVER))
    polled: bool = False
    now: float = 100.0
    step: Step = field(default_factory=lambda: Step(b""))
    reply: pb.ServerToAgent = field(default_factory=pb.ServerToAgent)
    broken: tuple[m.SequenceBroken, ...] = ()
    again: bool = False

    def say(self, message: pb.AgentToServer) -> tuple[int, list[str]]:
        uid = message.instance_uid
        self.step = self.session.receive(message, self.now, polled=self.polled)
        self.reply = pb.ServerToAgent.FromString(self.step.reply)
        assert self.reply.instance_uid == uid == self.session.uid
        assert not self.reply.HasField("error_response")
        return self.reply.flags, self.events()

    def events(self) -> list[str]:
        """Names of what happened; jumps of the sequence are in `broken`, a number that is said again is in `again`."""
        self.broken = tuple(one for one in self.step.events if isinstance(one, m.SequenceBroken))
        self.again = any(isinstance(one, m.NumberRepeated) for one in self.step.events)
        numbers = (m.SequenceBroken, m.NumberRepeated)
        return [type(one).__name__ for one in self.step.events if not isinstance(one, numbers)]

    def refused(self, message: pb.AgentToServer) -> list[str]:
        """A message that is answered with an error and nothing else."""
        self.step = self.session.receive(message, self.now, polled=self.polled)
        self.reply = pb.ServerToAgent.FromString(self.step.reply)
        assert {field.name for field, _ in self.reply.ListFields()} == {"instance_uid", "error_response"}
        assert self.step.alone
        return self.events()


def started(messages: list[pb.AgentToServer] | None = None, *, polled: bool = False) -> Talk:
    """A talk with an agent that was described, sent a second message, and may be offered something."""
    talk = Talk(polled=polled)
    for message in messages or [described(0), beat(1)]:
        talk.say(message)
    assert talk.session.offers_open
    return talk


CONVERSATIONS: dict[str, tuple[bool, list[tuple[pb.AgentToServer | str, int, list[str]]]]] = {
    "a new agent that tells all is not asked": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (beat(2), 0, []),
        ],
    ),
    "the first number may be any": (
        False,
        [(described(41), 0, ["CapabilitiesChanged", "Described"]), (beat(42), 0, ["OffersOpened"])],
    ),
    "an unknown agent that goes on in its sequence is asked once, until it answers": (
        False,
        [
            (beat(8), FULL, ["CapabilitiesChanged"]),
            (beat(9), 0, ["OffersOpened"]),
            (beat(10), 0, []),
            (described(11), 0, ["Described"]),
            (beat(12), 0, []),
        ],
    ),
    "a description alone is not what a rich agent promises": (
        False,
        [
            (described(0, RICH), FULL, ["CapabilitiesChanged", "Described"]),
            (
                full(1),
                0,
                [
                    "Described",
                    "ComponentsReported",
                    "ConfigStatusReported",
                    "EffectiveReported",
                    "HealthReported",
                    "OffersOpened",
                ],
            ),
        ],
    ),
    "a gap is noticed, and asked about once": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (beat(3), FULL, []),
            (beat(4), 0, []),
            (beat(9), 0, []),
            (described(10), 0, ["Described"]),
            (beat(12), FULL, []),
        ],
    ),
    "a gap before a full state needs no question": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (described(7), 0, ["Described"]),
        ],
    ),
    "what a full state did not hold is missed again once the agent has sent it": (
        False,
        [
            (described(0, RICH), FULL, ["CapabilitiesChanged", "Described"]),
            (described(1, RICH), 0, ["Described", "OffersOpened"]),
            (beat(2, RICH, health=pb.ComponentHealth()), 0, ["HealthReported"]),
            (described(5, RICH), FULL, ["Described"]),
        ],
    ),
    "what a full state did not hold is not missed again": (
        False,
        [
            (described(0, RICH), FULL, ["CapabilitiesChanged", "Described"]),
            (described(1, RICH), 0, ["Described", "OffersOpened"]),
            (described(5, RICH), 0, ["Described"]),
            (beat(7, RICH), FULL, []),
            (described(8, RICH), 0, ["Described"]),
        ],
    ),
    "omitted parts leave the state as it is, present ones are told": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1, health=pb.ComponentHealth()), 0, ["HealthReported", "OffersOpened"]),
            (beat(2, remote_config_status=pb.RemoteConfigStatus()), 0, ["ConfigStatusReported"]),
            (beat(3, custom_capabilities=pb.CustomCapabilities()), 0, ["CustomCapabilitiesReported"]),
        ],
    ),
    "a repeated message is answered with the same flags and processed once": (
        True,
        [
            (beat(2, health=pb.ComponentHealth()), FULL, ["CapabilitiesChanged", "HealthReported"]),
            (beat(2, health=pb.ComponentHealth()), FULL, []),
            (beat(2, health=pb.ComponentHealth()), FULL, []),
            (described(5), 0, ["Described", "OffersOpened"]),
        ],
    ),
    "a repeated heartbeat is no second message": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (described(0), 0, []),
            (beat(1), 0, ["OffersOpened"]),
            (beat(1), 0, []),
            (beat(2), 0, []),
        ],
    ),
    "a heartbeat after news is repeated": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1, health=pb.ComponentHealth()), 0, ["HealthReported", "OffersOpened"]),
            (beat(2), 0, []),
            (beat(2), 0, []),
            (beat(3), 0, []),
        ],
    ),
    "a heartbeat after a question is repeated, and the question is not": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (beat(3), FULL, []),
            (beat(4), 0, []),
            (beat(4), 0, []),
        ],
    ),
    "an agent that does not count is not asked again and again for what it does not have": (
        False,
        [
            (described(0, RICH), FULL, ["CapabilitiesChanged", "Described"]),
            (described(0, RICH), FULL, []),
            (described(0, RICH), FULL, []),
            (described(0, RICH), 0, []),
            (described(0, RICH), 0, []),
        ],
    ),
    "an agent that does not count and answers differently each time is not asked again either": (
        False,
        [
            (described(0, RICH), FULL, ["CapabilitiesChanged", "Described"]),
            (described(0, RICH, health=pb.ComponentHealth(status="a")), 0, ["Described", "HealthReported"]),
            (beat(0, RICH), FULL, []),
            (described(0, RICH, health=pb.ComponentHealth(status="b")), 0, ["Described", "HealthReported"]),
        ],
    ),
    "numbers that repeat and jump, as a client that builds messages early sends them": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (beat(2, health=pb.ComponentHealth()), 0, ["HealthReported"]),
            (beat(2, health=pb.ComponentHealth()), 0, []),
            (beat(5), FULL, []),
            (described(6), 0, ["Described"]),
        ],
    ),
    "the same number with other content is a new process": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(0), FULL, []),
            (described(1), 0, ["Described", "OffersOpened"]),
        ],
    ),
    "a number that goes back is a new process, which is offered nothing at first": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (described(0), 0, ["Described"]),
            (beat(1), 0, ["OffersOpened"]),
        ],
    ),
    "a poll with nothing but a uid keeps capabilities and sequence": (
        True,
        [
            (described(3), 0, ["CapabilitiesChanged", "Described"]),
            (pb.AgentToServer(instance_uid=UID), 0, ["OffersOpened"]),
            (pb.AgentToServer(instance_uid=UID), 0, []),
            (beat(4), 0, []),
        ],
    ),
    "a stranger's bare poll is asked once": (
        True,
        [
            (pb.AgentToServer(instance_uid=UID), FULL, []),
            (pb.AgentToServer(instance_uid=UID), 0, ["OffersOpened"]),
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
        ],
    ),
    "capabilities change at once": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1, RICH), 0, ["CapabilitiesChanged", "OffersOpened"]),
            (beat(2, RICH), 0, []),
            (beat(3, RICH | 1 << 40), 0, ["CapabilitiesChanged"]),
            (beat(4, 1), 0, ["CapabilitiesChanged"]),
        ],
    ),
    "a goodbye is told last, each time, and opens nothing": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (goodbye(1), 0, ["Disconnected"]),
            (goodbye(2), 0, ["Disconnected"]),
        ],
    ),
    "the last words of a supervisor": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (
                beat(2, health=pb.ComponentHealth(), agent_disconnect=pb.AgentDisconnect()),
                0,
                ["HealthReported", "Disconnected"],
            ),
        ],
    ),
    "a new link of a known session that goes on may be offered something at once": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            ("reconnected", 0, []),
            (beat(2), 0, ["OffersOpened"]),
            (beat(3), 0, []),
        ],
    ),
    "a new link of a new process waits for the second message": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            ("reconnected", 0, []),
            (described(0, health=pb.ComponentHealth()), 0, ["Described", "HealthReported"]),
            (beat(1), 0, ["OffersOpened"]),
        ],
    ),
    "a new link that begins with the very message of the old one": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            ("reconnected", 0, []),
            (described(0), 0, []),
            (beat(1), 0, ["OffersOpened"]),
        ],
    ),
    "a request that the old link did not answer is made again": (
        False,
        [
            (beat(5), FULL, ["CapabilitiesChanged"]),
            ("reconnected", 0, []),
            (beat(6), FULL, ["OffersOpened"]),
            (beat(7), 0, []),
        ],
    ),
    "a request that the old link did not answer is dropped when the new one tells all": (
        False,
        [
            (beat(5), FULL, ["CapabilitiesChanged"]),
            ("reconnected", 0, []),
            (described(0), 0, ["Described"]),
        ],
    ),
    "an agent that polls with one number for ever is offered things from the fourth poll on": (
        True,
        [
            (described(3), 0, ["CapabilitiesChanged", "Described"]),
            (beat(3), FULL, []),
            (described(3), 0, ["Described"]),
            (beat(3), 0, ["OffersOpened"]),
            (beat(3, health=pb.ComponentHealth()), 0, ["HealthReported"]),
            (beat(3), 0, []),
            (described(3), 0, ["Described"]),
        ],
    ),
    "an agent that begins to count is one that counts": (
        True,
        [
            (described(3), 0, ["CapabilitiesChanged", "Described"]),
            (beat(3), FULL, []),
            (described(3), 0, ["Described"]),
            (beat(3), 0, ["OffersOpened"]),
            (beat(4), 0, []),
            (beat(9), FULL, []),
            (described(0), 0, ["Described"]),
        ],
    ),
    "numbers that are said twice now and then stand for nothing": (
        True,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (beat(1), 0, []),
            (beat(2), 0, []),
            (beat(2), 0, []),
            (beat(3), 0, []),
            (beat(3), 0, []),
            (described(3, health=pb.ComponentHealth()), 0, ["Described", "HealthReported"]),
            (beat(4), 0, ["OffersOpened"]),
        ],
    ),
    "unknown fields are neither an error nor a heartbeat": (
        False,
        [
            (described(0), 0, ["CapabilitiesChanged", "Described"]),
            (beat(1), 0, ["OffersOpened"]),
            (pb.AgentToServer.FromString(beat(2).SerializeToString() + b"\xa2\x06\x03abc"), 0, []),
            (beat(3), 0, []),
        ],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(name: str) -> None:
    polled, lines = CONVERSATIONS[name]
    talk = Talk(polled=polled)
    for number, (message, flags, events) in enumerate(lines):
        if isinstance(message, str):
            talk.session.reconnected(talk.now)
            continue
        assert talk.say(message) == (flags, events), f"line {number}"
        talk.now += 1.0


def test_an_agent_that_does_not_count_begins_no_new_sequence_with_each_poll() -> None:
    talk = Talk(polled=True)
    for message in (described(3), beat(3), described(3), beat(3)):
        talk.say(message)
    begun = talk.session.sequences
    talk.say(beat(3, health=pb.ComponentHealth()))
    assert talk.session.sequences == begun
    talk.say(beat(3))
    assert talk.session.offers_open
    assert talk.step.reply == talk.session.head


@pytest.mark.parametrize("polled", [False, True])
def test_a_number_that_is_said_again_is_noticed(polled: bool) -> None:
    talk = Talk(polled=polled)
    seen = []
    for message in (described(0), beat(1), beat(1), beat(2), described(2), beat(3)):
        talk.say(message)
        seen.append(talk.again)
    assert seen == [False, False, True, False, True, False]


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_first_answer_of_a_link_has_capabilities() -> None:
    talk = Talk()
    told = []
    for message in (described(0), beat(1), beat(2)):
        talk.say(message)
        told.append(talk.reply.capabilities)
    talk.session.reconnected(talk.now)
    talk.say(beat(3))
    assert [*told, talk.reply.capabilities] == [3, 0, 0, 3]


def test_the_first_answer_tells_the_servers_custom_capabilities() -> None:
    custom = (m.ATTESTATION_CAPABILITY,)
    talk = Talk(Session(UID, server_capabilities=SERVER, server_custom=custom))
    talk.say(described(0))
    assert list(talk.reply.custom_capabilities.capabilities) == [m.ATTESTATION_CAPABILITY]
    talk.say(beat(1))
    assert not talk.reply.HasField("custom_capabilities")


def test_a_repeated_first_message_is_answered_with_capabilities_again() -> None:
    talk = Talk(polled=True)
    talk.say(described(0))
    talk.say(described(0))
    assert talk.reply.capabilities == 3


def test_heartbeats_are_answered_with_one_shared_step_of_18_bytes() -> None:
    talk = started()
    talk.say(beat(2))
    first = talk.step
    assert (first.reply, first.events, first.deadline) == (b"\x0a\x10" + UID, (), None)
    for number in range(3, 300):
        talk.say(beat(number))
        assert talk.step is first


def test_a_heartbeat_is_counted() -> None:
    talk = started()
    talk.say(beat(2))
    assert talk.session.sequence_num == 2


@pytest.mark.parametrize(
    "message",
    [
        beat(2, flags=1),
        beat(2, health=pb.ComponentHealth()),
        beat(2, 1),
        beat(2, custom_message=pb.CustomMessage(capability="x")),
        beat(2, connection_settings_status=pb.ConnectionSettingsStatus()),
        goodbye(2),
    ],
)
def test_what_says_more_than_a_heartbeat_is_never_taken_for_one(message: pb.AgentToServer) -> None:
    talk = started()
    _, events = talk.say(message)
    assert events


def test_a_message_of_another_agent_is_refused_and_changes_nothing() -> None:
    talk = started()
    stranger = beat(2, uid=NEW_UID)
    with pytest.raises(ProtocolError, match="a message of agent 10111213-") as caught:
        talk.session.receive(stranger, talk.now, polled=False)
    assert caught.value.code == "opamp.uid"
    assert talk.session.sequence_num == 1


# ── When offers open ────────────────────────────────────────────────────────────────────────────────────────


def test_offers_open_two_seconds_after_the_first_message_on_a_websocket() -> None:
    talk = Talk()
    talk.say(described(0))
    assert talk.step.deadline == talk.session.deadline == talk.now + OPENING_SECONDS
    early = talk.session.tick(talk.now + 1.9)
    assert early == Step(b"", (), talk.now + OPENING_SECONDS)
    assert not talk.session.offers_open
    assert talk.session.tick(talk.now + 2.0) == Step(b"", (m.OffersOpened(),), None)
    assert talk.session.offers_open
    assert talk.session.tick(talk.now + 9.0) == Step(b"", (), None)
    assert talk.say(beat(1)) == (0, [])


def test_the_second_message_takes_the_deadline_away() -> None:
    talk = Talk()
    talk.say(described(0))
    talk.say(beat(1))
    assert talk.step.deadline is None
    assert talk.session.tick(talk.now + 9.0).events == ()


def test_polls_have_no_deadline() -> None:
    talk = Talk(polled=True)
    talk.say(described(0))
    assert talk.session.deadline is None
    assert talk.session.tick(talk.now + 9.0) == Step(b"", (), None)


@pytest.mark.parametrize("end", [goodbye(1), "reconnected"])
def test_a_link_that_ended_opens_nothing_later(end: pb.AgentToServer | str) -> None:
    talk = Talk()
    talk.say(described(0))
    if isinstance(end, str):
        talk.session.reconnected(talk.now)
    else:
        talk.say(end)
    assert talk.session.tick(talk.now + 9.0) == Step(b"", (), None)


def test_an_agent_that_changes_from_websocket_to_polling_is_greeted_again() -> None:
    talk = started()
    talk.polled = True
    assert talk.say(beat(2)) == (0, ["OffersOpened"])
    assert talk.reply.capabilities == 3
    assert talk.session.polled


# ── Offers and commands ─────────────────────────────────────────────────────────────────────────────────────


def test_an_offer_carries_the_uid_and_the_shared_tail() -> None:
    talk = started()
    step = talk.session.offer(OFFER, talk.now)
    assert step.reply == talk.session.head + OFFER.tail
    offer = pb.ServerToAgent.FromString(step.reply)
    assert offer.instance_uid == UID
    assert offer.remote_config.config_hash == OFFER.digest


def test_an_offer_carries_flags_that_are_due() -> None:
    talk = started()
    talk.session.request_full_state()
    offer = pb.ServerToAgent.FromString(talk.session.offer(OFFER, talk.now).reply)
    assert (offer.flags, offer.remote_config.config_hash) == (FULL, OFFER.digest)
    assert talk.say(beat(2)) == (0, [])


def test_a_tail_behind_the_answer_of_a_poll_makes_one_message() -> None:
    talk = started([beat(0), beat(1)], polled=True)
    talk.session.request_components()
    talk.say(described(4))
    message = pb.ServerToAgent.FromString(talk.step.reply + OFFER.tail)
    assert message.instance_uid == UID
    assert message.remote_config.config_hash == OFFER.digest


def test_nothing_is_offered_before_it_is_time() -> None:
    talk = Talk()
    talk.say(described(0))
    with pytest.raises(ProtocolError, match="cannot be offered anything yet") as caught:
        talk.session.offer(OFFER, talk.now)
    assert caught.value.code == "opamp.not-open"


def test_nothing_is_offered_to_an_agent_that_does_not_accept_it() -> None:
    talk = started([described(0, 1), beat(1, 1)])
    with pytest.raises(ProtocolError, match="does not accept remote configuration") as caught:
        talk.session.offer(OFFER, talk.now)
    assert caught.value.code == "opamp.capability"


def test_an_agent_that_takes_the_capability_back_is_offered_nothing_more() -> None:
    talk = started()
    talk.session.offer(OFFER, talk.now)
    talk.say(beat(2, 1))
    with pytest.raises(ProtocolError, match="does not accept"):
        talk.session.offer(OFFER, talk.now)


def test_a_restart_command_travels_alone_even_when_flags_are_due() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.request_full_state()
    message = pb.ServerToAgent.FromString(talk.session.restart(talk.now).reply)
    assert [name.name for name, _ in message.ListFields()] == ["instance_uid", "command"]
    assert message.command.type == pb.CommandType_Restart
    assert talk.say(beat(2, RICH))[0] == FULL


def test_a_restart_command_needs_the_capability() -> None:
    with pytest.raises(ProtocolError, match="does not accept the restart command"):
        started().session.restart(0.0)


def test_how_often_a_question_was_repeated_is_forgotten_with_the_next_message() -> None:
    talk = Talk()
    assert [talk.say(described(0, RICH))[0] for _ in range(5)] == [FULL, FULL, FULL, 0, 0]
    assert talk.say(full(1))[0] == 0
    assert [talk.say(described(9, RICH))[0] for _ in range(5)] == [FULL, FULL, FULL, 0, 0]


# ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_full_state_is_asked_for_on_demand_once() -> None:
    talk = started()
    talk.session.request_full_state()
    talk.session.request_full_state()
    assert talk.say(beat(2)) == (FULL, [])
    talk.session.request_full_state()
    assert talk.say(beat(3)) == (0, [])
    assert talk.say(described(4)) == (0, ["Described"])
    talk.session.request_full_state()
    assert talk.say(beat(5)) == (FULL, [])


def test_components_are_asked_for_once_until_they_come() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.request_components()
    assert talk.say(beat(2, RICH)) == (COMPONENTS, [])
    talk.session.request_components()
    assert talk.say(beat(3, RICH)) == (0, [])
    inventory = pb.AvailableComponents(hash=b"c", components={"receivers": pb.ComponentDetails()})
    assert talk.say(beat(4, RICH, available_components=inventory)) == (0, ["ComponentsReported"])
    assert talk.step.events == (m.ComponentsReported(b"c", {"receivers": m.Component()}),)
    talk.session.request_components()
    assert talk.say(beat(5, RICH)) == (COMPONENTS, [])


def test_components_are_not_asked_of_an_agent_that_does_not_report_them() -> None:
    talk = started()
    talk.session.request_components()
    assert talk.say(beat(2)) == (0, [])


def test_both_requests_travel_together() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.request_full_state()
    talk.session.request_components()
    assert talk.say(beat(2, RICH)) == (FULL | COMPONENTS, [])


# ── Instance uids ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_agent_that_asks_for_a_uid_is_given_one_and_goes_on_under_it() -> None:
    talk = Talk(polled=True)
    assert talk.say(described(0, flags=1)) == (0, ["CapabilitiesChanged", "Described", "UidRequested"])
    given = talk.session.rename(NEW_UID)
    answer = pb.ServerToAgent.FromString(talk.step.reply + given.reply)
    assert answer.instance_uid == UID
    assert answer.agent_identification.new_instance_uid == NEW_UID
    assert talk.session.new_uid == NEW_UID
    assert talk.say(beat(1, uid=NEW_UID)) == (0, ["Renamed", "OffersOpened"])
    assert talk.step.events[0] == m.Renamed(UID, NEW_UID)
    assert talk.session.new_uid is None
    assert talk.say(beat(2, uid=NEW_UID)) == (0, [])
    assert talk.step.reply == talk.session.head == b"\x0a\x10" + NEW_UID


def test_an_agent_that_ignores_its_new_uid_is_answered_under_the_old_one_and_not_told_again() -> None:
    talk = started()
    talk.session.rename(NEW_UID)
    for number in range(2, 6):
        talk.say(beat(number))
        assert not talk.reply.HasField("agent_identification")


def test_an_agent_that_asks_again_gets_the_same_uid_again() -> None:
    talk = started()
    talk.session.rename(NEW_UID)
    assert talk.say(beat(2, flags=1)) == (0, [])
    assert talk.reply.agent_identification.new_instance_uid == NEW_UID
    assert talk.say(beat(2, flags=1)) == (0, [])
    assert talk.reply.agent_identification.new_instance_uid == NEW_UID


def test_the_old_uid_is_not_taken_after_the_new_one_was_used() -> None:
    talk = started()
    talk.session.rename(NEW_UID)
    talk.say(beat(2, uid=NEW_UID))
    with pytest.raises(ProtocolError, match="came to the session of agent 10111213-"):
        talk.session.receive(beat(3), talk.now, polled=False)


@pytest.mark.parametrize(("uid", "text"), [(b"short", "16 bytes, not 5"), (UID, "already")])
def test_a_uid_that_cannot_be_given_is_refused(uid: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Session(UID, server_capabilities=1).rename(AgentUid(uid))


def test_a_session_needs_a_uid_of_16_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        Session(AgentUid(b"abc"), server_capabilities=1)


# ── What it knows ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_session_knows_nothing() -> None:
    session = Session(UID, server_capabilities=1)
    assert (session.uid, session.capabilities, session.sequence_num) == (UID, 0, None)
    assert (session.offers_open, session.custom_capabilities, session.deadline) == (False, frozenset(), None)
    assert (session.heartbeat_seconds, session.polled) == (0, False)


def test_custom_capabilities_stay_until_they_are_declared_anew() -> None:
    talk = Talk()
    talk.say(described(0, custom_capabilities=pb.CustomCapabilities(capabilities=["a", "b"])))
    talk.say(beat(1))
    assert talk.session.custom_capabilities == {"a", "b"}
    talk.session.reconnected(talk.now)
    assert talk.session.custom_capabilities == {"a", "b"}
    talk.say(beat(2, custom_capabilities=pb.CustomCapabilities()))
    assert talk.session.custom_capabilities == frozenset()


@pytest.mark.parametrize(
    ("capabilities", "polled", "seconds"), [(PLAIN, False, 0), (RICH, False, 30), (PLAIN, True, 30)]
)
def test_silence_is_bounded_only_for_agents_that_promise_to_speak(
    capabilities: int, polled: bool, seconds: int
) -> None:
    talk = Talk(polled=polled)
    talk.say(described(0, capabilities))
    assert talk.session.heartbeat_seconds == seconds


@pytest.mark.parametrize(
    ("first", "numbers", "sequences"),
    [
        ("a client that counts from 0", [0, 1, 2], 1),
        ("one that counts from 1", [1, 2, 3], 1),
        ("one that was known to another server", [17, 18], 0),
        ("one that repeats a message", [0, 1, 1, 2], 1),
        ("one that skips numbers", [0, 1, 5, 6], 1),
        ("a new process", [0, 1, 2, 0, 1], 2),
        ("a new process of one that was known elsewhere", [17, 18, 0], 1),
    ],
)
def test_sequences_that_begin_are_counted(first: str, numbers: list[int], sequences: int) -> None:
    talk = Talk()
    for number in numbers:
        talk.say(described(number))
    assert talk.session.sequences == sequences, first


def test_a_heartbeat_with_number_1_goes_on_in_a_sequence_that_another_server_saw_begin() -> None:
    talk = Talk()
    talk.say(beat(1))
    assert talk.session.sequences == 0


def test_the_expected_heartbeat_is_the_one_that_the_agent_took() -> None:
    talk = Talk()
    talk.say(full(0))
    talk.session.expect_heartbeats(45)
    assert talk.session.heartbeat_seconds == 45
    talk.session.reconnected(talk.now)
    assert talk.session.heartbeat_seconds == 45
    talk.session.expect_heartbeats(0)
    assert talk.session.heartbeat_seconds == 30


def test_an_agent_that_promises_no_heartbeats_is_not_expected_to_send_any() -> None:
    talk = started()
    talk.session.expect_heartbeats(45)
    assert talk.session.heartbeat_seconds == 0


def test_on_a_websocket_capabilities_of_zero_take_all_back() -> None:
    talk = started()
    assert talk.say(beat(2, 0)) == (0, ["CapabilitiesChanged"])
    assert talk.session.capabilities == 0


CSR = pb.ConnectionSettingsRequest(
    opamp=pb.OpAMPConnectionSettingsRequest(certificate_request=pb.CertificateRequest(csr=b"pem"))
)


def test_requests_of_the_agent_come_out_as_they_are() -> None:
    talk = started()
    talk.refused(beat(2, connection_settings_request=CSR, custom_message=pb.CustomMessage(data=b"d")))
    assert talk.step.events == (m.CustomMessageReceived("", "", b"d"), m.ConnectionSettingsRequested(b"pem"))


def test_a_request_for_a_certificate_is_refused_and_what_else_was_said_counts() -> None:
    talk = Talk()
    said = talk.refused(described(0, connection_settings_request=CSR))
    assert said == ["CapabilitiesChanged", "Described", "ConnectionSettingsRequested"]
    error = talk.reply.error_response
    assert (error.type, error.error_message) == (
        pb.ServerErrorResponseType_BadRequest,
        "this server does not issue certificates yet",
    )
    assert talk.say(beat(1)) == (0, ["OffersOpened"])
    assert talk.reply.capabilities == SERVER


def test_a_question_waits_while_a_certificate_is_refused() -> None:
    talk = started()
    assert talk.refused(beat(7, connection_settings_request=CSR)) == ["ConnectionSettingsRequested"]
    assert talk.say(beat(8)) == (FULL, [])


def test_a_repeated_request_for_a_certificate_is_refused_again_and_taken_once() -> None:
    talk = started()
    talk.refused(beat(2, connection_settings_request=CSR))
    assert talk.refused(beat(2, connection_settings_request=CSR)) == []


def test_a_uid_that_is_wanted_together_with_a_certificate_is_given_with_a_later_answer() -> None:
    talk = started()
    talk.refused(beat(2, flags=1, connection_settings_request=CSR))
    assert m.UidRequested() not in talk.step.events
    assert talk.say(beat(3, flags=1)) == (0, ["UidRequested"])


@pytest.mark.parametrize(
    ("numbers", "broken"),
    [
        ((2, 3, 4), ()),
        ((2, 2, 3), ()),
        ((2, 9), (2, 9)),
        ((2, 0), (2, 0)),
        ((2, 3, 2), (3, 2)),
    ],
)
def test_a_jump_of_the_sequence_is_told_and_a_repetition_is_none(
    numbers: tuple[int, ...], broken: tuple[int, int] | tuple[()]
) -> None:
    talk = started()
    for number in numbers:
        talk.say(beat(number, custom_message=pb.CustomMessage(data=bytes([number]))))
    assert [(one.previous, one.number) for one in talk.broken] == ([broken] if broken else [])


def test_the_first_number_that_is_seen_breaks_nothing() -> None:
    talk = Talk()
    talk.say(described(41))
    assert talk.broken == ()


def test_a_question_can_be_put_without_waiting_for_a_message() -> None:
    talk = started([full(0), beat(1, RICH)])
    assert talk.session.ask().reply == b""
    talk.session.request_components()
    asked = pb.ServerToAgent.FromString(talk.session.ask().reply)
    assert (asked.instance_uid, asked.flags) == (UID, COMPONENTS)
    assert talk.say(beat(2, RICH)) == (0, [])


def test_nothing_is_asked_before_the_agent_has_spoken_on_a_link() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.reconnected(talk.now)
    talk.session.request_components()
    assert talk.session.ask().reply == b""


def test_components_that_are_not_wanted_any_more_may_be_wanted_again() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.request_components()
    talk.session.withdraw_components()
    assert talk.say(beat(2, RICH)) == (0, [])
    talk.session.request_components()
    assert talk.say(beat(3, RICH)) == (COMPONENTS, [])


def test_an_agent_that_does_not_count_is_asked_for_components_once() -> None:
    talk = started([full(0), beat(1, RICH)])
    talk.session.request_components()
    flags = [talk.say(beat(1, RICH, custom_message=pb.CustomMessage(data=bytes([one]))))[0] for one in range(5)]
    assert sum(bool(one & COMPONENTS) for one in flags) == 1


def test_numbers_at_the_end_of_their_range_are_no_trouble() -> None:
    top = 2**64 - 1
    talk = Talk()
    talk.say(described(top - 1, top))
    talk.say(beat(top, top))
    assert talk.session.capabilities == top
    assert talk.say(beat(0, top)) == (FULL, [])
