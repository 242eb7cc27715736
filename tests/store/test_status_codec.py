"""The fast encoder of what agents report: whatever they report survives, and so do rows that were written before it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import GitsyncError
from gitsync.fleet.agent import Agent
from gitsync.fleet.health import keep
from gitsync.labels import RankedLabels
from gitsync.opamp.messages import ComponentHealth, PackagesReported, PackageState, PackageStatus
from gitsync.store.agentcodec import (
    decode_description,
    decode_labels,
    decode_status,
    encode_description,
    encode_labels,
    encode_status,
)
from gitsync.store.codec import dump
from gitsync.store.tables import clean
from tests.store import strategies as some
from tests.store.builders import an_agent, an_attempt

ODD = [
    "",
    "grün",
    "名前",
    "\U0001f600",
    "a\0b",
    '\x7f\x1f\n\t"\\/',
    "\ud800",
    "half \udfff pair",
    "\u2028\ufeff",
    "x" * 5_000,
]
# Two halves of a pair side by side are one character once they were read: JSON has no way to say it otherwise.
texts = st.text(st.characters(exclude_categories=()), max_size=12).filter(lambda one: _whole(one) == one)


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def earlier(kind: str, text: str) -> str:
    """The same body as the earlier encoder wrote it: compact JSON with everything escaped to ASCII."""
    written = dump(kind, {key: value for key, value in json.loads(text).items() if key != "v"})
    assert written.isascii()
    return written


def fits_every_database(text: str) -> bool:
    return clean(text) == text and text.encode().decode() == text


@pytest.mark.parametrize("odd", ODD)
def test_odd_texts_survive_wherever_they_stand(odd: str) -> None:
    labels = RankedLabels(reported=MappingProxyType({odd or "key": odd}), operator=MappingProxyType({"b": odd}))
    encoded = encode_labels(labels)
    assert fits_every_database(encoded)
    assert decode_labels(encoded) == labels == decode_labels(earlier("labels", encoded))
    health = keep(ComponentHealth(False, odd, odd, components={"c " + odd: ComponentHealth(True, odd)}))
    packages = PackagesReported({odd: PackageState(odd, b"h", odd, b"", PackageStatus.INSTALLED, odd)}, b"all", odd)
    attempt = an_attempt(error=odd)
    agent = replace(an_agent(), error=odd, current=attempt, health=health, packages=packages, flag=odd)
    status = encode_status(agent)
    assert fits_every_database(status)
    read = decode_status(status)
    assert read == decode_status(earlier("agent status", status))
    assert (read["error"], read["current"], read["packages"]) == (odd, attempt, packages)
    assert (read["health"], read["flag"]) == (health, odd)
    named = encode_description(replace(agent, identifying_keys=(odd,)))
    assert decode_description(named) == (odd,) == decode_description(earlier("description", named))


@given(st.dictionaries(texts, texts, max_size=4), st.dictionaries(texts, texts, max_size=4))
def test_any_labels_survive(reported: dict[str, str], assigned: dict[str, str]) -> None:
    labels = RankedLabels(reported=MappingProxyType(reported), operator=MappingProxyType(assigned))
    encoded = encode_labels(labels)
    assert decode_labels(encoded) == labels == decode_labels(earlier("labels", encoded))
    assert fits_every_database(encoded)


@given(some.agents, texts)
def test_rows_of_the_earlier_encoder_are_read_the_same(agent: Agent, error: str) -> None:
    told = replace(agent, error=error)
    for encode, decode, kind in (
        (encode_status, decode_status, "agent status"),
        (lambda one: encode_labels(one.labels), decode_labels, "labels"),
        (encode_description, decode_description, "description"),
    ):
        encoded = encode(told)
        assert decode(encoded) == decode(earlier(kind, encoded))  # type: ignore[operator]  # each with its own


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**80, -(2**63), -(2**63) - 1])
def test_numbers_survive_beyond_64_bits(number: int) -> None:
    agent = replace(an_agent(), current=an_attempt(revision=number, tries=abs(number)))
    encoded = encode_status(agent)
    assert decode_status(encoded)["current"] == agent.current
    assert decode_status(earlier("agent status", encoded))["current"] == agent.current


@given(st.none() | st.floats(0, 100))
def test_fractions_survive_exactly(percent: float | None) -> None:
    packages = PackagesReported({"p": PackageState("1", b"", "", b"", PackageStatus.INSTALLING, "", percent)}, b"", "")
    assert decode_status(encode_status(replace(an_agent(), packages=packages)))["packages"] == packages


@given(st.dictionaries(texts, texts, min_size=2, max_size=5), st.randoms())
def test_equal_labels_give_equal_texts_in_whatever_order_they_came(found: dict[str, str], random: Any) -> None:
    mixed = list(found.items())
    random.shuffle(mixed)
    one, other = (RankedLabels(reported=MappingProxyType(each)) for each in (found, dict(mixed)))
    assert encode_labels(one) == encode_labels(other)


@pytest.mark.parametrize("value", [b"bytes", object(), {1}], ids=["bytes", "object", "set"])
def test_what_has_no_json_form_is_refused_by_name(value: object) -> None:
    with pytest.raises(GitsyncError, match="agent status cannot be stored") as caught:
        encode_status(replace(an_agent(), flag=value))  # type: ignore[arg-type]  # a fault of ours
    assert caught.value.code == "store.encode"
