"""Connection settings as bytes: complete or not built, by capability, under a hash over all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitsync.opamp.connection import (
    OPAMP,
    TELEMETRY,
    Certificate,
    ConnectionSettings,
    Destination,
    connection_tail,
    offerable,
)
from gitsync.opamp.messages import Capability
from gitsync.opamp.offers import head
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import a_uid

CERTIFICATE = Certificate(b"cert", b"key", b"ca")
OPAMP_TLS = Destination("wss://g/v1/opamp", (("Authorization", "Bearer abc"),), CERTIFICATE)
ALL = ConnectionSettings(
    opamp=OPAMP_TLS,
    heartbeat_seconds=45,
    own_metrics=Destination("https://o/v1/metrics"),
    own_traces=Destination("https://o/v1/traces"),
    own_logs=Destination("https://o/v1/logs", certificate=CERTIFICATE),
    other={"db": Destination("db:5432", settings=(("pool", "3"),)), "cache": Destination("c:1")},
)
EVERYTHING = 0xFFFF


def read(settings: ConnectionSettings, bits: int = EVERYTHING, *names: str) -> pb.ConnectionSettingsOffers:
    """The offer as an agent reads it."""
    offer = offerable(settings, bits)
    data = head(a_uid()) + connection_tail(offer, names or offer.sections)
    message = pb.ServerToAgent.FromString(data)
    assert {field.name for field, _ in message.ListFields()} == {"instance_uid", "connection_settings"}
    return message.connection_settings


def test_an_agent_reads_all_that_it_is_offered() -> None:
    offers = read(ALL)
    assert offers.opamp == pb.OpAMPConnectionSettings(
        destination_endpoint="wss://g/v1/opamp",
        headers=pb.Headers(headers=[pb.Header(key="Authorization", value="Bearer abc")]),
        certificate=pb.TLSCertificate(cert=b"cert", private_key=b"key", ca_cert=b"ca"),
        heartbeat_interval_seconds=45,
    )
    assert offers.own_metrics.destination_endpoint == "https://o/v1/metrics"
    assert offers.own_traces.destination_endpoint == "https://o/v1/traces"
    assert offers.own_logs.certificate.ca_cert == b"ca"
    assert dict(offers.other_connections["db"].other_settings) == {"pool": "3"}
    assert set(offers.other_connections) == {"db", "cache"}
    assert offers.hash == offerable(ALL, EVERYTHING).hash


@pytest.mark.parametrize(
    ("bits", "fields"),
    [
        (Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS, {"opamp"}),
        (Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS, {"other_connections"}),
        (Capability.REPORTS_OWN_METRICS, {"own_metrics"}),
        (Capability.REPORTS_OWN_TRACES | Capability.REPORTS_OWN_LOGS, {"own_traces", "own_logs"}),
    ],
)
def test_no_section_is_for_an_agent_without_its_capability(bits: Capability, fields: set[str]) -> None:
    assert {field.name for field, _ in read(ALL, int(bits)).ListFields()} == {"hash", *fields}
    assert offerable(ALL, 0).sections == {}


def test_only_the_named_sections_are_in_an_offer_and_the_hash_is_that_of_all() -> None:
    offers = read(ALL, EVERYTHING, TELEMETRY)
    assert {field.name for field, _ in offers.ListFields()} == {"hash", "own_metrics", "own_traces", "own_logs"}
    assert offers.hash == read(ALL).hash


@pytest.mark.parametrize(
    "other",
    [
        replace(ALL, heartbeat_seconds=46),
        replace(ALL, opamp=replace(OPAMP_TLS, headers=(("Authorization", "Bearer abd"),))),
        replace(ALL, opamp=replace(OPAMP_TLS, certificate=Certificate(b"cert", b"kex", b"ca"))),
        replace(ALL, own_logs=None),
        replace(ALL, other={}),
        replace(ALL, other={"db": ALL.other["cache"], "cache": ALL.other["db"]}),
    ],
)
def test_the_hash_is_another_one_when_anything_is_secrets_included(other: ConnectionSettings) -> None:
    assert offerable(other, EVERYTHING).hash != offerable(ALL, EVERYTHING).hash


def test_own_telemetry_is_one_section_with_one_digest() -> None:
    one, two = offerable(ALL, EVERYTHING), offerable(replace(ALL, own_traces=None), EVERYTHING)
    assert one.sections[TELEMETRY].digest != two.sections[TELEMETRY].digest
    assert one.sections[OPAMP] == two.sections[OPAMP]


def test_the_same_settings_give_the_same_bytes_in_every_process() -> None:
    # Pinned: another value would make every agent that has settings reconnect.
    settings = ConnectionSettings(opamp=Destination("ws://localhost:4320/v1/opamp"))
    assert offerable(settings, EVERYTHING).hash.hex() == PINNED


PINNED = "b92c9c20883aee5e4c5ce22dc21301cd28045fa2d0618c0ffe8dc3bbcc25cf3e"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ConnectionSettings(opamp=Destination("")), "endpoint"),
        (ConnectionSettings(opamp=Destination("ws://g"), heartbeat_seconds=0), "heartbeat"),
        (ConnectionSettings(opamp=Destination("wss://g")), "certificate"),
        (ConnectionSettings(opamp=Destination("HTTPS://g")), "certificate"),
        (ConnectionSettings(opamp=replace(OPAMP_TLS, certificate=Certificate(b"c", b"", b"ca"))), "its key"),
        (ConnectionSettings(opamp=replace(OPAMP_TLS, certificate=Certificate(b"c", b"k", b""))), "authorities"),
        (ConnectionSettings(own_metrics=Destination("")), "endpoint"),
    ],
)
def test_settings_that_would_strand_an_agent_are_not_built(settings: ConnectionSettings, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        offerable(settings, EVERYTHING)


def test_an_offer_of_nothing_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one section"):
        connection_tail(offerable(ALL, EVERYTHING), [])


def test_no_secret_shows_when_settings_are_printed() -> None:
    assert "Bearer" not in repr(ALL)
    assert "key" not in repr(CERTIFICATE)
    assert "Bearer" not in repr(offerable(ALL, EVERYTHING))
