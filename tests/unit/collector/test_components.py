"""Component and pipeline ids, and the nearest right name for a wrong one."""

import pytest

from gitsync.collector.components import BadId, normal_id, parse_component_id, parse_pipeline_id
from gitsync.collector.findings import MORE, Findings, joined
from gitsync.collector.node import Origin
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.wording import did_you_mean, nearest, quoted


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("otlp", "otlp", ""),
        ("otlp/2", "otlp", "2"),
        ("otlp/a/b", "otlp", "a/b"),
        (" otlp / a.b-c_d ", "otlp", "a.b-c_d"),
        ("k8s_cluster/日本", "k8s_cluster", "日本"),
        ("a" * 63, "a" * 63, ""),
        ("a/" + "n" * 1024, "a", "n" * 1024),
    ],
)
def test_an_id_is_a_type_and_a_name(text: str, kind: str, name: str) -> None:
    found = parse_component_id(text)
    assert (found.type, found.name) == (kind, name)
    assert parse_component_id(str(found)) == found
    assert normal_id(text) == str(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("/x", 'has nothing before "/"'),
        ("otlp/", 'has nothing after "/"'),
        ("otlp/ ", 'has nothing after "/"'),
        ("1otlp", "no component type"),
        ("ot-lp", "no component type"),
        ("ötlp", "no component type"),
        ("otlp\n", None),
        ("a" * 64, "no component type"),
        ("a/" + "n" * 1025, "more than 1024 characters"),
        ("a/b c", "has a space in its name"),
        ("a/b\u00a0c", "in its name"),
        ("a/b\tc", r'has "\t" in its name'),
        ("a/b+c", 'has "+" in its name'),
        ("a/$x", 'has "$" in its name'),
        ("a/\u200b", "in its name"),
    ],
)
def test_what_is_no_id_is_explained(text: str, why: str | None) -> None:
    if why is None:
        assert str(parse_component_id(text)) == text.strip()
        return
    with pytest.raises(BadId) as caught:
        parse_component_id(text)
    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["traces", "metrics/a", "logs / b", "profiles"])
def test_a_pipeline_is_a_signal_and_a_name(text: str) -> None:
    assert str(parse_pipeline_id(text)) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trace", 'did you mean "traces"?'),
        ("Metrics/x", 'did you mean "metrics"?'),
        ("spam", "use traces, metrics"),
    ],
)
def test_an_unknown_signal_is_explained(text: str, hint: str) -> None:
    with pytest.raises(BadId, match="unknown signal") as caught:
        parse_pipeline_id(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "candidates", "found"),
    [
        ("otpl", ["otlp", "batch"], "otlp"),
        ("memory-limiter", ["batch", "memory_limiter"], "memory_limiter"),
        ("OTLP", ["otlq", "otlp"], "otlp"),
        ("otlp", [], None),
        ("otlp", ["zipkin"], None),
    ],
)
def test_the_nearest_name_is_found_or_none(name: str, candidates: list[str], found: str | None) -> None:
    assert nearest(name, candidates) == found
    assert did_you_mean(name, candidates) == (f'did you mean "{found}"?' if found else "")


def test_findings_are_sorted_without_repetition_and_bounded() -> None:
    findings = Findings("c.yaml", limit=2)
    findings.warning(Origin("c.yaml", 9, 1), "GS0217", "later")
    findings.error(Origin("c.yaml", 2, 1), "GS0201", "first")
    findings.error(Origin("c.yaml", 2, 1), "GS0201", "first")
    findings.error(None, "GS0201", "beyond the limit")
    assert [(one.line, one.code, one.severity) for one in findings.done()] == [
        (2, "GS0201", Severity.ERROR),
        (9, "GS0217", Severity.WARNING),
        (0, "GS0100", Severity.ERROR),
    ]
    assert findings.errors == 3
    assert findings.full


def test_a_flood_of_one_code_does_not_hide_another_that_a_policy_may_count() -> None:
    findings = Findings("c.yaml", limit=2)
    for line in range(1, 5):
        findings.warning(Origin("c.yaml", line, 1), "GS1103", "flood")
    findings.warning(Origin("c.yaml", 9, 1), "GS1104", "meant to be overlooked")
    assert [one.code for one in findings.done()] == ["GS1103", "GS1103", "GS1104", "GS0100"]


def test_a_finding_that_holds_in_some_versions_names_them_unless_some_are_left_out() -> None:
    here, there = a_finding("GS0231", "here"), a_finding("GS0231", "there")
    more, fewer = a_finding(MORE, "7 more"), a_finding(MORE, "6 more")
    assert [one.message for one in joined({"0.1.0": [here, there], "0.2.0": [here]})] == ["here", "there (in 0.1.0)"]
    assert list(joined({"0.1.0": [here, there, more], "0.2.0": [here, fewer]})) == [here, there, more]
    assert list(joined({"0.1.0": [here, here], "0.2.0": [here, here]})) == [here]


def a_finding(code: str, message: str) -> Diagnostic:
    return Diagnostic("c.yaml", 1, 1, Severity.ERROR, code, message, "")


def test_a_users_text_stays_on_one_line() -> None:
    assert quoted("a\nb\u2028c") == r'"a\nb\u2028c"'
    assert len(quoted("x" * 200)) == 82
