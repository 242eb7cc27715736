"""The simulated agent keeps the duties of a real one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp import messages as m
from gitsync.opamp.client import (
    ClientState,
    ClientStep,
    ConfigObject,
    ReceivedConfig,
    ReceivedConnection,
    ReceivedError,
)
from gitsync.opamp.connection import Certificate, Destination
from gitsync.opamp.messages import Capability, ConfigStatus, ErrorType
from gitsync.opamp.offers import build_remote_config, custom_message_tail, head
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.session import Session, Step
from gitsync.opamp.wire import error_reply, parse_agent_message

UID = AgentUid(bytes(range(16)))
NEW_UID = AgentUid(bytes(range(16, 32)))
HASH = ConfigHash(b"h" * 32)
OFFER = build_remote_config([("", "text/yaml", "main", b"a: 1")], HASH)
RICH = (
    Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_HEALTH
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_AVAILABLE_COMPONENTS
    | Capability.ACCEPTS_RESTART_COMMAND
)
BUILD = {"receivers": m.Component({}, {"otlp": m.Component({"code.namespace": "go/otlp v1"})})}


def an_agent(capabilities: int = RICH, **options: object) -> ClientState:
    return ClientState(
        UID,
        {"service.name": "otelcol"},
        {"env": "test"},
        capabilities,
        components=BUILD,
        components_hash=b"build",
        **options,  # type: ignore[arg-type]
    )


def fields(data: bytes) -> set[str]:
    return {field.name for field, _ in parse_agent_message(data).ListFields()}


def answer(uid: bytes = UID, **values: object) -> bytes:
    return pb.ServerToAgent(instance_uid=uid, **values).SerializeToString()


def test_the_first_message_tells_all_and_the_components_by_hash() -> None:
    message = parse_agent_message(an_agent(custom_capabilities=["x"]).first_message())
    assert {field.name for field, _ in message.ListFields()} == {
        "instance_uid",
        "agent_description",
        "capabilities",
        "health",
        "effective_config",
        "remote_config_status",
        "custom_capabilities",
        "available_components",
    }
    assert message.capabilities == RICH | Capability.REPORTS_STATUS
    assert (message.available_components.hash, len(message.available_components.components)) == (b"build", 0)


def test_a_plain_agent_reports_only_who_it_is() -> None:
    agent = an_agent(0)
    assert fields(agent.first_message()) == {"instance_uid", "agent_description", "capabilities"}
    assert agent.report_health(m.ComponentHealth(True)) == b""
    assert agent.report_status(HASH, ConfigStatus.APPLIED) == b""
    assert agent.report_effective({"": m.EffectiveObject(b"a")}) == b""
    assert agent.next_sequence_num == 1


def test_numbers_rise_by_one_over_messages_of_every_kind_and_over_links() -> None:
    agent = an_agent(custom_capabilities=["x"])
    sent = [
        agent.first_message(),
        agent.heartbeat(),
        agent.report_health(m.ComponentHealth(True)),
        agent.report_status(HASH, ConfigStatus.APPLYING),
        agent.report_effective({"": m.EffectiveObject(b"a: 1")}),
        agent.describe({"service.name": "other"}, {}),
        agent.send_custom("x", "t", b""),
        agent.request_certificate(b"pem"),
        agent.reconnected(),
        agent.change_capabilities(RICH | Capability.REPORTS_HEARTBEAT),
        *agent.receive(answer(flags=1), 0.0).outgoing,
        agent.disconnect(),
    ]
    assert [parse_agent_message(data).sequence_num for data in sent] == list(range(12))
    assert all(parse_agent_message(data).capabilities & 1 for data in sent)


def test_a_report_that_says_nothing_new_is_not_sent() -> None:
    agent = an_agent()
    health, objects = m.ComponentHealth(True, "StatusOK"), {"": m.EffectiveObject(b"a: 1", "text/yaml")}
    assert fields(agent.report_health(health)) == {"instance_uid", "capabilities", "health"}
    assert agent.report_health(m.ComponentHealth(True, "StatusOK")) == b""
    assert agent.report_effective(objects)
    assert agent.report_effective(dict(objects)) == b""
    assert agent.report_status(HASH, ConfigStatus.FAILED, "boom")
    assert agent.report_status(HASH, ConfigStatus.FAILED, "boom") == b""
    assert agent.report_status(HASH, ConfigStatus.FAILED, "other")
    assert agent.describe({"service.name": "otelcol"}, {"env": "test"}) == b""
    assert agent.change_capabilities(RICH) == b""


def test_the_full_state_brings_everything_that_was_reported() -> None:
    agent = an_agent(custom_capabilities=["x"])
    agent.first_message()
    agent.report_health(m.ComponentHealth(True))
    agent.report_status(HASH, ConfigStatus.APPLIED)
    (data,) = agent.receive(answer(flags=1), 1.0).outgoing
    message = parse_agent_message(data)
    assert message.health.healthy
    assert message.remote_config_status.last_remote_config_hash == HASH
    assert list(message.custom_capabilities.capabilities) == ["x"]
    assert "otlp" in message.available_components.components["receivers"].sub_component_map


def test_components_alone_are_sent_when_asked_for_alone() -> None:
    agent = an_agent()
    agent.first_message()
    (data,) = agent.receive(answer(flags=2), 1.0).outgoing
    assert fields(data) == {"instance_uid", "sequence_num", "capabilities", "available_components"}
    assert an_agent(0).receive(answer(flags=2), 1.0).outgoing == ()


def test_both_flags_give_one_message() -> None:
    assert len(an_agent().receive(answer(flags=3), 1.0).outgoing) == 1


def test_an_offer_is_handed_out_once() -> None:
    agent = an_agent()
    data = head(UID) + OFFER.tail
    assert agent.receive(data, 5.0) == ClientStep(
        config=ReceivedConfig(HASH, {"": ConfigObject(b"a: 1", "text/yaml", "main")})
    )
    assert agent.config_hash == HASH
    assert agent.last_received_at == 5.0
    assert agent.receive(data, 6.0) == ClientStep()


def test_an_offer_that_an_earlier_run_had_is_not_handed_out() -> None:
    kept = m.ConfigStatusReported(HASH, ConfigStatus.APPLIED)
    agent = an_agent(config_status=kept)
    status = parse_agent_message(agent.first_message()).remote_config_status
    assert (status.last_remote_config_hash, status.status) == (HASH, pb.RemoteConfigStatuses_APPLIED)
    assert agent.receive(head(UID) + OFFER.tail, 0.0).config is None


def test_an_offer_to_stop_is_a_configuration_without_objects() -> None:
    stop = build_remote_config([], HASH, stop=True)
    assert an_agent().receive(head(UID) + stop.tail, 0.0).config == ReceivedConfig(HASH, {})


def test_an_agent_that_does_not_accept_configuration_ignores_offers() -> None:
    assert an_agent(0).receive(head(UID) + OFFER.tail, 0.0) == ClientStep()


def test_a_statement_arrives_with_its_configuration_if_it_was_declared() -> None:
    data = head(UID) + OFFER.tail + custom_message_tail("x", "statement", b"{}")
    step = an_agent(custom_capabilities=["x"]).receive(data, 0.0)
    assert step.config is not None
    assert step.custom == m.CustomMessageReceived("x", "statement", b"{}")
    assert an_agent().receive(data, 0.0).custom is None


def test_a_command_is_executed_and_the_rest_of_its_message_is_ignored() -> None:
    command = pb.ServerToAgent(command=pb.ServerToAgentCommand(), flags=1).SerializeToString()
    agent = an_agent()
    assert agent.receive(head(UID) + OFFER.tail + command, 0.0) == ClientStep(restart=True)
    assert agent.config_hash == b""


@pytest.mark.parametrize(
    ("capabilities", "command"),
    [(RICH, b"\x4a\x02\x08\x07"), (Capability.ACCEPTS_REMOTE_CONFIG, b"\x4a\x00")],
)
def test_a_command_that_is_unknown_or_not_accepted_is_ignored(capabilities: int, command: bytes) -> None:
    assert an_agent(capabilities).receive(head(UID) + command, 0.0) == ClientStep()


def test_a_new_uid_is_used_from_the_next_message_on() -> None:
    agent = an_agent(request_uid=True)
    assert parse_agent_message(agent.first_message()).flags == 1
    new = pb.AgentIdentification(new_instance_uid=NEW_UID)
    assert agent.receive(answer(agent_identification=new), 0.0) == ClientStep(renamed=True)
    message = parse_agent_message(agent.heartbeat())
    assert (message.instance_uid, message.flags, message.sequence_num) == (NEW_UID, 0, 1)


def test_a_new_uid_of_another_length_is_ignored() -> None:
    agent = an_agent()
    new = pb.AgentIdentification(new_instance_uid=b"short")
    assert agent.receive(answer(agent_identification=new), 0.0) == ClientStep()
    assert agent.uid == UID


@pytest.mark.parametrize("uid", [NEW_UID, b""])
def test_an_answer_for_another_agent_is_ignored(uid: bytes) -> None:
    assert an_agent().receive(answer(uid, flags=1), 0.0) == ClientStep()


def test_an_error_comes_alone() -> None:
    data = error_reply(UID, ErrorType.UNAVAILABLE, "busy", timedelta(seconds=30)) + OFFER.tail
    assert an_agent().receive(data, 0.0) == ClientStep(
        error=ReceivedError(ErrorType.UNAVAILABLE, "busy", timedelta(seconds=30))
    )
    data = error_reply(UID, ErrorType.BAD_REQUEST, "what?")
    assert an_agent().receive(data, 0.0).error == ReceivedError(ErrorType.BAD_REQUEST, "what?", None)


def test_what_the_server_can_do_is_kept_when_it_is_not_repeated() -> None:
    agent = an_agent()
    custom = pb.CustomCapabilities(capabilities=["x"])
    agent.receive(answer(capabilities=7, custom_capabilities=custom), 0.0)
    agent.receive(answer(), 0.0)
    assert (agent.server_capabilities, agent.server_custom) == (7, frozenset({"x"}))


# ── Connection settings ─────────────────────────────────────────────────────────────────────────────────────


TAKES_SETTINGS = (
    Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS
    | Capability.REPORTS_OWN_METRICS
    | Capability.REPORTS_OWN_TRACES
    | Capability.REPORTS_OWN_LOGS
    | Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS
    | Capability.REPORTS_CONNECTION_SETTINGS_STATUS
)
SETTINGS = pb.ConnectionSettingsOffers(
    hash=b"s1",
    opamp=pb.OpAMPConnectionSettings(
        destination_endpoint="wss://elsewhere/v1/opamp",
        headers=pb.Headers(headers=[pb.Header(key="a", value="b")]),
        certificate=pb.TLSCertificate(cert=b"cert", private_key=b"key", ca_cert=b"ca"),
        heartbeat_interval_seconds=7,
    ),
    own_metrics=pb.TelemetryConnectionSettings(destination_endpoint="https://otlp/v1/metrics"),
    other_connections={"db": pb.OtherConnectionSettings(destination_endpoint="db:5432", other_settings={"x": "y"})},
)


def test_connection_settings_are_handed_out_once_and_whole() -> None:
    agent = an_agent(TAKES_SETTINGS)
    data = answer(connection_settings=SETTINGS)
    assert agent.receive(data, 0.0) == ClientStep(
        connection=ReceivedConnection(
            b"s1",
            Destination("wss://elsewhere/v1/opamp", (("a", "b"),), Certificate(b"cert", b"key", b"ca")),
            7,
            {"own_metrics": Destination("https://otlp/v1/metrics")},
            {"db": Destination("db:5432", settings=(("x", "y"),))},
        )
    )
    assert agent.receive(data, 1.0) == ClientStep()


@pytest.mark.parametrize(
    ("capability", "taken"),
    [
        (Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS, "opamp"),
        (Capability.REPORTS_OWN_METRICS, "telemetry"),
        (Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS, "other"),
    ],
)
def test_of_connection_settings_only_what_is_declared_is_taken(capability: int, taken: str) -> None:
    offer = an_agent(capability).receive(answer(connection_settings=SETTINGS), 0.0).connection
    assert offer is not None
    assert {name for name in ("opamp", "telemetry", "other") if getattr(offer, name)} == {taken}


@pytest.mark.parametrize("capability", [RICH, Capability.REPORTS_OWN_TRACES | Capability.REPORTS_OWN_LOGS])
def test_connection_settings_that_hold_nothing_for_the_agent_are_ignored(capability: int) -> None:
    assert an_agent(capability).receive(answer(connection_settings=SETTINGS), 0.0) == ClientStep()


def test_what_became_of_connection_settings_is_said_once_and_is_part_of_the_full_state() -> None:
    agent = an_agent(TAKES_SETTINGS)
    agent.receive(answer(connection_settings=SETTINGS), 0.0)
    (data,) = (agent.report_connection(b"s1", ConfigStatus.FAILED, "no route"),)
    status = parse_agent_message(data).connection_settings_status
    assert (status.last_connection_settings_hash, status.status, status.error_message) == (b"s1", 3, "no route")
    assert agent.report_connection(b"s1", ConfigStatus.FAILED, "no route") == b""
    (whole,) = agent.receive(answer(flags=1), 1.0).outgoing
    assert parse_agent_message(whole).connection_settings_status == status


def test_an_agent_that_does_not_report_connection_settings_takes_them_silently() -> None:
    agent = an_agent(TAKES_SETTINGS & ~Capability.REPORTS_CONNECTION_SETTINGS_STATUS)
    agent.receive(answer(connection_settings=SETTINGS), 0.0)
    assert agent.report_connection(b"s1", ConfigStatus.APPLIED) == b""
    assert agent.heartbeat_seconds == 7
    assert "connection_settings_status" not in fields(agent.first_message())


def test_an_offered_heartbeat_holds_once_its_settings_are_applied() -> None:
    agent = an_agent(TAKES_SETTINGS)
    assert agent.heartbeat_seconds is None
    agent.receive(answer(connection_settings=SETTINGS), 0.0)
    for settings_hash, status in ((b"s1", ConfigStatus.APPLYING), (b"s0", ConfigStatus.APPLIED)):
        agent.report_connection(settings_hash, status)
        assert agent.heartbeat_seconds is None
    agent.report_connection(b"s1", ConfigStatus.APPLIED)
    assert agent.heartbeat_seconds == 7
    off = pb.ConnectionSettingsOffers(hash=b"s2", opamp=pb.OpAMPConnectionSettings(destination_endpoint="ws://a"))
    agent.receive(answer(connection_settings=off), 0.0)
    agent.report_connection(b"s2", ConfigStatus.APPLIED)
    assert agent.heartbeat_seconds == 0


def test_settings_without_opamp_leave_the_heartbeat_as_it_is() -> None:
    agent = an_agent(TAKES_SETTINGS)
    agent.receive(answer(connection_settings=SETTINGS), 0.0)
    agent.report_connection(b"s1", ConfigStatus.APPLIED)
    more = pb.ConnectionSettingsOffers(hash=b"s3", own_logs=SETTINGS.own_metrics)
    agent.receive(answer(connection_settings=more), 0.0)
    agent.report_connection(b"s3", ConfigStatus.APPLIED)
    assert agent.heartbeat_seconds == 7


# ── Faults of real clients ──────────────────────────────────────────────────────────────────────────────────


def test_numbers_can_be_made_wrong() -> None:
    agent = an_agent(number_of=lambda count: 2 * count)
    assert [parse_agent_message(agent.heartbeat()).sequence_num for _ in range(3)] == [0, 2, 4]
    assert agent.next_sequence_num == 6


def test_a_new_uid_can_be_ignored() -> None:
    agent = an_agent(request_uid=True, keeps_uid=True)
    new = pb.AgentIdentification(new_instance_uid=NEW_UID)
    assert agent.receive(answer(agent_identification=new), 0.0) == ClientStep()
    assert parse_agent_message(agent.heartbeat()).instance_uid == UID


def test_garbage_from_the_server_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not a ServerToAgent message"):
        an_agent().receive(b"<html>", 0.0)


def test_a_custom_message_needs_a_declared_capability() -> None:
    with pytest.raises(ValueError, match="does not declare 'y'"):
        an_agent(custom_capabilities=["x"]).send_custom("y", "t", b"")


def test_agent_and_session_apply_a_configuration_together_and_then_are_silent() -> None:
    agent, session = an_agent(), Session(UID, server_capabilities=3)
    events: list[m.Event] = []

    def exchange(data: bytes) -> Step:
        """Deliver one message of the agent, its answer, and what the answer makes the agent say."""
        step = session.receive(parse_agent_message(data), 0.0, polled=False)
        events.extend(step.events)
        for more in agent.receive(step.reply, 0.0).outgoing:
            exchange(more)
        return step

    exchange(agent.first_message())
    assert session.tick(2.0).events == (m.OffersOpened(),)
    config = agent.receive(session.offer(OFFER, 2.0).reply, 2.0).config
    assert config is not None
    exchange(agent.report_status(config.config_hash, ConfigStatus.APPLYING))
    exchange(agent.report_effective({"": m.EffectiveObject(config.objects[""].body, "text/yaml")}))
    exchange(agent.report_health(m.ComponentHealth(True)))
    exchange(agent.report_status(config.config_hash, ConfigStatus.APPLIED))
    session.request_components()
    exchange(agent.heartbeat())
    assert exchange(agent.heartbeat()).events == ()
    assert events[-5:] == [
        m.ConfigStatusReported(HASH, ConfigStatus.APPLYING),
        m.EffectiveReported({"": m.EffectiveObject(b"a: 1", "text/yaml")}),
        m.HealthReported(m.ComponentHealth(True)),
        m.ConfigStatusReported(HASH, ConfigStatus.APPLIED),
        m.ComponentsReported(b"build", BUILD),
    ]
