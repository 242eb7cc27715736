"""Which Collector a target's configuration is judged for, and what its agents need."""

import pytest

from gitsync.bundle.compile import compile_bundle
from gitsync.bundle.version import CompileResult
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog, compiled
from tests.support.configrepo import COLLECTOR_YAML, QUIET, tree_of

TARGET = {"a/target.yaml": "selector: {}\n", "a/c.yaml": COLLECTOR_YAML}
ONLY_NEW = "processors: {transform: {log_statements: ['set(log.attributes[\"a\"], ParseCLF(log.body))']}}\n"
LOGS = COLLECTOR_YAML.replace("traces:", "logs:").replace(
    "exporters: [debug]", "processors: [transform]\n      exporters: [debug]"
)
"""A configuration whose statement is a function of 0.159 that 0.149 does not have."""
NEWER = {"a/target.yaml": "selector: {}\n", "a/c.yaml": LOGS, "a/d.yaml": ONLY_NEW}


def build(text: str) -> dict[str, str]:
    """A `gitsync.yaml` that names a Collector."""
    return {"gitsync.yaml": f"collector: {text}\n{QUIET}"}


def places(result: CompileResult) -> list[tuple[str, str, int, int]]:
    return [(one.code, one.path, one.line, one.column) for one in result.diagnostics]


def only(result: CompileResult) -> Diagnostic:
    (one,) = result.diagnostics
    return one


def test_without_a_word_the_newest_contrib_is_meant() -> None:
    assert compiled(NEWER).diagnostics == ()
    assert compiled(build("{distribution: contrib}") | NEWER).diagnostics == ()


@pytest.mark.parametrize("version", ["0.149.0", "v0.149.0"])
def test_a_configuration_must_be_valid_in_all_versions_and_the_finding_names_those_where_it_is_not(
    version: str,
) -> None:
    assert compiled(build('{versions: ["0.159.0"]}') | NEWER).bundle is not None
    two = compiled(build(f'{{versions: ["0.159.0", "{version}"]}}') | NEWER)
    assert two.bundle is None
    assert (only(two).code, only(two).path, only(two).line) == ("GS1040", "a/d.yaml", 1)
    assert only(two).message.endswith("(in 0.149.0)")
    one = compiled(build(f'{{versions: ["{version}"]}}') | NEWER)
    assert (one.bundle, "(in" in only(one).message) == (None, False)


def test_an_unknown_version_is_a_warning_and_the_nearest_one_counts() -> None:
    newer = compiled(build('{versions: ["0.171.3"]}') | NEWER)
    assert newer.bundle is not None
    assert places(newer) == [("GS0411", "gitsync.yaml", 1, 24)]
    assert only(newer).severity is Severity.WARNING
    assert only(newer).message == 'nothing is known of Collector "0.171.3": 0.159.0 is checked instead'
    assert only(newer).hint == "known versions: 0.149.0, 0.159.0"
    older = compiled(build('{versions: ["0.140.0"]}') | NEWER)
    assert older.bundle is None
    assert [one.code for one in older.diagnostics] == ["GS1040", "GS0411"]
    assert only(compiled(build("{versions: [latest]}") | TARGET)).message.endswith("0.159.0 is checked instead")


def test_an_unknown_distribution_is_an_error_where_it_is_written_and_nothing_is_judged_for_it() -> None:
    broken = TARGET | {"a/d.yaml": "processors: {nope: {}}\n"}
    result = compiled(build("{distribution: contribb}") | broken)
    assert result.bundle is None
    assert places(result) == [("GS0410", "gitsync.yaml", 1, 27)]
    assert only(result).hint == 'did you mean "contrib"?'
    assert only(compiled(build("{distribution: mine}") | TARGET)).hint.startswith("known: contrib, core, k8s, custom")


@pytest.mark.parametrize("files", [{}, {"a/target.yaml": "selector: {}\ncollector: {distribution: core}\n"}])
def test_what_the_repository_says_is_judged_even_when_no_target_uses_it(files: dict[str, str]) -> None:
    targets = {} if not files else TARGET | files
    assert [one.code for one in compiled(build("{distribution: contribb}") | targets).diagnostics] == ["GS0410"]


def test_each_target_that_names_a_wrong_collector_is_told() -> None:
    wrong = 'collector: {distribution: contribb, versions: ["0.1.0"]}\n'
    files = TARGET | {"a/x=1/target.yaml": wrong, "a/x=2/target.yaml": wrong}
    assert places(compiled(files)) == [
        ("GS0410", "a/x=1/target.yaml", 1, 27),
        ("GS0410", "a/x=2/target.yaml", 1, 27),
    ]
    old = 'collector: {versions: ["0.1.0"]}\n'
    files = TARGET | {"a/x=1/target.yaml": old, "a/x=2/target.yaml": old}
    assert [path for _, path, _, _ in places(compiled(files))] == ["a/x=1/target.yaml", "a/x=2/target.yaml"]


def test_a_target_wins_over_the_repository_and_its_children_inherit_it() -> None:
    files = build('{versions: ["0.159.0"]}') | NEWER
    old = 'selector: {}\ncollector: {versions: ["0.149.0"]}\n'
    assert compiled(files).bundle is not None
    assert [path for _, path, _, _ in places(compiled(files | {"a/target.yaml": old}))] == ["a/d.yaml"]
    child = {"a/c.yaml": COLLECTOR_YAML, "a/d.yaml": "{}", "a/x=1/c.yaml": LOGS, "a/x=1/d.yaml": ONLY_NEW}
    inherited = compiled(files | child | {"a/target.yaml": old})
    assert [path for _, path, _, _ in places(inherited)] == ["a/x=1/d.yaml"]
    own = {"a/x=1/target.yaml": 'collector: {versions: ["0.159.0"]}\n'}
    assert compiled(files | child | {"a/target.yaml": old} | own).bundle is not None


def test_a_distribution_without_a_component_says_which_has_it() -> None:
    result = compiled(build("{distribution: otelcol}") | TARGET | {"a/d.yaml": ONLY_NEW})
    errors = [one for one in result.diagnostics if one.severity is Severity.ERROR]
    assert [(one.code, one.path) for one in errors] == [("GS0241", "a/d.yaml")]
    assert "contrib" in errors[0].hint


def test_a_build_of_ones_own_may_have_more_components() -> None:
    mine = TARGET | {"a/d.yaml": "processors: {mine: {a: 1}}\nservice: {pipelines: {traces: {processors: [mine]}}}\n"}
    assert compiled(build("{distribution: custom}") | mine).diagnostics == ()
    assert [one.code for one in compiled(mine).diagnostics] == ["GS0230"]


def test_needs_are_all_components_with_every_name_that_a_build_may_have_for_them() -> None:
    files = TARGET | {"a/d.yaml": "exporters: {otlp/backup: {endpoint: 'a:1'}}\nextensions: {health_check: {}}\n"}
    needs = {one.id: one for one in compiled(files).needs["a"]}
    assert {one.section for one in needs.values()} == {"receivers", "exporters", "extensions"}
    assert needs["otlp/backup"].types == {"otlp", "otlp_grpc"}
    assert needs["otlp"].types == {"otlp"}
    new = compiled(TARGET | {"a/d.yaml": "exporters: {otlp_grpc: {endpoint: 'a:1'}}\n"}).needs["a"]
    assert next(one for one in new if one.id == "otlp_grpc").types == {"otlp_grpc"}
    old = compiled(build('{versions: ["0.149.0"]}') | files | {"a/e.yaml": "receivers: {filelog: {include: [/a]}}\n"})
    assert next(one for one in old.needs["a"] if one.id == "filelog").types == {"filelog", "file_log"}
    assert (needs["otlp/backup"].at.path, needs["otlp/backup"].at.line, needs["otlp/backup"].at.column) == (
        "a/d.yaml",
        1,
        13,
    )
    custom = compiled(build("{distribution: custom}") | TARGET | {"a/d.yaml": "processors: {mine/x: {a: 1}}\n"})
    assert next(one for one in custom.needs["a"] if one.id == "mine/x").types == {"mine"}
    assert compiled(files | {"a/e.yaml": "nope: 1"}).needs == {}


def test_statements_beside_a_configuration_are_judged_for_the_targets_collector() -> None:
    script = {"a/redact.ottl": 'set(log.attributes["a"], ParseCLF(log.body))\nset(span.nope, 1)\n'}
    result = compiled(TARGET | script)
    assert result.bundle is None
    assert places(result) == [("GS0913", "a/redact.ottl", 1, 1), ("GS1023", "a/redact.ottl", 2, 5)]
    old = compiled(build('{versions: ["0.149.0", "0.159.0"]}') | TARGET | script)
    assert [(one.code, one.line) for one in old.diagnostics if one.severity is Severity.ERROR] == [
        ("GS1040", 1),
        ("GS1023", 2),
    ]
    assert "a/redact.ottl" in result.files


def test_severities_count_for_statements_beside_a_configuration() -> None:
    quiet = {"gitsync.yaml": "policies: {severity: {GS1103: off, GS0913: off}}\n"}
    assert compiled(quiet | TARGET | {"a/redact.ottl": 'delete_key(span.attributes, "a")\n'}).diagnostics == ()


def test_what_targets_share_is_judged_once() -> None:
    children = {f"a/x={number}/c.yaml": "exporters: {debug: {verbosity: basic}}\n" for number in range(50)}
    wrong = TARGET | {"a/d.yaml": "processors: {batch: {tmeout: 1s}}\n"} | children
    result = compile_bundle(tree_of(wrong), catalog())
    assert [one.code for one in result.diagnostics if one.severity is Severity.ERROR] == ["GS0231"]


POLICIES = {
    "components: {allow: [receiver/*, exporter/otlp]}": ("GS1106", "a/c.yaml", 7, 3),
    "components: {deny: [exporter/debug]}": ("GS1106", "a/c.yaml", 7, 3),
    "providers: [env]": ("GS1105", "a/d.yaml", 1, 35),
    "endpoints: ['*.example.com']": ("GS1107", "a/d.yaml", 1, 35),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_policy_does_not_allow_is_an_error_where_it_stands(policy: str) -> None:
    files = TARGET | {"a/d.yaml": "exporters: {otlp_grpc: {endpoint: '${file:/etc/endpoint}'}}\n"}
    files |= {
        "gitsync.yaml": f"policies: {{{policy}, severity: {{GS1103: off, GS0216: off}}}}\n".replace(", GS0216: off", "")
    }
    result = compiled(files)
    assert result.bundle is None
    assert [one for one in places(result) if one[0].startswith("GS110")] == [POLICIES[policy]]


WRONG = {
    "policies: {componets: {}}": ("GS0402", 1, 12),
    "policies: {components: {allow: [otlp]}}": ("GS0404", 1, 33),
    "policies: {components: {allow: receiver/otlp}}": ("GS0403", 1, 32),
    "policies: {providers: env}": ("GS0403", 1, 23),
    "policies: {severity: {GS0801: fatal}}": ("GS0404", 1, 31),
    "policies: {severity: {gs0801: off}}": ("GS0404", 1, 23),
    "policies: {severity: {GS0231: off}}": ("GS0412", 1, 23),
    "policies: {severity: {GS9999: error}}": ("GS0412", 1, 23),
    "collector: {distribution: [contrib]}": ("GS0403", 1, 27),
    "collector: {versions: 0.159.0}": ("GS0403", 1, 23),
    "collector: {versions: [0.159]}": ("GS0403", 1, 24),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_policy_or_collector_is_an_error_where_it_stands(text: str) -> None:
    result = compiled(TARGET | {"gitsync.yaml": text + "\n"})
    assert result.bundle is None
    assert [(one.code, one.line, one.column) for one in result.diagnostics if one.path == "gitsync.yaml"] == [
        WRONG[text]
    ]


def test_a_component_is_denied_by_its_newest_name_also_where_only_an_older_release_must_take_it() -> None:
    files = {
        "gitsync.yaml": (
            "collector: {versions: ['0.149.0']}\npolicies: {components: {deny: [receiver/host_metrics]}}\n"
        ),
        "a/target.yaml": "selector: {}\n",
        "a/c.yaml": COLLECTOR_YAML.replace("receivers:\n", "receivers:\n  hostmetrics: {scrapers: {cpu: }}\n"),
    }
    assert ("GS1106", "a/c.yaml", 2) in [(one.code, one.path, one.line) for one in compiled(files).diagnostics]


def test_components_of_which_only_the_name_is_known_are_listed() -> None:
    files = {
        "a/target.yaml": "selector: {}\n",
        "a/c.yaml": COLLECTOR_YAML.replace("exporters:\n", "exporters:\n  datadog: {site: x}\n"),
    }
    assert compiled(files).unchecked == ("exporter/datadog",)
    assert compiled({**files, "a/c.yaml": COLLECTOR_YAML}).unchecked == ()


@pytest.mark.parametrize(("wanted", "found"), [("error", True), ("off", False)])
def test_a_policy_holds_for_findings_about_levels_and_manifests_too(wanted: str, found: bool) -> None:
    files = {
        "gitsync.yaml": f"policies: {{severity: {{GS0301: {wanted}, GS0411: {wanted}, GS1103: off}}}}\n"
        "collector: {versions: ['0.158.0']}\n",
        "a/target.yaml": "selector: {}\n",
        "a/c.yaml": COLLECTOR_YAML.replace("  debug:\n", "  debug:\n  nop:\n").replace("[debug]", "[debug, nop]"),
        "a/x=1/c.yaml": "service: {pipelines: {traces: {exporters: [debug]}}}\n",
    }
    result = compiled(files)
    codes = {one.code for one in result.diagnostics}
    assert ({"GS0301", "GS0411"} <= codes) is found
    assert (result.bundle is None) is found
