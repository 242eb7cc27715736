"""OTTL inside of a configuration: what is judged, and where it is shown."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.embedded import Site
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Scalar, Sequence
from gitsync.collector.texts import check_site
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog

TABLES = catalog().build(None, []).newest.ottl
TRACES = ("resource", "scope", "span", "spanevent")


def scalars(text: str) -> tuple[Scalar, ...]:
    """The texts of a file that is a list under `t`."""
    node, found = parse_mapping("c.yaml", text.encode())
    assert isinstance(node, Mapping), found
    items = node.get("t")
    assert isinstance(items, Sequence)
    return tuple(one for one in items.items if isinstance(one, Scalar))


def judged(site: Site, text: str = "") -> tuple[Diagnostic, ...]:
    findings = Findings("c.yaml")
    check_site(site, TABLES, {"c.yaml": text} if text else {}, findings)
    return findings.done()


def transform(text: str, context: str | None = "span") -> tuple[Diagnostic, ...]:
    """What is found in a list of statements of the transform processor."""
    return judged(Site("processor/transform", context, TRACES, statements=scalars(text)), text)


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ("- set(name, nope)", (2, 12)),
        ("-    set(name, nope)", (2, 15)),
        ("- 'set(name, nope)'", (2, 13)),
        ('- "set(name, \\u006eope)"', (2, 13)),
        ("- |\n  set(name,\n    nope)", (4, 4)),
        ("- >-\n  set(name,\n  nope)", (4, 3)),
        ("- set(name,\n  nope)", (3, 3)),
        ('- |\n  set(name, "日本")\n    where nope == 1', (4, 10)),
    ],
)
def test_a_fault_is_shown_at_its_character_of_the_file(item: str, place: tuple[int, int]) -> None:
    text = f"t:\n{item}\n"
    (one,) = transform(text)
    assert one.severity is Severity.ERROR
    line = text.splitlines()[place[0] - 1]
    at = next(index for index in range(len(line)) if line[index:].startswith(("nope", "\\u006eope")))
    assert (one.line, one.column) == (place[0], at + 1)


def test_without_its_file_a_fault_is_shown_at_the_beginning_of_its_text() -> None:
    (one,) = judged(Site("processor/transform", "span", TRACES, statements=scalars("t:\n- 'set(name, nope)'\n")))
    assert (one.line, one.column) == (2, 3)


def test_what_the_agent_fills_in_is_not_judged() -> None:
    assert transform("t:\n- set(name, ${env:NAME})\n- ${file:statement}\n") == ()
    assert [one.line for one in transform("t:\n- set(name, ${env:NAME})\n- set(nope, 1)\n")] == [3]


def test_a_group_whose_context_hangs_on_what_the_agent_fills_in_is_not_judged() -> None:
    assert transform("t:\n- set(name, 1)\n- set(${env:PATH}, 1)\n", None) == ()
    assert [one.code for one in transform("t:\n- set(name, 1)\n", None)] == ["GS1030"]


def test_escaped_dollars_are_read_as_the_component_reads_them() -> None:
    text = 't:\n- replace_pattern(name, "a(b)", "$${1}") where nope == 1\n'
    (one,) = transform(text)
    assert (one.line, one.column) == (2, text.splitlines()[1].index("nope") + 1)


def test_what_a_component_reads_at_its_start_is_one_warning_with_one_code() -> None:
    site = Site(
        "processor/tail_sampling", "span", stage="start", conditions=scalars("t:\n- nope == 1\n- name == 1 and\n")
    )
    found = judged(site, "t:\n- nope == 1\n- name == 1 and\n")
    assert {(one.severity, one.code) for one in found} == {(Severity.WARNING, "GS0280")}
    assert [one.line for one in found] == [2, 3]
    assert all(one.message.startswith("the Collector fails at its start: ") for one in found)


def test_warnings_stay_what_they_are_when_they_are_read() -> None:
    (one,) = transform('t:\n- delete_key(name, "x")\n') or (None,)
    assert one is not None
    text = "t:\n- 'name == 1'\n"
    for stage in ("validate", "start"):
        found = judged(Site("processor/filter", "span", stage=stage, conditions=scalars(text)), text)  # type: ignore[arg-type]
        assert [(each.severity, each.code[:4]) for each in found] == [(Severity.WARNING, "GS10")]


def test_a_fallback_counts_when_no_context_can_be_found_out() -> None:
    text = 't:\n- route() where attributes["a"] == 1\n'
    routing = ("resource", "span", "metric", "datapoint", "log")
    with_it = Site("connector/routing", None, routing, fallback="resource", statements=scalars(text))
    assert judged(with_it, text) == ()
    without = Site("connector/routing", None, routing, statements=scalars(text))
    assert [one.code for one in judged(without, text)] == ["GS1030"]


def test_each_condition_of_the_filter_processor_has_a_context_of_its_own() -> None:
    text = 't:\n- span.name == "a"\n- resource.attributes["a"] == 1\n- spanevent.nope == 1\n'
    site = Site("processor/filter", None, TRACES, separately=True, conditions=scalars(text))
    assert [(one.code, one.line, one.column) for one in judged(site, text)] == [("GS1023", 4, 3)]


def test_values_are_expressions_without_a_condition() -> None:
    text = 't:\n- attributes["a"]\n- Double(nope)\n- a == 1\n'
    site = Site("connector/signal_to_metrics", "span", values=scalars(text))
    assert [(one.code[:4], one.line) for one in judged(site, text)] == [("GS10", 3), ("GS10", 4)]
