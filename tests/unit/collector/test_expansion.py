"""`${…}`: what is refused, what stays as it is, what a component sees. The table was measured with confmap v1.65."""

import pytest

from gitsync.collector.document import parse_yaml
from gitsync.collector.expansion import CORE_SCHEMES, check_expansions, expand
from gitsync.collector.findings import Findings
from gitsync.diagnostics import Diagnostic, Severity


def found(text: str, **options: object) -> tuple[Diagnostic, ...]:
    result = parse_yaml("c.yaml", text.encode())
    assert result.node is not None, result.diagnostics
    findings = Findings("c.yaml")
    sources = {"c.yaml": text}
    check_expansions(result.node, findings, sources=sources, **options)  # type: ignore[arg-type]
    return findings.done()


@pytest.mark.parametrize(
    "text",
    [
        "${env:X}",
        "${X}",
        "a ${X} b",
        "$${X}",
        "$$${X}",
        "$$$${X}",
        "${Y} $${X}",
        "${X} $${X}",
        "$${1}",
        "$1",
        "$$X",
        "pa$word$",
        "^(a|b)$",
        "X}",
        "} ${X}",
        "${env:X:-d}",
        "${env:UNSET:-}",
        "${env:U:-${env:X}}",
        "${env:${env:U:-X}}",
        "${${X}}",
        "${${X}:y}",
        "${env:X}${env:N}",
        "${yaml:[1,2]}",
        "${yaml:{a: 1}}",
        "${http://a}",
        "${s3://bucket/key}",
        "${X}}",
        "{{ ${X} }}",
        "$${X}$${Y}",
        "${env:U:-a:b-c}",
        "%X%",
        "$(x)",
    ],
)
def test_what_the_collector_takes_is_not_reported(text: str) -> None:
    assert found(f"a: '{text}'") == ()


@pytest.mark.parametrize(
    ("text", "code", "column", "hint"),
    [
        ("${1}", "GS0221", 1, 'write "$${1}" for a group of a regular expression'),
        ("x ${1}", "GS0221", 3, 'write "$${1}"'),
        ("${env:A-B}", "GS0221", 1, 'letters, digits and "_"'),
        ("${X.Y}", "GS0221", 1, 'letters, digits and "_"'),
        ("${ X }", "GS0221", 1, "remove the spaces"),
        ("${env: X}", "GS0221", 1, "remove the spaces"),
        ("${env:UNSET:d}", "GS0221", 1, '"${env:UNSET:-…}"'),
        ("${}", "GS0220", 1, "$${"),
        ("${env:}", "GS0220", 1, "$${"),
        ("${env::-x}", "GS0220", 1, "$${"),
        ("${:}", "GS0222", 1, "$${"),
        ("${X:-d}", "GS0222", 1, 'write "${env:X:-…}"'),
        ("${FOO:-bar}", "GS0222", 1, 'write "${env:FOO:-…}"'),
        ("${a:b}", "GS0222", 1, "${env:NAME}"),
        ("${ENV:X}", "GS0222", 1, 'did you mean "env"?'),
        ("${vault:x}", "GS0222", 1, "${env:NAME}"),
        ("${env:U:-$X}", "GS0223", 1, "${env:NAME}"),
        ("${env:U:-a$}", "GS0223", 1, "${env:NAME}"),
    ],
)
def test_what_the_collector_refuses_is_an_error_at_the_reference(text: str, code: str, column: int, hint: str) -> None:
    errors = [one for one in found(f"a:\n  - '{text}'") if one.severity is Severity.ERROR]
    assert [(one.code, one.line, one.column) for one in errors] == [(code, 2, 5 + column)]
    assert hint in errors[0].hint


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("${X", "GS0224", 1),
        ("a ${X:-", "GS0224", 3),
        ("${X} ${", "GS0224", 6),
        ("$X", "GS0225", 1),
        ("$my_name", "GS0225", 1),
        ("http://$HOST:1", "GS0225", 8),
        ("$(POD_IP):4317", "GS0225", 1),
        ("$${X} ${Y}", "GS0226", 7),
        ("${env:U:-$${env:X}}", "GS0226", 1),
    ],
)
def test_what_silently_stays_as_it_is_is_a_warning(text: str, code: str, column: int) -> None:
    (one,) = found(f"a: '{text}'")
    assert (one.severity, one.code, one.column) == (Severity.WARNING, code, 4 + column)


def test_the_schemes_depend_on_the_distribution() -> None:
    assert found("a: ${s3://b/k}") == ()
    (core,) = found("a: ${s3://b/k}", schemes=CORE_SCHEMES)
    assert (core.code, core.severity) == ("GS0222", Severity.ERROR)
    (custom,) = found("a: ${vault:b}", schemes=None)
    assert custom.severity is Severity.WARNING
    assert found("a: ${b:c}", schemes=None)[0].severity is Severity.ERROR


def test_references_in_keys_are_not_filled_in() -> None:
    (one,) = found("${env:X}: 1")
    assert (one.code, one.line, one.column) == ("GS0227", 1, 1)


def test_the_place_of_a_fault_is_exact_inside_a_block() -> None:
    (one,) = found("a:\n  - |\n    first\n    then ${1} it\n")
    assert (one.line, one.column) == (4, 10)


def test_an_alias_is_reported_once_where_it_is_written() -> None:
    (one,) = found("a: &x {b: '${1}'}\nc: *x\nd: [*x, *x]\n")
    assert one.line == 1


@pytest.mark.parametrize(
    ("text", "seen", "known"),
    [
        ("plain", "plain", True),
        ("$${1}", "${1}", True),
        ("$$${X}", "$${X}", False),
        ("$$$${X}", "$${X}", True),
        ("$1", "$1", True),
        ("$$$X", "$$X", True),
        ("a$$b$$c", "a$b$c", True),
        ("${X", "${X", True),
        ("$${X} ${Y}", "${X} ${Y}", True),
        ("a ${env:X} $${Y}", "a ${env:X} ${Y}", False),
        ("${env:A:-${env:B}}", "${env:A:-${env:B}}", False),
    ],
)
def test_a_component_sees_single_dollars_and_references_as_holes(text: str, seen: str, known: bool) -> None:
    expanded = expand(text)
    assert (expanded.text, expanded.known) == (seen, known)


def test_offsets_lead_back_to_the_characters_that_were_written() -> None:
    text = "a$$b ${env:X} $$$${Y}"
    expanded = expand(text)
    assert expanded.text == "a$b ${env:X} $${Y}"
    assert expanded.holes == ((4, 12),)
    assert [text[expanded.offset(index)] for index in range(len(expanded.text))] == list(expanded.text)
    assert expanded.offset(len(expanded.text)) == len(text)


@pytest.mark.parametrize(
    ("text", "typed"),
    [("${X}", True), ("${A}${B}", True), ("${env:A:-${env:B}}", True), ("x${X}", False), ("$${X}", False), ("", False)],
)
def test_only_a_value_of_nothing_but_references_may_become_anything(text: str, typed: bool) -> None:
    assert expand(text).typed is typed


def test_too_many_references_are_refused_as_by_the_collector() -> None:
    text = "a: '" + "".join(f"${{X{index}}}" for index in range(1001)) + "'"
    assert [one.code for one in found(text)] == ["GS0220"]
    assert not expand("${" * 3000 + "X" + "}" * 3000).known


def test_hostile_texts_cost_little() -> None:
    for text in ("${" * 400_000, "}" * 800_000, "$" * 900_000 + "{X}", "${X}" * 200_000):
        expand(text)
        found(f"a: '{text}'")
