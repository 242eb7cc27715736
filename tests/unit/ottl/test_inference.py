"""Which context a group belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitsync.ottl.inference import Inferred, infer
from gitsync.ottl.parser import parse
from gitsync.ottl.tables import OttlTables
from gitsync.ottl.tree import Kind

FILE = Path(__file__).resolve().parents[3] / "schemas/collector/0.159.0/ottl.json"
TABLES = OttlTables.from_json(json.loads(FILE.read_text()))
TRACES = ("resource", "scope", "span", "spanevent")
METRICS = ("resource", "scope", "metric", "datapoint", "exemplar")


def inferred(*texts: str, candidates: tuple[str, ...] = TRACES, kind: Kind = "statement") -> Inferred:
    roots = [parse(one, kind).root for one in texts]
    assert None not in roots
    return infer(
        [one for one in roots if one is not None],
        candidates,
        TABLES,
        lambda name: TABLES.functions_for("processor/transform", name),
    )


@pytest.mark.parametrize(
    ("texts", "context"),
    [
        (['set(span.name, "x")'], "span"),
        (['set(resource.attributes["a"], "x")'], "resource"),
        (['set(resource.attributes["a"], span.name)'], "span"),
        (['set(resource.attributes["a"], 1)', 'set(spanevent.name, "x") where span.kind == 1'], "spanevent"),
        (['set(span.attributes[spanevent.name], "x")'], "spanevent"),
        (['set(resource.attributes["a"], 1) where otelcol.client.addr == "x"'], "resource"),
        (['set(span.name, Split(span.name, "-")[spanevent.event_index])'], "spanevent"),
    ],
)
def test_the_most_specific_context_of_all_paths_wins(texts: list[str], context: str) -> None:
    assert inferred(*texts).context == context


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ('set(resource.attributes["a"], 1) where IsRootSpan()', "span"),
        ('set(resource.attributes["a"], SPAN_KIND_SERVER)', "spanevent"),
        ('set(scope.name, "x") where 1 == STATUS_CODE_OK', "spanevent"),
    ],
)
def test_a_function_or_an_enum_symbol_can_ask_for_a_more_specific_context(text: str, context: str) -> None:
    assert inferred(text).context == context


def test_functions_of_metrics_lead_to_the_context_that_has_them() -> None:
    assert inferred('scale_metric(2.0) where resource.attributes["a"] == 1', candidates=METRICS).context == "metric"
    assert inferred("set(exemplar.time, Now()) where datapoint.flags == 1", candidates=METRICS).context == "exemplar"


def test_names_that_a_lambda_binds_are_no_contexts() -> None:
    text = 'set(resource.attributes["a"], Filter(resource.attributes, (span, v) => span == v["x"]))'
    assert inferred(text).context == "resource"


def test_texts_without_any_context_have_none() -> None:
    found = inferred('set(name, "x")')
    assert found.context is None
    assert found.finding is not None
    assert found.finding.code == "GS1030"
    assert (found.finding.start, found.finding.end, found.finding.hint) == (4, 8, "write span.name")
    nowhere = inferred('set(no_such_path, "x")')
    assert nowhere.finding is not None
    assert nowhere.finding.hint == "write span.… in front of a path"
    nested = inferred('set(status.message, "x")', 'set(span.name, "y")', "set(status.code, 1)")
    assert nested.context == "span"


def test_a_path_without_its_context_is_shown_with_it() -> None:
    found = inferred('set(status.message, "x")')
    assert found.finding is not None
    assert (found.finding.code, found.finding.start, found.finding.end) == ("GS1021", 4, 18)
    assert found.finding.hint == "write span.status.message"


def test_a_path_without_its_context_is_judged_in_the_one_that_was_meant() -> None:
    found = inferred('set(status.message, "x") where resource.attributes["env"] == "prod"')
    assert found.context == "span"


def test_a_function_that_is_nowhere_decides_no_context() -> None:
    assert inferred("set(span.name, Nope(span.name))").context == "span"


def test_an_enum_symbol_that_is_nowhere_decides_no_context() -> None:
    assert inferred("set(span.kind, SPAN_KIND_SERVR)").context == "span"


def test_a_context_that_is_not_offered_is_named() -> None:
    found = inferred('set(resource.attributes["a"], 1)', 'set(log.body, "x")')
    assert found.finding is not None
    assert found.finding.code == "GS1031"
    assert '"log"' in found.finding.message
    assert found.index == 1
    assert (found.finding.start, found.finding.end) == (4, 7)
    assert inferred('set(otelcol.client.addr, "x")').finding is not None


def test_the_old_name_of_a_scope_is_no_context_of_its_own() -> None:
    found = inferred('set(instrumentation_scope.name, "x")')
    assert found.finding is not None
    assert found.finding.hint == "write scope"
    assert inferred('set(instrumentation_scope.name, "x") where span.kind == 1').context == "span"


def test_a_function_that_no_context_of_the_paths_has_is_named() -> None:
    found = inferred('set(span.name, "x")', "set(span.name, ParseCEF(span.name))")
    assert found.finding is not None
    assert (found.finding.code, found.index) == ("GS1031", 1)
    assert 'function "ParseCEF"' in found.finding.message
    assert inferred("set(span.kind, METRIC_DATA_TYPE_SUM)").finding is not None


def test_the_name_of_a_function_as_an_argument_counts_as_an_enum_symbol() -> None:
    found = inferred('replace_pattern(span.name, "a", "b", SHA256)')
    assert found.finding is not None
    assert 'enum symbol "SHA256"' in found.finding.message


def test_conditions_and_values_have_contexts_too() -> None:
    assert inferred('not (span.name == "x" or true)', kind="condition").context == "span"
    assert inferred('{"a": [-span.flags, spanevent.name]}', kind="value").context == "spanevent"
