"""One component at a time: its name, its settings, its rules, its OTTL, and what the repository allows."""

import pytest

from gitsync.collector.component import ComponentCheck
from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping
from gitsync.collector.pipelines import Component, read_wiring
from gitsync.collector.policy import AS_THE_COLLECTOR, Policy
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog

NEW, OLD = "0.159.0", "0.149.0"


def component(section: str, text: str) -> Component:
    """The only component of a section."""
    node, found = parse_mapping("c.yaml", f"{section}:\n  {text}\n".encode())
    assert isinstance(node, Mapping), found
    (only,) = (read_wiring(node, Findings("c.yaml")).sections[section] or {}).values()
    return only


def a_check(policy: Policy = AS_THE_COLLECTOR, version: str = NEW, distribution: str = "contrib") -> ComponentCheck:
    build = catalog().build(distribution, [version])
    return ComponentCheck(build.newest, build, policy, {})


def found(
    section: str,
    text: str,
    policy: Policy = AS_THE_COLLECTOR,
    *,
    used: bool = True,
    version: str = NEW,
    distribution: str = "contrib",
) -> list[Diagnostic]:
    one = a_check(policy, version, distribution)
    signals = frozenset({"traces"} if used else ())
    return list(one.check(section.removesuffix("s"), component(section, text), used=used, signals=signals))


def codes(*arguments: object, **more: object) -> list[str]:
    return [one.code for one in found(*arguments, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("section", "text", "hint"),
    [
        ("receivers", "otpl: {}", 'did you mean "otlp"?'),
        ("exporters", "logging: {}", 'use "debug"; the logging exporter was removed'),
        ("exporters", "jaeger: {}", 'Jaeger takes OTLP: use "otlp_grpc"'),
        ("processors", "spanmetrics: {}", "spanmetrics is known as a connector: put it under connectors"),
        ("receivers", "debug: {}", "debug is known as an exporter: put it under exporters"),
        ("extensions", "memory_ballast: {}", "use the memory_limiter processor and the variable GOMEMLIMIT"),
        (
            "exporters",
            "our_own_thing: {}",
            "for a build of your own: --distribution custom, or collector: {distribution: custom} in gitsync.yaml",
        ),
    ],
)
def test_a_type_that_is_not_there_is_named_with_what_was_meant(section: str, text: str, hint: str) -> None:
    (one,) = found(section, text)
    assert (one.severity, one.code, one.line, one.column) == (Severity.ERROR, "GS0230", 2, 3)
    assert one.hint == hint


def test_a_build_of_ones_own_may_have_any_component() -> None:
    assert found("exporters", "our_own_thing: {a: 1}", distribution="custom") == []
    assert codes("exporters", "otlp_grpc: {endpoint: 'a:1', nope: 1}", distribution="custom") == ["GS0231"]


def test_what_the_policy_says_counts_for_components_that_are_not_known_as_well() -> None:
    denied = Policy(deny=("exporter/our_*",), endpoints=("a.example",))
    assert codes("exporters", "our_own: {endpoint: 'b.example:1'}", denied, distribution="custom") == [
        "GS1106",
        "GS1107",
    ]
    assert codes("exporters", "otpl: {}", denied) == ["GS0230"]


@pytest.mark.parametrize("pattern", ["exporter/otlp_grpc", "exporter/otlp", "*/otlp*"])
@pytest.mark.parametrize("written", ["otlp", "otlp_grpc"])
def test_a_policy_may_name_a_component_by_any_of_its_names(pattern: str, written: str) -> None:
    text = f"{written}: {{endpoint: 'a:1'}}"
    assert "GS1106" in codes("exporters", text, Policy(deny=(pattern,)))
    assert "GS1106" not in codes("exporters", text, Policy(allow=(pattern,)))


def test_endpoints_of_a_policy_are_those_that_data_is_sent_to() -> None:
    policy = Policy(endpoints=("*.example.com",))
    (one,) = found("exporters", "otlp_http: {endpoint: 'https://elsewhere.net:4318'}", policy)
    assert (one.code, one.line, one.column) == ("GS1107", 2, 25)
    assert found("exporters", "prometheus: {endpoint: '0.0.0.0:8889'}", policy) == []
    assert found("receivers", "otlp: {protocols: {grpc: {endpoint: '0.0.0.0:4317'}}}", policy) == []


def test_an_old_name_is_a_warning_only_where_every_version_has_the_new_one() -> None:
    (one,) = found("exporters", "otlp/backup: {endpoint: 'a:1'}")
    assert (one.severity, one.code, one.hint) == (
        Severity.WARNING,
        "GS0238",
        'write "otlp_grpc/backup", here and where it is used',
    )
    both = catalog().build(None, [OLD, NEW])
    renamed_later = next(
        info
        for kind, name in [("receiver", one) for one in both.newest.types("receiver")]
        if (info := both.newest.find(kind, name)) and info.aliases and not both.versions[0].has_name(kind, info.type)
    )
    check = ComponentCheck(both.newest, both, AS_THE_COLLECTOR, {})
    old = component("receivers", f"{renamed_later.aliases[0]}: {{}}")
    assert "GS0238" not in [one.code for one in check.check("receiver", old, used=True, signals=frozenset())]


def test_a_component_of_another_distribution_says_where_it_is() -> None:
    assert found("exporters", "kafka: {}", distribution="core", used=False) == []
    (other,) = found("processors", "transform: {}", distribution="core")
    assert (other.severity, other.code) == (Severity.ERROR, "GS0241")
    assert other.message == 'the distribution core has no processor "transform"'
    assert other.hint.startswith("it is in contrib")


def test_settings_rules_and_ottl_are_all_judged() -> None:
    assert codes("processors", "batch: {timeout: soon, send_batch_size: 9, send_batch_max_size: 2, nope: 1}") == [
        "GS0235",
        "GS0261",
        "GS0231",
    ]
    assert codes("processors", "transform: {trace_statements: ['set(span.nope, 1)']}") == ["GS1023"]


def test_what_only_a_constructor_refuses_counts_when_the_component_is_used() -> None:
    text = "attributes: {actions: [{key: a, action: extract, pattern: '(?P<b>'}]}"
    assert codes("processors", text) != []
    assert codes("processors", text, used=False) == []


def test_a_null_is_the_same_as_no_settings() -> None:
    assert found("processors", "batch:") == []
    assert codes("exporters", "otlp_grpc:") == codes("exporters", "otlp_grpc: {}") != []


def test_the_same_component_is_judged_once_and_another_use_of_it_again() -> None:
    check = a_check()
    one = component("exporters", "otlp_grpc: {endpoint: 'a:1', nope: 1}")
    first = check.check("exporter", one, used=True, signals=frozenset({"traces"}))
    assert check.check("exporter", one, used=True, signals=frozenset({"traces"})) is first
    other = check.check("exporter", one, used=False, signals=frozenset())
    assert other == first
    assert other is not first


def test_the_same_telemetry_is_judged_once() -> None:
    check = a_check()
    node, _ = parse_mapping("c.yaml", b"logs: {nope: 1}\n")
    assert node is not None
    first = check.check_telemetry(node)
    assert first
    assert check.check_telemetry(node) is first


def test_the_telemetry_of_the_collector_is_judged_by_its_own_schema() -> None:
    node, _ = parse_mapping("c.yaml", b"logs: {level: info, nope: 1}\nmetrics: {address: 'localhost:8888'}\n")
    assert node is not None
    assert [(one.code, one.line) for one in a_check().check_telemetry(node)] == [("GS0231", 1), ("GS0255", 2)]
