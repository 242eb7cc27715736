"""The first layer of checks: shape, references, pipelines; where each finding points and what it says."""

import pytest

from gitsync.collector.check import check_fragment, check_wiring
from gitsync.collector.document import Mapping, parse_mapping, parse_yaml
from gitsync.collector.findings import Findings
from gitsync.collector.merge import merge
from gitsync.collector.pipelines import read_wiring
from gitsync.diagnostics import Diagnostic, Severity

GOOD = """\
receivers: {otlp: , otlp/2: }
processors: {batch: }
exporters: {debug: }
connectors: {count: }
extensions: {health_check: }
service:
  telemetry: {metrics: {level: none}}
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp, otlp/2], processors: [batch], exporters: [debug, count]}
    metrics: {receivers: [count], exporters: [debug]}
    logs/a: {receivers: [otlp], processors: [], exporters: [debug]}
"""


def read(text: str, path: str = "c.yaml") -> Mapping:
    node, found = parse_mapping(path, text.encode())
    assert found == ()
    assert node is not None
    return node


def check_collector(node: Mapping, path: str) -> tuple[Diagnostic, ...]:
    findings = Findings(path)
    check_wiring(read_wiring(node, findings), findings)
    return findings.done()


def check(text: str) -> list[Diagnostic]:
    return list(check_collector(read(text), path="agents"))


def places(found: list[Diagnostic]) -> list[tuple[int, int, str]]:
    return [(one.line, one.column, one.code) for one in found]


def service(pipelines: str, *, more: str = "") -> str:
    """A configuration with receivers a, b, processor p, exporters x, y and connector c, on line 1."""
    parts = "receivers: {a: , b: }, processors: {p: }, exporters: {x: , y: }, connectors: {c: }"
    return f"{{{parts}{more}, service:\n{pipelines}}}"


def test_a_good_configuration_has_no_findings() -> None:
    assert check(GOOD) == []
    assert check_fragment(read(GOOD), "c.yaml") == ()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("reciever: {}", "GS0201", (1, 1)),
        ("pipelines: {}", "GS0201", (1, 1)),
        ("traces/x: {}", "GS0201", (1, 1)),
        ("receivers: []", "GS0202", (1, 12)),
        ("service: 5", "GS0202", (1, 10)),
        ("service: {pipelines: [traces]}", "GS0202", (1, 22)),
        ("service: {pipelines: {traces: [a]}}", "GS0202", (1, 31)),
        ("service: {telemetry: true}", "GS0202", (1, 22)),
        ("receivers: {1x: }", "GS0203", (1, 13)),
        ("receivers: {otlp/: }", "GS0203", (1, 13)),
        ("service: {extensions: [1x]}", "GS0203", (1, 24)),
        ("receivers: {otlp: , 'otlp ': }", "GS0204", (1, 21)),
        ("service: {pipelines: {traces: , ' traces': }}", "GS0204", (1, 33)),
        ("receivers: {otlp: 5}", "GS0205", (1, 19)),
        ("receivers: {otlp: [a]}", "GS0205", (1, 19)),
        ("service: {extension: []}", "GS0207", (1, 11)),
        ("service: {receivers: {}}", "GS0207", (1, 11)),
        ("service: {extensions: {}}", "GS0208", (1, 23)),
        ("service: {extensions: 5}", "GS0208", (1, 23)),
        ("service: {extensions: zpages}", "GS0208", (1, 23)),
        ("service: {extensions: ''}", "GS0208", (1, 23)),
        ("service: {extensions: 'zpages,${env:MORE}'}", "GS0208", (1, 23)),
        ("receivers: {otlp: 'a${env:OTLP}'}", "GS0205", (1, 19)),
        ("receivers: {otlp: '$${otlp}'}", "GS0205", (1, 19)),
        ("service: {extensions: [{a: }]}", "GS0208", (1, 24)),
        ("service: {extensions: [5]}", "GS0208", (1, 24)),
        ("service: {extensions: [~]}", "GS0208", (1, 24)),
        ("service: {pipelines: {trace: }}", "GS0209", (1, 23)),
        ("service: {pipelines: {traces: {exporter: []}}}", "GS0210", (1, 32)),
        ("service: {pipelines: {traces: {connectors: []}}}", "GS0210", (1, 32)),
    ],
)
def test_a_part_of_a_configuration_must_have_the_right_shape(text: str, code: str, place: tuple[int, int]) -> None:
    (found,) = check_fragment(read(text), "c.yaml")
    assert (found.code, (found.line, found.column), found.severity) == (code, place, Severity.ERROR)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "receivers:",
        "service:",
        "service: {pipelines: }",
        "service: {pipelines: {traces: }}",
        "service: {pipelines: {traces: {exporters: [unknown]}}}",
        "service: {pipelines: {traces: {exporters: '${env:EXPORTERS}'}}}",
        "service: {pipelines: {traces: {exporters: ['debug/${env:NAME}']}}}",
        "receivers: ${file:receivers.yaml}",
        "service: {pipelines: {traces: {exporters: ['${env:EXPORTER}']}}}",
        "receivers: {otlp: '${file:otlp.yaml}'}",
    ],
)
def test_a_part_may_leave_out_what_other_files_add(text: str) -> None:
    assert check_fragment(read(text), "c.yaml") == ()


def test_a_file_that_is_no_map_is_refused() -> None:
    node = parse_yaml("c.yaml", b"- a").node
    assert node is not None
    assert [one.code for one in check_fragment(node, "c.yaml")] == ["GS0202"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("reciever: {}", 'did you mean "receivers"?'),
        ("pipelines: {}", "pipelines belongs under service"),
        ("metrics/x: {}", "a pipeline belongs under service::pipelines"),
        ("zzz: {}", "allowed are receivers, processors"),
        ("receivers: [otlp]", 'write "name:" lines instead of "- name"'),
        ("service: {pipeline: {}}", 'did you mean "pipelines"?'),
        ("service: {exporters: {}}", '"exporters" stands at the top of the file'),
        ("service: {extensions: [{a: }]}", 'remove the ":" after the id'),
        ("service: {pipelines: {log: }}", 'did you mean "logs"?'),
        ("service: {pipelines: {traces: {recievers: []}}}", 'did you mean "receivers"?'),
        (
            "service: {pipelines: {traces: {connectors: []}}}",
            "a connector is named in exporters of one pipeline",
        ),
    ],
)
def test_a_shape_error_names_what_was_meant(text: str, hint: str) -> None:
    (found,) = check_fragment(read(text), "c.yaml")
    assert hint in found.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no service section"),
        ("receivers: {a: }", "there is no service section"),
        ("service: {}", "no pipelines are configured"),
        ("service: {pipelines: }", "no pipelines are configured"),
    ],
)
def test_a_complete_configuration_has_pipelines(text: str, message: str) -> None:
    (found,) = check(text)
    assert (found.code, found.message) == ("GS0206", message)


def test_a_finding_about_the_whole_configuration_names_the_given_path() -> None:
    (found,) = check("")
    assert found.location() == "agents"


@pytest.mark.parametrize(
    ("pipelines", "code", "column", "words"),
    [
        ("{pipelines: {traces: {receivers: [a]}}}", "GS0211", 14, 'pipeline "traces" has no exporters'),
        ("{pipelines: {traces: {exporters: [x]}}}", "GS0211", 14, 'pipeline "traces" has no receivers'),
        ("{pipelines: {traces: {receivers: [a], exporters: []}}}", "GS0211", 14, "has no exporters"),
        (
            "{pipelines: {traces: {receivers: [ab], exporters: [x]}}}",
            "GS0212",
            35,
            'pipeline "traces" uses receiver "ab", which is not configured (did you mean',
        ),
        (
            "{pipelines: {logs/z: {receivers: [a], processors: [q], exporters: [x]}}}",
            "GS0212",
            52,
            'pipeline "logs/z" uses processor "q", which is not configured',
        ),
        (
            "{pipelines: {traces: {receivers: [a], exporters: [p]}}}",
            "GS0212",
            51,
            "it is configured under processors, not under exporters",
        ),
        (
            "{pipelines: {traces: {receivers: [a], processors: [c], exporters: [x]}}}",
            "GS0212",
            52,
            "it is configured under connectors, not under processors",
        ),
        (
            "{pipelines: {traces: {receivers: [a], exporters: [x, zzzzzz]}}}",
            "GS0212",
            54,
            'uses exporter "zzzzzz", which is not configured (add "zzzzzz" under exporters)',
        ),
        (
            "{extensions: [e], pipelines: {traces: {receivers: [a], exporters: [x]}}}",
            "GS0212",
            15,
            'service uses extension "e", which is not configured',
        ),
        (
            "{pipelines: {traces: {receivers: [a], processors: [p, 'p '], exporters: [x]}}}",
            "GS0213",
            55,
            'pipeline "traces" names processor "p" twice (the first is at c.yaml:2:52',
        ),
        (
            "{pipelines: {traces: {receivers: [a], exporters: [c]}}}",
            "GS0214",
            51,
            'connector "c" is an exporter of "traces" but a receiver of none',
        ),
        (
            "{pipelines: {traces: {receivers: [c], exporters: [x]}}}",
            "GS0214",
            35,
            'connector "c" is a receiver of "traces" but an exporter of none',
        ),
    ],
)
def test_pipelines_fit_what_is_configured(pipelines: str, code: str, column: int, words: str) -> None:
    (found,) = [one for one in check(service(pipelines)) if one.severity is Severity.ERROR]
    assert (found.code, found.line, found.column) == (code, 2, column)
    assert words in str(found)


def test_receivers_exporters_and_extensions_may_be_named_twice() -> None:
    text = "{pipelines: {traces: {receivers: [a, a], exporters: [x, x]}}, extensions: [e, e]}"
    assert not [one for one in check(service(text, more=", extensions: {e: }")) if one.severity is Severity.ERROR]


@pytest.mark.parametrize("section", ["receivers", "exporters"])
def test_a_connector_with_the_id_of_another_component_is_ambiguous(section: str) -> None:
    text = GOOD.replace(f"{section}: {{", f"{section}: {{count: , ")
    (found,) = check(text)
    assert (found.code, found.line) == ("GS0215", 4)
    assert f"one of the {section}, at c.yaml:" in found.message


def test_a_connector_may_have_the_id_of_a_processor() -> None:
    text = GOOD.replace("processors: {batch: }", "processors: {batch: , count: }").replace("[batch]", "[batch, count]")
    assert check(text) == []


def test_pipelines_joined_in_a_ring_need_a_receiver_of_their_own() -> None:
    pipelines = "{traces: {receivers: [forward], exporters: [forward, x]}}"
    text = f"connectors: {{forward: }}\nexporters: {{x: }}\nservice: {{pipelines: {pipelines}}}"
    (found,) = check(text)
    assert (found.code, found.message) == ("GS0216", "no receivers are configured")


def test_each_unused_component_is_a_warning_at_its_own_place() -> None:
    text = GOOD.replace("debug: }", "debug: , otlp/spare: }").replace("  extensions: [health_check]\n", "")
    assert [(one.severity, one.code, one.line, one.column) for one in check(text)] == [
        (Severity.WARNING, "GS0217", 3, 22),
        (Severity.WARNING, "GS0217", 5, 14),
    ]
    assert 'exporter "otlp/spare" is configured, but not used in any pipeline' in check(text)[0].message


def test_an_unused_component_is_not_reported_while_a_name_is_wrong() -> None:
    assert places(check(GOOD.replace("processors: [batch]", "processors: [bath]"))) == [(10, 54, "GS0212")]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("exporters: [debug, count]", "exporters: ['${env:EXPORTER}', count]"),
        GOOD.replace("exporters: [debug, count]", "exporters: '${env:EXPORTERS}'"),
        GOOD.replace("exporters: {debug: }", "exporters: ${file:exporters.yaml}"),
        GOOD.replace("receivers: {otlp: , otlp/2: }", "receivers: ${file:receivers.yaml}"),
        "service: ${file:service.yaml}\nreceivers: {a: }\nexporters: {b: }",
        "service: {pipelines: '${file:p.yaml}'}\nreceivers: {a: }\nexporters: {b: }",
        "service: {pipelines: {traces: '${file:p.yaml}'}}\nreceivers: {a: }\nexporters: {b: }",
    ],
)
def test_no_rule_is_applied_to_what_the_agent_fills_in(text: str) -> None:
    assert check(text) == []


def test_ids_are_compared_without_the_spaces_around_their_parts() -> None:
    assert check(GOOD.replace("otlp/2: }", "' otlp / 2 ': }").replace("otlp/2]", "'otlp/ 2']")) == []


def test_a_bad_id_is_reported_once_and_does_not_look_missing_as_well() -> None:
    found = check(GOOD.replace("{debug: }", "{de-bug: }").replace("debug]", "de-bug]").replace("[debug,", "[de-bug,"))
    assert {one.code for one in found} == {"GS0203"}
    assert len(found) == 4


def test_a_pipeline_with_an_unknown_signal_is_still_checked() -> None:
    found = check(GOOD.replace("metrics: {receivers: [count]", "metric: {receivers: [cuont, count]"))
    assert [one.code for one in found] == ["GS0209", "GS0212"]


def test_a_finding_in_a_merged_configuration_points_to_the_file_its_part_came_from() -> None:
    over = read("service:\n  pipelines:\n    metrics:\n      exporters: [prometheus]\n", "agents/env=prod/p.yaml")
    (found,) = check_collector(merge(read(GOOD), over), path="agents/env=prod")
    assert found.location() == "agents/env=prod/p.yaml:4:19"
    assert found.message == 'pipeline "metrics" uses exporter "prometheus", which is not configured'


def test_findings_are_bounded_however_many_names_are_wrong() -> None:
    wrong = ", ".join(f"r{n}" for n in range(5000))
    found = check(service(f"{{pipelines: {{traces: {{receivers: [{wrong}], exporters: [x]}}}}}}"))
    assert len(found) == 101
    assert found[-1].code == "GS0100"


@pytest.mark.parametrize("key", [" otlp", "otlp ", "otlp /a", "otlp/ a"])
def test_settings_below_an_id_with_spaces_are_reported_as_ignored(key: str) -> None:
    (found,) = check_fragment(read(f"receivers: {{'{key}': {{protocols: }}}}"), "c.yaml")
    assert (found.code, found.line, found.column, found.severity) == ("GS0242", 1, 13, Severity.WARNING)
    assert check_fragment(read(f"receivers: {{'{key}': }}"), "c.yaml") == ()
