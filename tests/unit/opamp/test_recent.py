"""The newest errors of an agent, whatever form it gives them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.opamp import messages as m
from gitsync.opamp import recent, reports
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb

Any = anyvalue.AnyValue
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def entry(**fields: Any) -> Any:
    pairs = [anyvalue.KeyValue(key=key, value=value) for key, value in fields.items()]
    return Any(kvlist_value=anyvalue.KeyValueList(values=pairs))


def listed(*entries: Any) -> Any:
    return Any(array_value=anyvalue.ArrayValue(values=entries))


def texts(*messages: str) -> Any:
    return listed(*(entry(message=Any(string_value=one)) for one in messages))


def test_a_list_of_maps_is_read() -> None:
    value = listed(
        entry(
            timestamp=Any(string_value="2026-11-21T12:00:00Z"),
            message=Any(string_value="a\n b"),
            count=Any(int_value=3),
        ),
        entry(message=Any(string_value="no time"), count=Any(double_value=2.0), more=Any(bool_value=True)),
    )
    assert recent.read_recent_errors(value) == (m.RecentError(AT, "a b", 3), m.RecentError(None, "no time", 2))


def test_json_text_is_read_as_well() -> None:
    body = [{"timestamp": 1795262400, "message": "refused", "count": 4}, "junk", {"count": 1}, {"message": 5}]
    found = recent.read_recent_errors(Any(string_value=json.dumps(body)))
    assert found == (m.RecentError(AT, "refused", 4),)


@pytest.mark.parametrize(
    "value", [1795262400, 1795262400_000, 1795262400_000_000, 1795262400_000_000_000, 1795262400.0]
)
def test_a_time_is_understood_in_every_unit(value: float) -> None:
    assert recent.read_time(value) == AT


@pytest.mark.parametrize("text", ["2026-11-21T12:00:00+00:00", "2026-11-21 13:00:00+01:00", "2026-11-21T12:00:00"])
def test_a_time_is_understood_with_and_without_its_zone(text: str) -> None:
    assert recent.read_time(text) == AT


@pytest.mark.parametrize(
    "value", ["yesterday", "", 0, -1, float("nan"), float("inf"), True, None, [], "9999-12-31T23:59:59-12:00"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert recent.read_time(value) is None


@pytest.mark.parametrize("count", [0, -3, 2**63 - 1])
def test_what_is_no_count_is_one(count: int) -> None:
    value = listed(entry(message=Any(string_value="x"), count=Any(int_value=count)))
    assert recent.read_recent_errors(value)[0].count == 1


def test_the_newest_ten_are_kept_newest_first() -> None:
    body = [{"timestamp": 1795262400 + number, "message": str(number)} for number in range(50)]
    found = recent.read_recent_errors(Any(string_value=json.dumps(body)))
    assert [one.message for one in found] == [str(number) for number in range(49, 39, -1)]


def test_texts_are_bounded_and_empty_ones_left_out() -> None:
    found = recent.read_recent_errors(texts("e" * 100_000, " ", "", "nul\0"))
    assert [len(one.message) for one in found] == [recent.MAX_MESSAGE_CHARS, 4]
    assert len(recent.read_recent_errors(texts(*["x"] * 5_000))) == recent.MAX_RECENT_ERRORS


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "null", "[" * 16_000, "[1" + "0" * 6_000 + "]", '[{"message":"x"}' + " " * 20_000 + "]"]
)
def test_json_that_cannot_be_used_is_nothing(text: str) -> None:
    assert recent.read_recent_errors(Any(string_value=text)) == ()


@pytest.mark.parametrize(
    "value", [Any(), Any(int_value=1), Any(bytes_value=b"x"), entry(message=Any(string_value="x"))]
)
def test_another_kind_of_value_is_nothing(value: Any) -> None:
    assert recent.read_recent_errors(value) == ()


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail(raw: bytes) -> None:
    try:
        value = Any.FromString(raw)
    except Exception:  # what is no message does not get this far
        return
    assert len(recent.read_recent_errors(value)) <= recent.MAX_RECENT_ERRORS


def test_a_health_report_carries_them() -> None:
    pair = anyvalue.KeyValue(key="recent_errors", value=texts("boom"))
    other = anyvalue.KeyValue(key="queue_size", value=Any(int_value=7))
    found = reports.read_health(pb.ComponentHealth(healthy=True, attributes=[other, pair]))
    assert found.recent_errors == (m.RecentError(None, "boom"),)
    assert found.attributes == {"queue_size": "7"}
