"""Whole configurations: every layer once, for every version, with the severities of a policy."""

from collections.abc import Sequence

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.judge import Judge, Verdict, judge_files
from gitsync.collector.policy import AS_THE_COLLECTOR, BEFORE_PUBLISHING, Policy
from gitsync.collector.sources import Sources
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog

OLD, NEW = "0.149.0", "0.159.0"
GOOD = """\
receivers:
  otlp: {protocols: {grpc: {endpoint: "localhost:4317"}}}
processors:
  batch: {}
exporters:
  otlp_grpc: {endpoint: "gateway:4317"}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}
"""


def judged(
    *files: str, versions: Sequence[str] = (), policy: Policy = AS_THE_COLLECTOR, distribution: str = "contrib"
) -> Verdict:
    named = [(f"{index}.yaml", text.encode()) for index, text in enumerate(files)]
    return judge_files(named, catalog().build(distribution, versions), policy)


def codes(verdict: Verdict) -> list[str]:
    return [one.code for one in verdict.diagnostics]


def test_a_good_configuration_is_valid_without_a_word() -> None:
    assert judged(GOOD, versions=[OLD, NEW]) == Verdict(valid=True, diagnostics=())


LAYERS = {
    "broken YAML": (GOOD + "receivers: {}\n", "GS0113"),
    "a provider that is not there": (GOOD.replace("gateway:4317", "${vault:a}"), "GS0222"),
    "an unknown key": (GOOD.replace("batch: {}", "batch: {tmeout: 1s}"), "GS0231"),
    "a rule of a component": (GOOD.replace('{endpoint: "gateway:4317"}', '{endpoint: "gateway"}'), "GS0262"),
    "OTTL": (
        GOOD.replace("batch: {}", "transform: {trace_statements: ['nope(span.name)']}").replace("batch", "transform"),
        "GS1040",
    ),
    "a reference": (GOOD.replace("[batch]", "[batsh]"), "GS0212"),
    "the graph": (GOOD.replace("traces:", "logs:").replace("otlp_grpc", "zipkin"), "GS0250"),
    "the telemetry": (GOOD.replace("service:", "service:\n  telemetry: {metrics: {level: loud}}"), "GS0234"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_its_say(layer: str) -> None:
    text, code = LAYERS[layer]
    verdict = judged(text)
    assert not verdict.valid
    assert code in codes(verdict), verdict.diagnostics
    assert all(one.line > 0 for one in verdict.diagnostics if one.code == code)


def test_files_are_merged_in_order_and_findings_name_the_one_where_it_stands() -> None:
    wrong = "processors: {batch: {timeout: soon}}\n"
    verdict = judged(GOOD, wrong)
    assert [(one.path, one.line, one.column, one.code) for one in verdict.diagnostics] == [("1.yaml", 1, 31, "GS0235")]
    assert judged(GOOD, wrong, "processors: {batch: {timeout: 1s}}\n").valid


def test_files_that_cannot_be_read_are_all_named_and_nothing_else_is_said() -> None:
    verdict = judged("a: [", GOOD, "b: ]")
    assert {one.path for one in verdict.diagnostics} == {"0.yaml", "2.yaml"}
    assert not verdict.valid


@pytest.mark.parametrize("text", ["", "# nothing\n", "receivers:\n", "[]", "text", "\0", "{}"])
def test_a_file_that_is_no_configuration_is_not_valid(text: str) -> None:
    assert not judged(text).valid


def test_a_path_of_keys_is_a_configuration_too() -> None:
    assert judged(GOOD.replace("  batch: {}", "  batch::timeout: soon")).diagnostics[0].code == "GS0235"


def test_a_finding_of_all_versions_is_said_once_and_one_of_some_names_them() -> None:
    both = judged(GOOD.replace("batch: {}", "batch: {tmeout: 1s}"), versions=[OLD, NEW])
    (one,) = both.diagnostics
    assert "(in " not in one.message
    nowhere = judged(GOOD.replace("otlp:", "otpl:").replace("[otlp]", "[otpl]"), versions=[OLD, NEW])
    assert codes(nowhere) == ["GS0230"]
    assert nowhere.diagnostics[0].message == 'there is no receiver of the type "otpl"'
    parse = "transform: {log_statements: ['set(log.attributes[\"a\"], ParseCLF(log.body))']}"
    logs = GOOD.replace("batch: {}", parse).replace("batch", "transform").replace("traces", "logs")
    assert judged(logs, versions=[NEW]).valid
    (old,) = judged(logs, versions=[OLD, NEW]).diagnostics
    assert (old.severity, old.message.endswith("(in 0.149.0)")) == (Severity.ERROR, True)


def test_a_policy_changes_how_much_a_warning_counts() -> None:
    sampling = "tail_sampling: {policies: [{name: a, type: nothing}]}"
    text = GOOD.replace("batch: {}", sampling).replace("batch", "tail_sampling")
    by_itself = judged(text)
    assert by_itself.valid
    assert {one.severity for one in by_itself.diagnostics} == {Severity.WARNING}
    assert not judged(text, policy=BEFORE_PUBLISHING).valid
    off = Policy(severity=dict.fromkeys(codes(by_itself)))
    assert judged(text, policy=off).diagnostics == ()


def test_what_the_policy_does_not_allow_is_an_error_of_every_version_said_once() -> None:
    policy = Policy(deny=("processor/batch",), providers=frozenset({"env"}), endpoints=("gateway:4318",))
    text = GOOD.replace("localhost:4317", "${file:/etc/x}")
    verdict = judged(text, versions=[OLD, NEW], policy=policy)
    assert sorted(codes(verdict)) == ["GS1105", "GS1106", "GS1107"]


def test_a_judge_judges_many_configurations_and_says_the_same_of_each() -> None:
    build = catalog().build("contrib", [OLD, NEW])
    text = GOOD.replace("batch: {}", "batch: {tmeout: 1s}")
    root, _ = parse_mapping("a.yaml", text.encode())
    other, _ = parse_mapping("b.yaml", text.encode())
    assert root is not None
    assert other is not None
    judge = Judge(build, AS_THE_COLLECTOR, Sources.of({"a.yaml": text.encode(), "b.yaml": text.encode()}))
    first = judge.judge(root, path="a.yaml")
    assert judge.judge(root, path="a.yaml") == first
    assert [one.path for one in (*first, *judge.judge(other, path="b.yaml"))] == ["a.yaml", "b.yaml"]


def test_a_verdict_is_sorted_without_repeats_and_invalid_by_one_error() -> None:
    later = Diagnostic("a", 2, 1, Severity.WARNING, "GS0238", "x")
    earlier = Diagnostic("a", 1, 1, Severity.ERROR, "GS0231", "x")
    assert Verdict.of([later, earlier, later]) == Verdict(valid=False, diagnostics=(earlier, later))
    assert Verdict.of([later]).valid


def test_no_message_repeats_a_password_of_an_address() -> None:
    text = """\
receivers: {otlp: {protocols: {grpc: {endpoint: "user:hush@here:4317x"}}}}
exporters:
  otlp_grpc: {endpoint: "https://user:hush@there:99999999"}
  otlp_http: {endpoint: "http://user:hush@the re:4318"}
  otlp_http/2: {endpoint: "user:hush@there"}
  otlp_http/3: {endpoint: "${env:WHERE:-http://user:hush@there}"}
  otlp_http/4: {endpoint: "user:hush%s@hush@there"}
  otlp_http/5: {endpoint: "ftp://user:hush%s@hush@there"}
  clickhouse: {endpoint: "tcp://user:hush@there:9000?password=hush"}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_grpc, otlp_http, otlp_http/2, otlp_http/3, otlp_http/4, otlp_http/5, clickhouse]
"""
    verdict = judged(text.replace("%s", "x" * 100), policy=Policy(endpoints=("*.example.com",)))
    assert {"GS0262", "GS0263", "GS0280", "GS0288", "GS1102", "GS1107"} <= set(codes(verdict))
    assert not [one for one in verdict.diagnostics if "hush" in one.message + one.hint]


def test_a_policy_knows_a_component_by_its_names_of_every_version_that_it_must_run_on() -> None:
    text = GOOD.replace("otlp: {protocols", "hostmetrics: {scrapers: {cpu: }}\n  otlp: {protocols")
    verdict = judged(text, versions=[OLD, NEW], policy=Policy(deny=("receiver/host_metrics",)))
    denied = [one.message for one in verdict.diagnostics if one.code == "GS1106"]
    assert denied == ['receiver "hostmetrics" is not allowed in this repository']
