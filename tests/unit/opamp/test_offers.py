"""Offers are the same message as one that is built whole, from bytes that are shared."""

from __future__ import annotations

import pytest

from gitsync.ids import ConfigHash
from gitsync.opamp.offers import build_remote_config, custom_message_tail, head
from gitsync.opamp.pb import opamp_pb2 as pb

UID = bytes(range(16))
HASH = ConfigHash(b"h" * 32)
OBJECTS = [
    ("collector.yaml", "text/yaml", "", b"receivers: {}\n"),
    ("ca.pem", "", "supplementary", b"\x00\xff"),
]


def whole_message() -> pb.ServerToAgent:
    entries = {
        name: pb.AgentConfigObject(body=body, content_type=content_type, role=role)
        for name, content_type, role, body in OBJECTS
    }
    offer = pb.AgentRemoteConfig(config=pb.AgentConfigMap(config_map=entries), config_hash=HASH)
    return pb.ServerToAgent(instance_uid=UID, remote_config=offer)


def test_head_and_tail_are_the_message_that_is_built_whole() -> None:
    message = head(UID) + build_remote_config(OBJECTS, HASH).tail
    assert pb.ServerToAgent.FromString(message) == whole_message()


def test_the_tail_names_no_agent() -> None:
    shared = build_remote_config(OBJECTS, HASH)
    assert UID not in shared.tail
    assert shared.digest == HASH


def test_the_order_of_objects_does_not_change_the_bytes() -> None:
    many = [(f"object-{number}", "", "", b"%d" % number) for number in range(100)]
    for objects in (OBJECTS, many):
        assert build_remote_config(objects, HASH) == build_remote_config(objects[::-1], HASH)


def test_a_statement_travels_in_the_message_of_its_configuration() -> None:
    shared = build_remote_config(OBJECTS, HASH)
    tail = custom_message_tail("io.gitsync.attestation.v1", "statement", b"{}")
    expected = whole_message()
    expected.custom_message.CopyFrom(
        pb.CustomMessage(capability="io.gitsync.attestation.v1", type="statement", data=b"{}")
    )
    assert pb.ServerToAgent.FromString(head(UID) + shared.tail + tail) == expected


@pytest.mark.parametrize("name", ["", "collector.yaml", "a/b c", "é"])
def test_any_name_is_legal(name: str) -> None:
    shared = build_remote_config([(name, "", "", b"x")], HASH)
    offer = pb.ServerToAgent.FromString(shared.tail).remote_config
    assert dict(offer.config.config_map) == {name: pb.AgentConfigObject(body=b"x")}


def test_an_empty_configuration_is_built_only_on_demand() -> None:
    with pytest.raises(ValueError, match="stops the Collector"):
        build_remote_config([], HASH)
    offer = pb.ServerToAgent.FromString(build_remote_config([], HASH, stop=True).tail).remote_config
    assert offer.HasField("config")
    assert not offer.config.config_map
    assert offer.config_hash == HASH


def test_stop_takes_no_objects() -> None:
    with pytest.raises(ValueError, match="takes no objects"):
        build_remote_config(OBJECTS, HASH, stop=True)


def test_two_objects_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two objects are named 'a'"):
        build_remote_config([("a", "", "", b"1"), ("a", "", "", b"2")], HASH)


def test_an_offer_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="config_hash is empty"):
        build_remote_config(OBJECTS, ConfigHash(b""))


def test_a_custom_message_without_a_capability_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a capability"):
        custom_message_tail("", "statement", b"")


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_uid_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"16 bytes, not {size}"):
        head(b"x" * size)
