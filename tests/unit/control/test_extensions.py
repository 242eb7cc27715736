"""Custom messages between agents and extensions."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gitsync.control.extensions import Extension, Extensions, Sender
from gitsync.control.meters import Meters
from gitsync.errors import SettingsError
from gitsync.fleet.agent import Agent
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import ATTESTATION_CAPABILITY
from gitsync.opamp.offers import custom_message_tail
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_hash, a_uid, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet

TRANSPORTS = ["websocket", "http"]
ECHO = "com.example.echo.v1"


@dataclass
class Echo:
    """Answers what it is told to, and writes down what happens.

    Attributes:
        copies: answers to each message.
    """

    capability: str = ECHO
    copies: int = 1
    sender: Sender | None = None
    came: list[bytes] = field(default_factory=list)
    went: list[bytes] = field(default_factory=list)

    def started(self, sender: Sender) -> None:
        self.sender = sender

    def connected(self, agent: Agent) -> None:
        self.came.append(agent.uid)

    def gone(self, agent: Agent) -> None:
        self.went.append(agent.uid)

    def received(self, agent: Agent, type: str, data: bytes) -> Iterable[tuple[str, bytes]] | None:  # noqa: A002
        if type == "fail":
            raise RuntimeError("a fault of the extension")
        if type == "large":
            return [("echo", b"x" * (1 << 21))]
        return None if type == "unknown" else ((f"echo-{number}", data) for number in range(self.copies))


class Plain:
    """Has only what it must have."""

    capability = "com.example.plain.v1"

    def received(self, agent: Agent, type: str, data: bytes) -> Iterable[tuple[str, bytes]] | None:  # noqa: A002
        return ()


@asynccontextmanager
async def with_extensions(path: Path, *extensions: Extension) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(path / "fleet.db", ManualClock(), extensions=extensions) as fleet:
        yield fleet


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def fleet(tmp_path: Path, echo: Echo) -> AsyncIterator[FleetUnderTest]:
    async with with_extensions(tmp_path, echo, Plain()) as fleet:
        yield fleet


async def ready(fleet: FleetUnderTest, transport: str = "websocket", custom: Iterable[str] = (ECHO,)) -> TestAgent:
    agent = TestAgent(fleet, transport=transport, custom=list(custom)).connect()
    await fleet.settle()
    agent.beat()
    return agent


def heard(agent: TestAgent) -> list[tuple[str, bytes]]:
    """The custom messages that it got, and forgets them."""
    agent.hear()
    found = [(one.custom.type, one.custom.data) for one in agent.steps if one.custom is not None]
    agent.steps.clear()
    return found


async def test_the_first_answer_lists_what_is_served(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet).connect()
    assert agent.client.server_custom == {ATTESTATION_CAPABILITY, ECHO, Plain.capability}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_rides_with_the_reply(fleet: FleetUnderTest, transport: str) -> None:
    agent = await ready(fleet, transport)
    agent.say(agent.client.send_custom(ECHO, "ask", b"data"))
    assert agent.link.sent == []
    assert heard(agent) == [("echo-0", b"data")]
    assert fleet.meters.custom_messages[ECHO, "received"] == fleet.meters.custom_messages[ECHO, "sent"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_several_answers_go_one_a_message_and_no_more_than_eight(
    fleet: FleetUnderTest, echo: Echo, transport: str
) -> None:
    agent = await ready(fleet, transport)
    echo.copies = 1_000_000
    agent.say(agent.client.send_custom(ECHO, "ask", b"data"))
    found = heard(agent)
    assert len(found) == (8 if transport == "websocket" else 1)
    for _ in range(10):
        agent.beat()
    found += heard(agent)
    assert [kind for kind, _ in found] == [f"echo-{number}" for number in range(8)]


async def test_the_greeting_comes_before_the_messages(fleet: FleetUnderTest, echo: Echo) -> None:
    echo.copies = 3
    agent = TestAgent(fleet, custom=[ECHO])
    fleet.agents.opened(agent.link)
    first = pb.AgentToServer.FromString(agent.client.first_message())
    first.custom_message.capability = ECHO
    answer = fleet.agents.receive(agent.link, first.SerializeToString())
    sent = [pb.ServerToAgent.FromString(one) for one in (*agent.link.sent, b"".join(answer)) if one]
    assert sent[0].capabilities
    assert [one.custom_message.type for one in sent] == ["echo-0", "echo-1", "echo-2"]


async def test_an_agent_that_does_not_list_the_capability_is_neither_heard_nor_told(
    fleet: FleetUnderTest, echo: Echo
) -> None:
    agent = await ready(fleet, custom=())
    message = pb.AgentToServer.FromString(agent.client.heartbeat())
    message.custom_message.capability = ECHO
    agent.say(message.SerializeToString())
    assert heard(agent) == []
    assert echo.sender is not None
    assert not echo.sender.send(agent.uid, "hello", b"")
    assert fleet.meters.custom_messages["", "ignored"] == 1


@pytest.mark.parametrize(("capability", "kind"), [("com.example.other.v1", "ask"), (ECHO, "unknown")])
async def test_an_unknown_capability_or_type_is_counted_and_nothing_else(
    fleet: FleetUnderTest, capability: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = await ready(fleet, custom=(ECHO, "com.example.other.v1"))
    agent.say(agent.client.send_custom(capability, kind, b"data"))
    assert heard(agent) == []
    ignored = sum(count for (_, result), count in fleet.meters.custom_messages.items() if result == "ignored")
    assert ignored == 1
    assert "example" not in caplog.text


@pytest.mark.parametrize("kind", ["fail", "large"])
async def test_an_extension_that_fails_is_logged_now_and_then_and_disturbs_nobody(
    fleet: FleetUnderTest, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, custom=[ECHO]).connect()
    await fleet.settle()
    with caplog.at_level(logging.ERROR, "gitsync.extensions"):
        for _ in range(5):
            agent.say(agent.client.send_custom(ECHO, kind, b"data"))
    assert len(caplog.records) == 1
    assert fleet.meters.custom_messages[ECHO, "failed"] == 5
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]
    agent.say(agent.client.send_custom(ECHO, "ask", b"data"))
    assert heard(agent) == [("echo-0", b"data")]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_extension_speaks_when_it_wants_to(fleet: FleetUnderTest, echo: Echo, transport: str) -> None:
    agent = await ready(fleet, transport)
    assert echo.sender is not None
    assert echo.sender.send(agent.uid, "hello", b"you")
    assert echo.sender.send(agent.uid, "hello", b"again")
    if transport == "http":
        assert heard(agent) == []
        agent.beat()
        agent.beat()
    assert heard(agent) == [("hello", b"you"), ("hello", b"again")]
    agent.beat()
    assert heard(agent) == []


async def test_what_waits_for_a_poll_is_bounded(fleet: FleetUnderTest, echo: Echo) -> None:
    agent = await ready(fleet, "http")
    assert echo.sender is not None
    taken = [echo.sender.send(agent.uid, "hello", b"") for _ in range(40)]
    assert (taken.count(True), taken[:16]) == (16, [True] * 16)


async def test_nothing_is_sent_to_one_that_is_away_or_unknown(fleet: FleetUnderTest, echo: Echo) -> None:
    agent = await ready(fleet)
    fleet.agents.closed(agent.link)
    assert echo.sender is not None
    assert not echo.sender.send(agent.uid, "hello", b"")
    assert not echo.sender.send(a_uid(99), "hello", b"")
    with pytest.raises(ValueError, match="at most"):
        echo.sender.send(agent.uid, "t" * 300, b"")


async def test_an_extension_hears_who_comes_and_goes(fleet: FleetUnderTest, echo: Echo) -> None:
    agent = await ready(fleet)
    await ready_other(fleet)
    assert echo.sender is not None
    assert (echo.came, [one.uid for one in echo.sender.agents()]) == ([agent.uid], [agent.uid])
    fleet.agents.closed(agent.link)
    assert (echo.went, list(echo.sender.agents())) == ([agent.uid], [])
    agent.link = type(agent.link)()
    fleet.agents.opened(agent.link)
    agent.say(agent.client.reconnected())  # it does not list its capabilities again
    assert echo.came == [agent.uid, agent.uid]
    message = pb.AgentToServer.FromString(agent.client.heartbeat())
    message.custom_capabilities.SetInParent()
    agent.say(message.SerializeToString())
    assert echo.went == [agent.uid, agent.uid]


async def ready_other(fleet: FleetUnderTest) -> None:
    """An agent without the capability."""
    TestAgent(fleet, number=2).connect()
    await fleet.settle()


async def test_a_statement_has_the_place_and_the_message_follows(fleet: FleetUnderTest, echo: Echo) -> None:
    agent = await ready(fleet)
    extensions = fleet.agents._extensions
    assert echo.sender is not None
    extensions._speaking = agent.live  # as while one of its messages is taken
    assert echo.sender.send(agent.uid, "hello", b"")
    extensions._speaking = None
    statement = custom_message_tail(ATTESTATION_CAPABILITY, "statement", b"{}")
    assert extensions.attach(agent.live, (agent.live.session.head, statement)) == ()
    sent = [pb.ServerToAgent.FromString(one).custom_message for one in agent.link.sent]
    assert [(one.capability, one.type) for one in sent] == [(ATTESTATION_CAPABILITY, "statement"), (ECHO, "hello")]


@pytest.mark.parametrize("name", ["", "x" * 300, ATTESTATION_CAPABILITY])
def test_names_that_cannot_be_served(name: str) -> None:
    with pytest.raises(SettingsError):
        Extensions([Echo(capability=name)], Meters(), ManualClock())


def test_two_extensions_cannot_share_a_capability() -> None:
    with pytest.raises(SettingsError):
        Extensions([Echo(), Echo()], Meters(), ManualClock())


def test_the_simulator_speaks_only_for_what_it_declares() -> None:
    client = ClientState(a_uid(1), {}, {}, int(SUPERVISOR))
    with pytest.raises(ValueError, match="does not declare"):
        client.send_custom(ECHO, "ask", b"")


async def test_an_extension_that_floods_an_agent_is_refused_until_it_has_been_quiet(tmp_path: Path, echo: Echo) -> None:
    async with with_extensions(tmp_path, echo) as fleet:
        agent = TestAgent(fleet, custom=[ECHO]).connect()
        other = TestAgent(fleet, number=2, custom=[ECHO]).connect()
        assert echo.sender is not None
        taken = [echo.sender.send(agent.uid, "tick", b"") for _ in range(1_000)]
        assert taken == [True] * 200 + [False] * 800
        assert len(agent.link.sent) == 200
        assert echo.sender.send(other.uid, "tick", b"")
        fleet.clock.advance(5)
        assert sum(echo.sender.send(agent.uid, "tick", b"") for _ in range(1_000)) == 100
        fleet.clock.advance(60)
        assert sum(echo.sender.send(agent.uid, "large", b"x" * (1 << 20)) for _ in range(100)) == 9


async def test_what_waits_for_all_agents_is_bounded_and_leaves_with_them(tmp_path: Path, echo: Echo) -> None:
    async with with_extensions(tmp_path, echo) as fleet:
        assert echo.sender is not None
        agents = [TestAgent(fleet, number=number, transport="http", custom=[ECHO]).connect() for number in range(1, 12)]
        for agent in agents:
            agent.say(agent.client.heartbeat())
        taken = [echo.sender.send(agent.uid, "large", b"x" * (1 << 20)) for agent in agents for _ in range(8)]
        assert sum(taken) == 63
        for agent in agents[:3]:
            agent.say(agent.client.disconnect())
        assert sum(echo.sender.send(agents[-1].uid, "large", b"x" * (1 << 20)) for _ in range(8)) == 8


async def test_the_capabilities_that_are_served_are_logged_at_start(
    tmp_path: Path, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gitsync.extensions"):
        async with with_extensions(tmp_path):
            pass
        assert caplog.messages == []
        async with with_extensions(tmp_path, echo, Plain()):
            pass
    assert caplog.messages == ["extensions serve com.example.echo.v1, com.example.plain.v1"]
