"""From files to payloads: merge order, includes, removal, objects, limits, digests."""

import pytest

from gitsync.bundle.tree import BadEntry
from gitsync.bundle.version import ConfigObject, config_hash
from gitsync.collector.document import Origin
from gitsync.diagnostics import Severity
from gitsync.ids import show_digest
from tests.support.compiling import body_of, bundle_of, codes_of, compiled, payload_of
from tests.support.configrepo import COLLECTOR_YAML, QUIET, tree_of

C = COLLECTOR_YAML
ALL = {"a/target.yaml": "selector: {}\n", "a/c.yaml": C}
SDK = {
    "gitsync.yaml": "agentTypes: [{type: sdk, selector: {matchExpressions: [{key: sdk, operator: Exists}]}}]\n",
    "s/target.yaml": (
        "agentType: sdk\nselector: {}\n"
        "objects:\n  - {name: b, file: b.json}\n  - {name: a, file: /lib/a.txt, role: r}\n"
    ),
    "s/b.json": '{"a": 1}',
    "lib/a.txt": "raw\r\ntext",
}


def verbosity(bundle_path: str, files: dict[str, str]) -> str:
    """The debug exporter's verbosity in the result: every level may set it."""
    lines = body_of(bundle_of(files), bundle_path).splitlines()
    return next(line.split()[1] for line in lines if "verbosity" in line)


def debug(value: str) -> str:
    return f"exporters: {{debug: {{verbosity: {value}}}}}\n"


def test_each_level_is_put_on_top_of_the_one_above() -> None:
    files = ALL | {"a/x.yaml": debug("basic"), "a/e=1/x.yaml": debug("normal"), "a/e=1/f=2/x.yaml": debug("detailed")}
    assert [verbosity(path, files) for path in ("a", "a/e=1", "a/e=1/f=2")] == ["basic", "normal", "detailed"]


def test_includes_come_before_the_own_files_and_those_in_the_order_of_their_names() -> None:
    files = {
        "a/target.yaml": "selector: {}\ninclude: [/lib/z.yaml, ../lib/a.yaml]\n",
        "a/c.yaml": C.replace("exporters:\n  debug:\n", ""),
        "lib/z.yaml": debug("basic"),
        "lib/a.yaml": debug("normal"),
    }
    assert verbosity("a", files) == "normal"
    assert verbosity("a", files | {"a/b.yaml": debug("detailed")}) == "detailed"
    assert verbosity("a", files | {"a/b.yml": debug("detailed"), "a/b.yaml": debug("basic")}) == "detailed"
    assert verbosity("a", files | {"a/B.yaml": debug("basic"), "a/a.yaml": debug("detailed")}) == "detailed"


def test_inherit_false_takes_the_selector_without_the_configuration() -> None:
    files = ALL | {"a/x=1/target.yaml": "inherit: false", "a/x=1/c.yaml": C.replace("debug", "debug/own")}
    bundle = bundle_of(files)
    assert "debug/own" in body_of(bundle, "a/x=1")
    assert "debug:" not in body_of(bundle, "a/x=1")
    assert list(bundle.versions["a/x=1"].inputs) == ["a/target.yaml", "a/x=1/c.yaml", "a/x=1/target.yaml"]
    (empty,) = compiled(ALL | {"a/x=1/target.yaml": "inherit: false"}).diagnostics
    assert empty.code == "GS0519"


def test_remove_takes_inherited_keys_out() -> None:
    files = ALL | {
        "a/c.yaml": C.replace("exporters:\n  debug:", "exporters:\n  debug:\n  nop:", 1).replace(
            "[debug]", "[debug, nop]"
        ),
        "a/x=1/target.yaml": "remove: [exporters::nop]\n",
        "a/x=1/c.yaml": "service: {pipelines: {traces: {exporters: [debug]}}}\n",
    }
    assert "nop" not in body_of(bundle_of(files), "a/x=1")
    wrong = compiled(files | {"a/x=1/target.yaml": "remove: [exporters::nopp]\n"})
    error = next(one for one in wrong.diagnostics if one.severity is Severity.ERROR)
    assert (error.code, error.path, error.line, error.column) == ("GS0302", "a/x=1/target.yaml", 1, 10)
    assert error.hint == 'did you mean "nop"?'


def test_a_list_may_drop_what_was_removed_without_a_warning() -> None:
    shared = C.replace("  debug:", "  debug:\n  nop:\n  otlp_grpc:\n    endpoint: x:1", 1).replace(
        "[debug]", "[debug, nop, otlp_grpc]"
    )
    child = "service: {pipelines: {traces: {exporters: [debug]}}}\n"
    removed = {
        "a/c.yaml": shared,
        "a/x=1/target.yaml": "remove: [exporters::nop, exporters::otlp_grpc]",
        "a/x=1/c.yaml": child,
    }
    assert codes_of(compiled(ALL | removed)) == []
    assert codes_of(compiled(ALL | removed | {"a/x=1/target.yaml": "remove: [exporters::nop]"})) == ["GS0217", "GS0301"]
    whole = {"a/x=1/target.yaml": "remove: ['service::pipelines::traces', 'exporters::nop', 'exporters::otlp_grpc']"}
    again = "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n"
    assert codes_of(compiled(ALL | removed | whole | {"a/x=1/c.yaml": again})) == []


def test_remove_reaches_what_the_same_level_includes_if_nothing_above_has_it() -> None:
    files = {
        "a/target.yaml": "selector: {}\ninclude: [/lib/more.yaml]\nremove: [exporters::nop]\n",
        "lib/more.yaml": "exporters: {nop: }\n",
        "a/c.yaml": C,
    }
    assert "nop" not in body_of(bundle_of(files), "a")


def test_double_colon_keys_are_paths_on_every_level() -> None:
    files = ALL | {"a/x=1/c.yaml": "exporters::debug::verbosity: detailed\n"}
    assert verbosity("a/x=1", files) == "detailed"


def test_an_empty_file_adds_nothing() -> None:
    bundle = bundle_of(ALL | {"a/x=1/c.yaml": "# nothing yet\n"})
    assert body_of(bundle, "a") == body_of(bundle, "a/x=1")
    assert len(bundle.payloads) == 1


def test_dot_files_and_other_formats_are_not_configuration() -> None:
    result = compiled(ALL | {"a/.hidden.yaml": "[", "a/notes.md": "x", "a/data.json": "{"})
    assert result.diagnostics == ()
    assert result.files == ("a/c.yaml", "a/target.yaml", "gitsync.yaml")


def test_every_value_of_the_result_knows_its_file_and_line() -> None:
    bundle = bundle_of(ALL | {"a/x=1/c.yaml": "# comment\n" + debug("basic")})
    places = payload_of(bundle, "a/x=1").provenance
    assert places["exporters::debug::verbosity"] == Origin("a/x=1/c.yaml", 2, 32)
    assert places["receivers::otlp::protocols::grpc::endpoint"].path == "a/c.yaml"


def test_a_fault_in_a_shared_file_is_reported_once() -> None:
    base = C.replace("exporters: [debug]", "exporters: [debgu]")
    files = {"a/target.yaml": "selector: {}\ninclude: [/lib/base.yaml]", "lib/base.yaml": base}
    result = compiled(files | {f"a/x={number}/c.yaml": "" for number in range(20)})
    (error,) = [one for one in result.diagnostics if one.severity is Severity.ERROR]
    assert (error.code, error.path, error.line, error.column) == ("GS0212", "lib/base.yaml", 12, 19)


def test_a_fault_of_the_whole_is_not_repeated_for_each_child() -> None:
    files = ALL | {"a/c.yaml": "exporters: {debug: }\n", "a/x=1/c.yaml": "", "a/x=1/y=2/c.yaml": ""}
    assert codes_of(compiled(files)) == ["GS0206"]


def test_what_cannot_be_read_hides_only_what_depends_on_it() -> None:
    files = ALL | {
        "a/c.yaml": "a: [",
        "a/x=1/c.yaml": "exportes: {}",
        "b/target.yaml": "priority: 1\nselector: {}",
        "b/c.yaml": "x: 1",
    }
    result = compiled(files)
    assert [(one.code, one.path) for one in result.diagnostics] == [
        ("GS0112", "a/c.yaml"),
        ("GS0201", "a/x=1/c.yaml"),
        ("GS0201", "b/c.yaml"),
    ]
    assert result.files == tuple(sorted([*files, "gitsync.yaml"]))


def test_a_warning_does_not_reject_a_commit() -> None:
    result = compiled(ALL | {"a/c.yaml": C.replace("receivers:\n", "receivers:\n  nop/unused:\n", 1)})
    assert codes_of(result) == ["GS0217"]
    assert result.bundle is not None


def test_the_findings_of_a_hostile_commit_are_bounded_and_errors_come_first() -> None:
    bad = "".join(f"k{number}: 1\n" for number in range(100))
    files = {f"t{number}/target.yaml": f"selector: {{}}\npriority: {number}" for number in range(30)}
    result = compiled(files | {f"t{number}/c.yaml": bad for number in range(30)})
    assert len(result.diagnostics) == 1001
    assert result.diagnostics[-1].code == "GS0100"


# ── Includes ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wanted", "code", "hint"),
    [
        ("/lib/bsae.yaml", "GS0510", 'did you mean "/lib/base.yaml"?'),
        ("base.yaml", "GS0510", 'did you mean "/lib/base.yaml"?'),
        ("/LIB/base.yaml", "GS0510", 'did you mean "/lib/base.yaml"?'),
        ("/lib", "GS0510", "name the files"),
        ("/", "GS0510", "name the files"),
        ("../../lib/base.yaml", "GS0511", "paths begin with / at the root of the repository"),
        ("/../etc/passwd", "GS0511", "paths begin with / at the root of the repository"),
        ("/a/../../x.yaml", "GS0511", "paths begin with / at the root of the repository"),
        ("https://example.com/x.yaml", "GS0510", ""),
        ("target.yaml", "GS0512", ""),
        ("/gitsync.yaml", "GS0512", ""),
    ],
)
def test_an_include_never_leaves_the_tree(wanted: str, code: str, hint: str) -> None:
    files = ALL | {"a/target.yaml": f"selector: {{}}\ninclude:\n  - {wanted}\n", "lib/base.yaml": ""}
    (found,) = compiled(files).diagnostics
    assert (found.code, found.path, found.line, found.column, found.hint) == (code, "a/target.yaml", 3, 5, hint)


# ── Objects ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_objects_are_given_verbatim_and_sorted_by_name() -> None:
    bundle = bundle_of(SDK)
    assert payload_of(bundle, "s").objects == (
        ConfigObject("a", "text/plain", "r", b"raw\r\ntext"),
        ConfigObject("b", "application/json", "", b'{"a": 1}'),
    )
    assert bundle.versions["s"].agent_type == "sdk"
    assert list(bundle.versions["s"].inputs) == ["gitsync.yaml", "lib/a.txt", "s/b.json", "s/target.yaml"]


def test_the_nearest_object_of_a_name_wins_whole() -> None:
    child = {"s/x=1/target.yaml": "objects: [{name: b, file: b.yaml}]", "s/x=1/b.yaml": "b: 2"}
    bundle = bundle_of(SDK | child)
    assert [one.name for one in payload_of(bundle, "s/x=1").objects] == ["a", "b"]
    assert payload_of(bundle, "s/x=1").objects[1] == ConfigObject("b", "text/yaml", "", b"b: 2")
    assert "s/b.json" not in bundle.versions["s/x=1"].inputs


@pytest.mark.parametrize(
    ("name", "content", "code", "line"),
    [
        ("b.json", '{"a": }', "GS0516", 1),
        ("b.json", '{"a": 1, "a": 2}', "GS0516", 1),
        ("b.json", "NaN", "GS0516", 1),
        ("b.json", "[" * 100_000, "GS0516", 1),
        ("b.yaml", "a: 1\na: 2", "GS0113", 2),
    ],
)
def test_an_object_is_read_as_what_its_type_says(name: str, content: str, code: str, line: int) -> None:
    files = SDK | {
        "s/target.yaml": f"agentType: sdk\nselector: {{}}\nobjects: [{{name: b, file: {name}}}]",
        f"s/{name}": content,
    }
    files.pop("s/b.json") if name != "b.json" else None
    (found,) = compiled(files).diagnostics
    assert (found.code, found.path, found.line) == (code, f"s/{name}", line)


def test_collector_keys_have_no_place_in_a_target_for_others() -> None:
    files = SDK | {"s/target.yaml": SDK["s/target.yaml"] + "include: [/lib/x.yaml]\nremove: [a]\n", "lib/x.yaml": ""}
    assert codes_of(compiled(files)) == ["GS0514", "GS0514"]


# ── Limits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_limits_of_gitsync_yaml_hold() -> None:
    large = compiled(ALL | {"gitsync.yaml": "limits: {file_bytes: 100}"})
    assert [(one.code, one.path) for one in large.diagnostics] == [("GS0605", "a/c.yaml")]
    many = compiled(ALL | {"gitsync.yaml": QUIET + "limits: {files: 2}"})
    assert [(one.code, one.path) for one in many.diagnostics] == [("GS0606", "gitsync.yaml")]
    assert codes_of(compiled(ALL | {"gitsync.yaml": "limits: {files: 20000}"})) == ["GS0404"]


def test_a_file_that_was_not_loaded_is_an_error_where_it_is_needed() -> None:
    tree = tree_of(ALL | {"docs/big.bin": "x"})
    tree.data.pop(tree.blobs["docs/big.bin"])  # type: ignore[attr-defined]
    assert compiled(tree).bundle is not None
    tree.data.pop(tree.blobs["a/c.yaml"])  # type: ignore[attr-defined]
    assert [(one.code, one.path) for one in compiled(tree).diagnostics] == [("GS0605", "a/c.yaml")]


# ── Versions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_version_carries_what_it_came_from() -> None:
    tree = tree_of(ALL | {"a/e=1/x.yaml": "", "lib/other.yaml": ""})
    bundle = bundle_of(tree)
    version = bundle.versions["a/e=1"]
    assert version.origin == tree.commit
    assert version.inputs == {path: tree.blobs[path] for path in ("a/c.yaml", "a/e=1/x.yaml", "a/target.yaml")}
    assert version.plan.strategy == "all-at-once"
    assert list(bundle.versions) == ["a", "a/e=1"]


def test_only_what_decides_changes_a_version() -> None:
    before = bundle_of(ALL).versions["a"].digest
    for same in ({"a/c.yaml": "# a comment\n" + C}, {"README.md": "x"}, {"gitsync.yaml": "aliases: {env: [x]}"}):
        assert bundle_of(ALL | same).versions["a"].digest == before
    for other in (
        {"a/x.yaml": debug("basic")},
        {"a/target.yaml": "selector: {matchLabels: {a: b}}"},
        {"a/target.yaml": "selector: {}\npriority: 1"},
        {"a/target.yaml": "selector: {}\ntrustedOnly: true"},
        {"gitsync.yaml": "agentTypes: [{type: sdk, selector: {matchLabels: {a: b}}}]"},
    ):
        assert bundle_of(ALL | other).versions["a"].digest != before


def test_only_aliases_that_matching_looks_at_belong_to_a_version() -> None:
    rules = (
        "aliases: {env: [d.e], region: [c.r], sdk: [t.s]}\nagentTypes: [{type: x, selector: {matchLabels: {sdk: a}}}]"
    )
    version = bundle_of(ALL | {"gitsync.yaml": rules, "a/env=prod/x.yaml": ""}).versions["a/env=prod"]
    assert version.rules.aliases == {"env": ("d.e",), "sdk": ("t.s",)}
    assert "gitsync.yaml" in version.inputs


def test_an_equal_tree_compiles_to_an_equal_bundle() -> None:
    files = ALL | SDK | {"a/target.yaml": "selector: {matchLabels: {role: a}}", "a/e=1/x.yaml": debug("basic")}
    backwards = dict(reversed(files.items()))
    assert compiled(files) == compiled(backwards)


def test_the_byte_formats_never_change() -> None:
    bundle = bundle_of(
        {
            "gitsync.yaml": "aliases: {env: [deployment.environment]}\n",
            "agents/target.yaml": "selector: {matchLabels: {role: agent}}\npriority: 3\n",
            "agents/c.yaml": C,
            "agents/env=prod/x.yaml": debug("detailed"),
        }
    )
    version = bundle.versions["agents/env=prod"]
    assert body_of(bundle, "agents/env=prod") == (
        "exporters:\n  debug:\n    verbosity: detailed\n"
        'receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: "localhost:4317"\n'
        "service:\n  pipelines:\n    traces:\n      exporters:\n        - debug\n      receivers:\n        - otlp\n"
    )
    digest = payload_of(bundle, "agents/env=prod").digest
    assert show_digest(digest) == ("sha256:1810f915e29d801a50e77c9c5e9560748b50e967ee83078ca5743fc943d3e706")
    assert show_digest(version.digest) == ("sha256:324a09bd9612b2e3da2c272a15c40f535ad2777d9625eed5d11c16367883341a")
    objects = [ConfigObject("b", "text/plain", "", b"2"), ConfigObject("a", "application/json", "r", b"1")]
    assert config_hash(objects).hex() == ("5ceb557982ab316c07653940819bbaf92d1cbaf3317f2c79ce4bf39f6c76ff2f")
    assert config_hash(objects) == config_hash(objects[::-1])


def test_a_broken_gitsync_yaml_hides_only_what_depends_on_it() -> None:
    typed = {
        "s/target.yaml": "agentType: sdk\nselector: {}\nobjects: [{name: a, file: a.json}, {name: b, file: b}]",
        "s/a.json": "[",
    }
    result = compiled(ALL | typed | {"gitsync.yaml": "agentType: []", "a/c.yaml": "x: 1"})
    assert [(one.code, one.path) for one in result.diagnostics] == [
        ("GS0201", "a/c.yaml"),
        ("GS0402", "gitsync.yaml"),
        ("GS0516", "s/a.json"),
        ("GS0510", "s/target.yaml"),
    ]


def test_a_gitsync_yaml_that_is_not_served_is_named_once() -> None:
    link = BadEntry("gitsync.yaml", "symlink")
    assert codes_of(compiled(tree_of(ALL, bad=[link], without_manifest=True))) == ["GS0601"]
    large = BadEntry("gitsync.yaml", "file-size", "2 MiB")
    tree = tree_of(ALL, bad=[large])
    tree.data.pop(tree.blobs["gitsync.yaml"])  # type: ignore[attr-defined]
    assert codes_of(compiled(tree)) == ["GS0605"]


def test_an_include_of_an_entry_that_is_refused_adds_no_second_error() -> None:
    files = ALL | {"a/target.yaml": "selector: {}\ninclude: [/lib/link.yaml]"}
    assert codes_of(compiled(tree_of(files, bad=[BadEntry("lib/link.yaml", "symlink")]))) == ["GS0601"]
