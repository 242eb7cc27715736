from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.bundle.version import Payload, TargetVersion
from gitsync.diagnostics import Diagnostic
from gitsync.errors import GitsyncError, SettingsError, TrustError
from gitsync.fleet.agent import Agent
from gitsync.labels import RankedLabels
from gitsync.opamp.messages import ComponentHealth
from gitsync.rollout.state import TargetState
from gitsync.store.agentcodec import (
    MAX_LABEL_KEY_BYTES,
    decode_description,
    decode_labels,
    decode_status,
    encode_description,
    encode_labels,
    encode_status,
    label_rows,
    signed,
    unsigned,
)
from gitsync.store.codec import (
    decode_diagnostics,
    decode_payload,
    decode_sources,
    decode_state,
    decode_texts,
    decode_version,
    dump,
    encode_diagnostics,
    encode_objects,
    encode_provenance,
    encode_state,
    encode_texts,
    encode_version,
    load,
    named_versions,
    parse_at,
    show_at,
)
from gitsync.store.tables import clean, from_micros, to_micros
from tests.store import strategies as some
from tests.store.builders import NOW, a_hash, a_payload, a_state, a_uid, a_version, an_agent, an_attempt

DECODERS = [
    decode_texts,
    decode_diagnostics,
    decode_version,
    decode_state,
    decode_sources,
    decode_labels,
    decode_description,
    decode_status,
    lambda text: decode_payload(bytes(32), text, None),
    lambda text: decode_payload(a_payload().digest, encode_objects(a_payload()), text),
]


@given(some.versions)
def test_a_target_version_survives_the_round_trip(version: TargetVersion) -> None:
    decoded = decode_version(encode_version(version))
    assert decoded == version
    assert dict(decoded.inputs) == dict(version.inputs)  # left out of the comparison


@given(some.states)
def test_a_target_state_survives_the_round_trip(state: TargetState) -> None:
    assert decode_state(encode_state(state)) == state


@given(some.payloads)
def test_a_payload_survives_the_round_trip(payload: Payload) -> None:
    decoded = decode_payload(payload.digest, encode_objects(payload), encode_provenance(payload))
    assert decoded == payload
    assert dict(decoded.provenance) == dict(payload.provenance)


@given(st.lists(some.diagnostics))
def test_diagnostics_survive_the_round_trip(diagnostics: list[Diagnostic]) -> None:
    assert decode_diagnostics(encode_diagnostics(diagnostics)) == tuple(diagnostics)


@given(st.lists(st.text(st.characters())))
def test_texts_survive_the_round_trip_whatever_they_hold(texts: list[str]) -> None:
    encoded = encode_texts(texts)
    assert decode_texts(encoded) == tuple(texts)
    assert clean(encoded) == encoded, "every database takes the encoded text as it is"


@given(some.agents)
def test_an_agent_survives_the_round_trip(agent: Agent) -> None:
    decoded = Agent(
        uid=agent.uid,
        labels=decode_labels(encode_labels(agent.labels)),
        identifying_keys=decode_description(encode_description(agent)),
        capabilities=unsigned(signed(agent.capabilities)),
        effective=agent.effective,
        components=agent.components,
        started_at=agent.started_at,
        **decode_status(encode_status(agent)),
    )
    assert decoded == agent


def test_every_field_of_an_agent_is_stored_somewhere() -> None:
    in_columns = {"uid", "labels", "identifying_keys", "capabilities"}
    in_columns |= {"effective", "components", "started_at"}
    in_status = set(decode_status(encode_status(an_agent())))
    # A time that begins anew with each connection, and with each server that loads the row.
    not_stored = {"lacking_since"}
    assert in_columns | in_status | not_stored == {one.name for one in fields(Agent)}
    assert not in_columns & in_status


def test_every_field_of_versions_and_states_is_stored() -> None:
    for kind, body in ((TargetVersion, encode_version(a_version())), (TargetState, encode_state(a_state(None)))):
        assert set(json.loads(body)) == {one.name for one in fields(kind)} | {"v"}


@given(some.uint64)
def test_all_64_capability_bits_fit_a_signed_column(bits: int) -> None:
    assert -(2**63) <= signed(bits) < 2**63
    assert unsigned(signed(bits)) == bits


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_survive_as_number_and_as_text(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at
    assert parse_at(show_at(at) or "") == at


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_at("2026-01-02T03:04:05")


def test_instants_are_shown_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert show_at(datetime(2026, 1, 2, 3, 4, 5, tzinfo=east)) == "2026-01-02T01:04:05+00:00"
    assert show_at(None) is None


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.binary(max_size=60) | st.text(max_size=60))
def test_what_we_did_not_write_is_refused_and_nothing_else(decode: Any, data: Any) -> None:
    with pytest.raises((TrustError, SettingsError)):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS)
@given(
    body=st.dictionaries(
        st.sampled_from(["items", "sources", "objects", "places", "reported", "identifying", "slots", "origin"]),
        st.none() | st.integers() | st.text(max_size=4) | st.lists(st.none()) | st.dictionaries(st.text(), st.none()),
    ).filter(lambda one: one.get("items") not in ([], "", {}) and one.get("sources") not in ([], "", {}))
)
def test_a_body_of_another_shape_is_refused_and_nothing_else(decode: Any, body: dict[str, Any]) -> None:
    if decode in (decode_texts, DECODERS[-1]):
        with suppress(TrustError):  # a list of anything, and no places at all, are readable
            decode(json.dumps({"v": 1, **body}))
        return
    with pytest.raises(TrustError):
        decode(json.dumps({"v": 1, **body}))


@pytest.mark.parametrize("decode", DECODERS)
def test_a_body_of_a_newer_program_says_so(decode: Any) -> None:
    with pytest.raises(SettingsError, match="version 2, this program reads up to 1") as refused:
        decode('{"v":2}')
    assert refused.value.code == "store.newer"


@pytest.mark.parametrize("version", ["0", "-1", '"1"', "null", "1.5", "[]"])
def test_a_version_number_that_is_none_is_refused(version: str) -> None:
    with pytest.raises(TrustError):
        load("thing", f'{{"v":{version}}}')


def test_values_without_a_json_form_are_refused() -> None:
    for value in (float("nan"), object(), b"bytes", NOW):
        with pytest.raises(GitsyncError, match="thing cannot be stored"):
            dump("thing", {"value": value})


def test_a_payload_with_another_body_is_refused() -> None:
    payload, other = a_payload("a: 1\n"), a_payload("a: 2\n")
    with pytest.raises(TrustError) as refused:
        decode_payload(payload.digest, encode_objects(other), None)
    assert refused.value.code == "store.digest"


def test_a_payload_without_objects_is_refused() -> None:
    with pytest.raises(TrustError):
        decode_payload(bytes(32), dump("payload", {"objects": []}), None)


def test_equal_values_have_equal_stored_forms() -> None:
    one = an_agent(labels=RankedLabels({"a": "1", "b": "2"}))
    other = an_agent(labels=RankedLabels({"b": "2", "a": "1"}))
    assert encode_labels(one.labels) == encode_labels(other.labels)


@given(some.states)
def test_every_digest_in_a_stored_state_is_a_named_version(state: TargetState) -> None:
    # Read from the stored text, so that a field which is added later cannot be forgotten in `named_versions`.
    found: set[bytes] = set()

    def walk(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            for name, one in value.items():
                walk(one, name)
        elif isinstance(value, list):
            for one in value:
                walk(one, key)
        elif isinstance(value, str) and len(value) == 64 and key not in ("reason", "evidence"):
            found.add(bytes.fromhex(value))

    walk(json.loads(encode_state(state)))
    assert named_versions(state) == found


def test_labels_that_sql_cannot_index_have_no_row_and_others_do() -> None:
    labels = RankedLabels({"k" * (MAX_LABEL_KEY_BYTES + 1): "v", "ok": "1", "zero\0": "2", "zero\ufffd": "3"})
    rows = label_rows(a_uid(1), labels)
    assert [(key, value) for _, key, _, value in rows] == [("ok", "1"), ("zero\ufffd", "2")]


def test_a_row_of_an_earlier_program_is_read() -> None:
    """As it was written when descriptions had their values, trees were whole, and packages were not kept."""
    stored = json.loads(encode_status(an_agent()))
    nodes = {f"receiver:{number}": {"healthy": True, "start": 5, "at": 6} for number in range(200)}
    stored["health"] = {"healthy": True, "components": nodes, "attributes": {"a": "b", "queue_size": "7"}}
    fields = decode_status(json.dumps(stored))
    assert fields["packages"] is None
    assert (fields["health"].attributes, fields["health"].components) == ({"queue_size": "7"}, {})
    earlier = dump("description", {"identifying": {"service.name": "a"}, "non_identifying": {"host.name": "b"}})
    assert decode_description(earlier) == ("service.name",)


def test_agents_that_are_read_back_share_what_they_have_in_common() -> None:
    status = encode_status(replace(an_agent(), health=ComponentHealth(True, components={"a": ComponentHealth(True)})))
    one, other = decode_status(status)["health"], decode_status(status)["health"]
    assert one.components is other.components
    first, second = (decode_labels(encode_labels(an_agent(number).labels)).reported for number in (1, 2))
    assert all(key is same for key, same in zip(first, second, strict=True))
    assert first["env"] is second["env"]


def test_an_attempt_is_stored_without_its_defaults_and_read_without_them() -> None:
    agent = replace(an_agent(), current=replace(an_attempt(), repeated=True, is_due=True))
    body = json.loads(encode_status(agent))
    assert (body["current"].pop("repeated"), body["current"].pop("is_due")) == (True, True)
    plain = replace(an_agent(), current=an_attempt())
    assert body == json.loads(encode_status(plain))
    assert decode_status(json.dumps(body))["current"] == plain.current


def test_a_health_tree_is_stored_without_its_defaults() -> None:
    agent = replace(an_agent(), current=an_attempt(), last_good=a_hash("x"))
    assert '"attributes"' not in encode_status(agent)
