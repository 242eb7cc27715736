"""How one simulated agent behaves: what it is offered in, what it says out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gitsync.errors import ProtocolError
from gitsync.fleet.health import METRICS, judge, metrics, recent_errors
from gitsync.lab.agent import SLOW_SECONDS, SimulatedAgent
from gitsync.lab.health import REFUSED
from gitsync.lab.profile import AgentProfile, Fault
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.reports import read_health
from tests.support.builders import a_uid

A, B = b"a" * 32, b"b" * 32
OTLP = b"receivers: {otlp: }\n"
NAMES = {1: "APPLIED", 2: "APPLYING", 3: "FAILED"}


@dataclass
class Conversation:
    """One agent, time that stands still until it is told to go on, and what the agent said."""

    fault: Fault = Fault.NONE
    service: str = "otelcol-agent"
    now: float = 100.0
    said: list[pb.AgentToServer] = field(default_factory=list)
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        profile = AgentProfile(a_uid(), "lab-00000", self.service, {"role": "agent"}, fault=self.fault)
        self.agent = SimulatedAgent(profile, later=self._later, now=lambda: self.now)
        self.agent.connected(self.hear)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + seconds, call))

    def hear(self, data: bytes) -> None:
        self.said.append(pb.AgentToServer.FromString(data))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due, self.timers = (
            [one for one in self.timers if one[0] <= self.now],
            [one for one in self.timers if one[0] > self.now],
        )
        for _, call in due:
            call()

    def offer(self, digest: bytes, body: bytes = b"receivers: {}\n") -> None:
        message = pb.ServerToAgent(instance_uid=self.agent.client.uid)
        message.remote_config.config_hash = digest
        message.remote_config.config.config_map["collector.yaml"].body = body
        self.agent.receive(message.SerializeToString())

    def answer(self, **fields: object) -> None:
        self.agent.receive(pb.ServerToAgent(instance_uid=self.agent.client.uid, **fields).SerializeToString())  # type: ignore[arg-type]  # by name

    def running(self) -> list[bytes]:
        """Every effective configuration that was reported."""
        return [
            one.effective_config.config_map.config_map[""].body for one in self.said if one.HasField("effective_config")
        ]

    def statuses(self) -> list[tuple[str, str]]:
        """Status and first letter of the hash, of every status that was said."""
        return [
            (NAMES[one.remote_config_status.status], one.remote_config_status.last_remote_config_hash.decode()[0])
            for one in self.said
            if one.remote_config_status.last_remote_config_hash
        ]


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault.NONE, "APPLYING a, APPLIED a, APPLYING b, APPLIED b"),
        (Fault.FLAPS, "APPLYING a, APPLIED a, APPLYING b, APPLIED b"),
        (Fault.DEGRADED, "APPLYING a, APPLIED a, APPLYING b, APPLIED b"),
        (Fault.FAILS, "APPLYING a, APPLIED a, APPLYING b, FAILED b"),
        (Fault.SLOW, "APPLYING a, APPLYING b"),
        (Fault.SILENT, ""),
        (Fault.READ_ONLY, ""),
        (Fault.PRETENDS, "APPLYING a, APPLIED a, APPLYING b, APPLIED b"),
        (Fault.OVERWRITES, "APPLYING a, APPLIED a, APPLYING b, APPLIED b"),
    ],
)
def test_what_an_agent_says_to_two_offers_follows_from_its_fault(fault: Fault, statuses: str) -> None:
    talk = Conversation(fault)

    talk.offer(A)
    talk.offer(B)

    assert ", ".join(" ".join(one) for one in talk.statuses()) == statuses


def test_an_agent_that_failed_takes_its_last_good_configuration_back() -> None:
    talk = Conversation(Fault.FAILS)
    talk.offer(A)
    talk.offer(B)
    assert not talk.agent.progress.healthy

    talk.offer(A)

    assert talk.statuses()[-1] == ("APPLIED", "a")
    assert talk.agent.progress.healthy


def test_a_slow_agent_applies_only_what_is_still_wanted() -> None:
    talk = Conversation(Fault.SLOW)
    talk.offer(A)
    talk.wait(SLOW_SECONDS / 2)
    talk.offer(B)

    talk.wait(SLOW_SECONDS / 2)
    assert talk.agent.progress.applied is None
    talk.wait(SLOW_SECONDS / 2)

    assert talk.agent.progress.applied == B
    assert ("APPLIED", "a") not in talk.statuses()


def test_the_time_of_an_apply_is_that_of_its_first_report() -> None:
    talk = Conversation()
    talk.offer(A)
    first = talk.agent.progress.applied_at
    talk.wait(5)
    talk.offer(A)

    assert talk.agent.progress.applied_at == first == 100.0
    talk.offer(B)
    assert talk.agent.progress.applied_at == 105.0


def test_an_applied_configuration_is_reported_as_effective() -> None:
    talk = Conversation()

    talk.offer(A, OTLP)

    assert talk.running()[-1] == OTLP


@pytest.mark.parametrize("fault", [Fault.PRETENDS, Fault.OVERWRITES])
def test_an_agent_that_only_pretends_goes_on_reporting_what_it_ran(fault: Fault) -> None:
    talk = Conversation(fault)

    talk.offer(A, OTLP)

    assert talk.statuses()[-1] == ("APPLIED", "a")
    assert talk.agent.progress.applied == A
    assert talk.running() == [b"receivers:\n  nop: {}\n"]


@pytest.mark.parametrize(("fault", "runs"), [(Fault.PRETENDS, False), (Fault.OVERWRITES, True)])
def test_the_same_offer_once_more_is_taken_by_the_one_that_was_overwritten(fault: Fault, runs: bool) -> None:
    talk = Conversation(fault)
    talk.offer(A, OTLP)

    talk.offer(A, OTLP)

    assert talk.agent.progress.offers == 2
    assert (talk.running()[-1] == OTLP) is runs


def test_on_its_next_connection_it_overwrites_again() -> None:
    talk = Conversation(Fault.OVERWRITES)
    talk.offer(A, OTLP)
    talk.offer(A, OTLP)
    talk.agent.disconnected()
    talk.agent.connected(talk.hear)

    talk.offer(B)

    assert talk.statuses()[-1] == ("APPLIED", "b")
    assert talk.running()[-1] == OTLP


def test_an_sdk_reports_status_but_neither_health_nor_effective_configuration() -> None:
    talk = Conversation(service="checkout")

    talk.offer(A)

    assert talk.statuses() == [("APPLYING", "a"), ("APPLIED", "a")]
    assert not any(one.HasField("effective_config") or one.HasField("health") for one in talk.said)


@pytest.mark.parametrize(
    ("fault", "shown", "errors"),
    [
        (Fault.NONE, "Healthy", 0),
        (Fault.DEGRADED, f"Degraded(pipeline:traces/exporter:otlp: {REFUSED})", 1),
        (Fault.FAILS, "Unhealthy(Agent exited unexpectedly with exit code 1 while applying configuration)", 0),
    ],
)
def test_the_server_understands_what_an_agent_says_of_its_health(fault: Fault, shown: str, errors: int) -> None:
    talk = Conversation(fault)
    talk.offer(A)
    talk.offer(B)

    said = read_health([one.health for one in talk.said if one.HasField("health")][-1])

    assert str(judge(said)) == shown
    assert len(recent_errors(said)) == errors
    assert set(metrics(said)) == (set() if fault is Fault.FAILS else set(METRICS))


def test_an_agent_whose_health_stays_the_same_says_nothing_about_it() -> None:
    talk = Conversation()
    talk.offer(A)
    talk.offer(B)

    assert [one.HasField("health") for one in talk.said].count(True) == 1


def test_an_agent_describes_itself_first_and_only_shows_up_on_a_new_connection() -> None:
    talk = Conversation()
    talk.answer()
    again: list[bytes] = []

    talk.agent.disconnected()
    talk.agent.connected(again.append)

    assert talk.said[0].HasField("agent_description")
    (hello,) = (pb.AgentToServer.FromString(one) for one in again)
    assert not hello.HasField("agent_description")
    assert hello.sequence_num == talk.said[-1].sequence_num + 1


def test_an_agent_counts_as_connected_when_the_server_has_answered() -> None:
    talk = Conversation()
    assert not talk.agent.progress.connected

    talk.answer()
    assert talk.agent.progress.connected

    talk.agent.disconnected()
    assert not talk.agent.progress.connected


def test_what_an_agent_could_not_say_leaves_a_gap_and_is_in_its_full_report() -> None:
    talk = Conversation(Fault.SLOW)
    talk.offer(A)
    last = talk.said[-1].sequence_num
    talk.agent.disconnected()

    talk.wait(SLOW_SECONDS)
    talk.agent.connected(talk.hear)
    assert talk.said[-1].sequence_num > last + 1
    talk.answer(flags=pb.ServerToAgentFlags_ReportFullState)

    assert talk.statuses()[-1] == ("APPLIED", "a")


def test_an_agent_with_a_build_tells_its_components_when_it_is_asked() -> None:
    said: list[pb.AgentToServer] = []
    build = {"receivers": ("otlp", "nop"), "exporters": ("debug",)}
    profiles = [AgentProfile(a_uid(number), "x", "otelcol-agent", build=build) for number in (1, 2)]
    agents = [SimulatedAgent(one, later=lambda *_: None, now=lambda: 0.0) for one in profiles]
    for agent in agents:
        agent.connected(lambda data: said.append(pb.AgentToServer.FromString(data)))
    first, second = (one.available_components for one in said)
    assert first.hash == second.hash != b""
    assert not first.components
    asked = pb.ServerToAgent(instance_uid=a_uid(1), flags=pb.ServerToAgentFlags_ReportAvailableComponents)
    agents[0].receive(asked.SerializeToString())
    told = said[-1].available_components.components
    assert {section: sorted(one.sub_component_map) for section, one in told.items()} == {
        "receivers": ["nop", "otlp"],
        "exporters": ["debug"],
    }
    assert not Conversation().said[0].HasField("available_components")


def test_a_restart_shows_in_the_health_and_ends_with_a_full_report() -> None:
    talk = Conversation()

    talk.answer(command=pb.ServerToAgentCommand(type=pb.CommandType_Restart))

    assert [one.health.healthy for one in talk.said[1:]] == [False, True, True]
    assert talk.said[-1].HasField("agent_description")


def test_what_is_no_message_is_an_error_of_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        Conversation().agent.receive(b"\xff\xff\xff")
