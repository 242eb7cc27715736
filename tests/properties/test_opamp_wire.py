"""Whatever bytes come, parsing ends in a message or in a ProtocolError."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import Capability, Component, ComponentHealth, EffectiveObject
from gitsync.opamp.offers import build_remote_config, custom_message_tail, head
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.reports import read_reports
from gitsync.opamp.wire import decode_frame, encode_frame, parse_agent_message

UID = AgentUid(bytes(range(16)))
EVERYTHING = sum(Capability)


def a_full_message() -> bytes:
    agent = ClientState(
        UID,
        {"service.name": "otelcol"},
        {"env": "test", "region": "eu"},
        EVERYTHING,
        custom_capabilities=["x"],
        components={"receivers": Component({}, {"otlp": Component({"a": "b"})})},
        components_hash=b"hash",
        health=ComponentHealth(True, components={"pipeline:traces": ComponentHealth(False, last_error="e")}),
        effective={"": EffectiveObject(b"a: 1", "text/yaml")},
    )
    agent.first_message()
    return agent.receive(pb.ServerToAgent(instance_uid=UID, flags=1).SerializeToString(), 0.0).outgoing[0]


FULL_MESSAGE = a_full_message()


def read_all(data: bytes) -> None:
    """What a server does with bytes of a stranger."""
    try:
        message = parse_agent_message(decode_frame(data))
    except ProtocolError:
        return
    assert len(message.instance_uid) == 16
    hash(tuple(map(type, read_reports(message))))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    read_all(data)
    read_all(b"\x00" + data)
    read_all(b"\x00\x0a\x10" + UID + data)


@st.composite
def mutated_messages(draw: st.DrawFn) -> bytes:
    data = bytearray(FULL_MESSAGE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["set", "cut", "insert", "repeat"])):
            case "set":
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                data[at:at] = data[at : at + 30]
        if not data:
            return b""
    return bytes(data)


@settings(deadline=None)
@given(mutated_messages())
def test_damaged_messages_are_read_or_refused(data: bytes) -> None:
    read_all(data)
    read_all(encode_frame(data))


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 9))
def test_a_frame_gives_back_its_message_however_long_its_zero_is(body: bytes, extra: int) -> None:
    assert decode_frame(encode_frame(body)) == body
    assert decode_frame(b"\x80" * extra + b"\x00" + body) == body


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_a_client_survives_any_answer(data: bytes) -> None:
    for answer in (data, b"\x0a\x10" + UID + data):
        agent = ClientState(UID, {}, {}, EVERYTHING)
        try:
            step = agent.receive(answer, 0.0)
        except ProtocolError:
            continue
        for message in step.outgoing:
            assert parse_agent_message(message).instance_uid in {UID, agent.uid}


texts = st.text(max_size=12)
objects = st.lists(
    st.tuples(texts, texts, texts, st.binary(max_size=40)),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one[0],
)


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16), objects, st.binary(min_size=1, max_size=64), st.binary(max_size=40))
def test_a_spliced_offer_is_the_message_that_is_built_whole(
    uid: bytes, entries: list[tuple[str, str, str, bytes]], config_hash: bytes, statement: bytes
) -> None:
    shared = build_remote_config(entries, ConfigHash(config_hash))
    spliced = head(uid) + shared.tail + custom_message_tail("c", "t", statement)
    whole = pb.ServerToAgent(
        instance_uid=uid,
        custom_message=pb.CustomMessage(capability="c", type="t", data=statement),
        remote_config=pb.AgentRemoteConfig(
            config_hash=config_hash,
            config=pb.AgentConfigMap(
                config_map={
                    name: pb.AgentConfigObject(body=body, content_type=content_type, role=role)
                    for name, content_type, role, body in entries
                }
            ),
        ),
    )
    assert pb.ServerToAgent.FromString(spliced) == whole
