"""Settings as rules see them: written values, defaults, null, and what only the agent knows."""

import pytest

from gitsync.collector.document import Scalar
from gitsync.collector.settings import is_known
from tests.support.rules import settings_of

DEFAULTS = {"name": "n", "count": 5, "on": True, "wait": "1s", "list": ["x"], "map": {"a": 1}}


def test_an_absent_value_is_the_default() -> None:
    one = settings_of("receiver/x", "{}", DEFAULTS)
    assert (one.text("name"), one.number("count"), one.flag("on")) == ("n", 5, True)
    assert (one.nanoseconds("wait"), one.value("list"), one.is_empty("list")) == (10**9, ["x"], False)


def test_null_is_zero_for_scalars_and_the_default_for_everything_else() -> None:
    one = settings_of("receiver/x", "{name: , count: , on: , wait: , list: , map: }", DEFAULTS)
    assert (one.text("name"), one.number("count"), one.flag("on"), one.nanoseconds("wait")) == ("", 0, False, 0)
    assert (one.value("name"), one.value("count"), one.default("on"), one.is_nulled("on")) == (None, None, None, True)
    assert (one.text("name", default="x"), one.text("none", default="x")) == ("", "x")
    assert (one.value("list"), one.below("map").number("a")) == (["x"], 1)
    assert (one.is_empty("name"), one.is_empty("list"), one.has("name")) == (True, False, False)


def test_a_value_that_the_agent_fills_in_is_not_known() -> None:
    one = settings_of("receiver/x", "{name: '${env:X}', count: '${env:N}', wait: '${env:N}s'}", DEFAULTS)
    assert (one.text("name"), one.number("count"), one.nanoseconds("wait"), one.value("name")) == (None,) * 4


def test_an_escaped_reference_is_known_and_seen_as_the_component_sees_it() -> None:
    one = settings_of("receiver/x", "name: '$${1}-$$'")
    assert (one.text("name"), one.value("name")) == ("${1}-$", "${1}-$")


@pytest.mark.parametrize(("text", "known"), [("${X}", False), ("$${X}", True), ("${X", True), ("$X", True)])
def test_only_real_references_make_a_text_unknown(text: str, known: bool) -> None:
    node = settings_of("receiver/x", f"a: '{text}'").node("a")
    assert isinstance(node, Scalar)
    assert is_known(node) is known


def test_a_value_of_the_wrong_kind_is_nothing_to_a_rule() -> None:
    one = settings_of("receiver/x", "{name: 1, count: x, on: [true], wait: 1d}", DEFAULTS)
    assert (one.text("name"), one.number("count"), one.flag("on"), one.nanoseconds("wait")) == (None,) * 4


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ("[a, '${X}', b]", ["a", "b"]),
        ("a", ["a"]),
        ("'a,b'", ["a", "b"]),
        ("''", []),
        ("~", []),
        ("[]", []),
        ("${X}", None),
        ("5", None),
        ("{}", None),
    ],
)
def test_one_text_stands_for_a_list_split_at_its_commas(written: str, texts: list[str] | None) -> None:
    found = settings_of("receiver/x", f"list: {written}", DEFAULTS).texts("list")
    assert (None if found is None else [one.text for one in found]) == texts
