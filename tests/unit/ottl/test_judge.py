"""Texts and groups, as a component would read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.diagnostics import Severity
from gitsync.ottl.judge import FILTER, SIGNAL_CONTEXTS, Group, GroupFindings, judge_group, judge_text
from gitsync.ottl.tables import OttlTables
from gitsync.ottl.tree import Kind

FILE = Path(__file__).resolve().parents[3] / "schemas/collector/0.159.0/ottl.json"
TABLES = OttlTables.from_json(json.loads(FILE.read_text()))
TRACES = SIGNAL_CONTEXTS["traces"]
METRICS = SIGNAL_CONTEXTS["metrics"]


def codes(found: GroupFindings) -> list[list[str]]:
    return [[one.code for one in findings] for findings in (*found.statements, *found.conditions)]


def test_a_text_is_read_and_checked() -> None:
    assert judge_text('set(span.name, "x")', "statement", "span", TABLES) == ()
    assert [one.code for one in judge_text("drop()", "statement", "span", TABLES)] == ["GS1040"]
    assert judge_text("span.kind == 1", "condition", "span", TABLES) == ()
    assert judge_text("Len(log.body)", "value", "log", TABLES) == ()


def test_a_text_that_cannot_be_read_is_not_checked() -> None:
    found = judge_text("set(span.nam,", "statement", "span", TABLES)
    assert found
    assert all("GS1001" <= one.code <= "GS1019" for one in found)


def test_the_context_is_known_in_any_case() -> None:
    assert judge_text('set(span.name, "x")', "statement", "Span", TABLES) == ()
    assert judge_text("spanevent.name == nil", "condition", "SPANEVENT", TABLES) == ()


def test_an_unknown_context_is_one_finding() -> None:
    (found,) = judge_text("set(", "statement", "spam", TABLES)
    assert (found.code, found.start, found.end) == ("GS1020", 0, 0)
    assert found.message == 'there is no context "spam" here'
    assert found.hint == 'did you mean "span"?'


def test_a_text_may_leave_out_its_context_only_when_that_is_allowed() -> None:
    assert judge_text('name == "x"', "condition", "span", TABLES, contextless=True) == ()
    assert judge_text('name == "x"', "condition", "span", TABLES) != ()


def test_the_functions_of_a_component_can_be_chosen() -> None:
    functions = TABLES.functions_for(FILTER, "metric")
    assert judge_text('HasAttrKeyOnDatapoint("a")', "condition", "metric", TABLES, functions=functions) == ()
    assert judge_text('HasAttrKeyOnDatapoint("a")', "condition", "metric", TABLES) != ()


def test_a_gate_can_be_switched_on() -> None:
    text = 'set(span.attributes["a"], Filter(span.attributes, (k, v) => v != nil))'
    assert judge_text(text, "statement", "span", TABLES, gates=frozenset({"ottl.functions.enableLambda"})) == ()
    assert judge_text(text, "statement", "span", TABLES) != ()


def test_a_group_shares_the_context_that_its_paths_mean() -> None:
    found = judge_group(
        Group(None, ('set(resource.attributes["a"], 1)', 'set(span.name, "x")'), ("IsRootSpan()",)), TABLES, TRACES
    )
    assert found.context == "span"
    assert codes(found) == [[], [], []]


def test_a_group_that_says_its_context_may_leave_it_out() -> None:
    group = Group("Span", ('set(name, attributes["a"])',), ('status.code == 2 and span.name != ""',))
    found = judge_group(group, TABLES, TRACES)
    assert (found.context, found.whole) == ("span", ())
    assert codes(found) == [[], []]
    assert codes(judge_group(Group(None, group.statements, group.conditions), TABLES, TRACES))[0] == [
        "GS1021",
        "GS1021",
    ]


def test_a_context_that_the_signal_does_not_have_is_a_fault_of_the_whole_group() -> None:
    found = judge_group(Group("log", ('set(log.body, "x")',)), TABLES, TRACES)
    assert [one.code for one in found.whole] == ["GS1020"]
    assert found.whole[0].hint == "contexts here are resource, scope, span, spanevent"
    assert found.context is None
    assert codes(found) == [[]]


def test_a_group_without_any_context_is_told_at_its_first_text() -> None:
    found = judge_group(Group(None, ('set(name, "x")', 'set(name, "y")')), TABLES, TRACES)
    assert found.context is None
    assert codes(found) == [["GS1030"], []]
    lost = judge_group(Group(None, ('drop() where name == "/healthz"',)), TABLES, TRACES)
    assert codes(lost) == [["GS1030", "GS1040"]]


def test_a_context_in_a_condition_of_the_filter_counts_for_it_alone() -> None:
    group = Group(None, (), ('resource.attributes["a"] == 1', "IsRootSpan()", 'span.name == "x"'))
    found = judge_group(group, TABLES, TRACES, component=FILTER, separately=True)
    assert found.context is None
    assert codes(found) == [[], ["GS1030"], []]
    assert codes(judge_group(group, TABLES, TRACES, component=FILTER)) == [[], [], []]


def test_conditions_of_the_transform_processor_use_the_functions_of_the_filter_processor() -> None:
    group = Group("metric", ("convert_sum_to_gauge()",), ('HasAttrKeyOnDatapoint("a")',))
    assert codes(judge_group(group, TABLES, METRICS)) == [[], []]
    assert codes(judge_group(group, TABLES, METRICS, conditions_of="processor/transform"))[1] == ["GS1041"]


def test_a_text_that_cannot_be_read_does_not_keep_the_others_from_being_checked() -> None:
    found = judge_group(Group(None, ("set(", 'set(span.nam, "x")')), TABLES, TRACES)
    assert found.context == "span"
    assert codes(found)[1] == ["GS1023"]
    assert codes(found)[0]


def test_a_group_without_texts_has_no_faults() -> None:
    assert judge_group(Group(None), TABLES, TRACES) == GroupFindings(None, (), (), ())
    assert judge_group(Group("span"), TABLES, TRACES).whole == ()


SAMPLES = [
    ('drop() where name == "/healthz"', "the filter processor"),
    ('set(status.message, "x") where duration > Duration("3s")', "span.end_time - span.start_time"),
    ('set(span.status.message, "x") where span.duration > Duration("3s")', "span.end_time - span.start_time"),
    ("convert_sum_to_gauge()", "in the context metric"),
    ('set(span.attributes.http.method, "x")', 'span.attributes["http.method"]'),
]


@pytest.mark.parametrize(("text", "words"), SAMPLES)
def test_mistakes_of_well_known_samples_name_the_right_thing(text: str, words: str) -> None:
    found = judge_text(text, "statement", "span", TABLES)
    assert any(words in one.hint for one in found if one.severity is Severity.ERROR)


@pytest.mark.parametrize(
    "text",
    [
        'set(span.status.message, "x") where span.end_time - span.start_time > Duration("3s")',
        'delete_key(span.attributes, "http.request.header.cookie") where span.kind == SPAN_KIND_SERVER',
        'set(span.attributes["http.method"], "x")',
    ],
)
def test_the_corrected_forms_are_fine(text: str) -> None:
    assert judge_text(text, "statement", "span", TABLES) == ()


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "(" * 5000, '"' + "\\" * 999, "é", 'set(span.name, "' + "a" * 200_000 + '")']
)
def test_hostile_texts_give_findings_and_no_exception(text: str) -> None:
    kinds: tuple[Kind, ...] = ("statement", "condition", "value")
    for kind in kinds:
        judge_text(text, kind, "span", TABLES)


PIECES = st.sampled_from(
    [
        "set(",
        "span.name",
        "span.attributes",
        '["a"]',
        "[0]",
        ", ",
        ")",
        "(",
        "where ",
        "IsMatch(",
        '"(a"',
        '"a"',
        "1",
        "2.5",
        "-",
        " + ",
        " == ",
        "nil",
        "SPAN_KIND_SERVER",
        "SHA256",
        "SHA256(",
        "[",
        "]",
        "{",
        "}",
        '"k": ',
        "(k, v) => ",
        "k",
        "not ",
        " and ",
        "true",
        "target=",
        "0x00",
        "Time(",
        '"%Y"',
        "replace_pattern(",
        "metric.name",
        "resource",
        "cache",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from(["span", "log", "datapoint"]), st.booleans())
def test_no_text_makes_the_judge_fail(text: str, context: str, contextless: bool) -> None:
    kinds: tuple[Kind, ...] = ("statement", "condition", "value")
    for kind in kinds:
        for one in judge_text(text, kind, context, TABLES, contextless=contextless):
            assert 0 <= one.start <= one.end <= len(text)
            assert one.message
    judge_group(Group(None, (text,), (text,)), TABLES, TRACES)
