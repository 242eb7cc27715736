"""Reading gitsync.yaml and target.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gitsync.bundle.manifest import Manifests, Repository, Target, TreeLimits
from gitsync.diagnostics import Diagnostic
from gitsync.labels import parse_selector
from tests.support.compiling import catalog

ROOT = Path(__file__).parents[3]


def repository(text: str) -> Repository:
    read, found = Manifests(catalog()).read_repository("gitsync.yaml", text.encode())
    assert read is not None, found
    return read


def target(text: str) -> Target:
    read, found = Manifests(catalog()).read_target("a/target.yaml", text.encode())
    assert read is not None, found
    return read


def faults(text: str) -> tuple[Diagnostic, ...]:
    read, found = Manifests(catalog()).read_target("a/target.yaml", text.encode())
    assert read is None
    return found


def test_an_empty_gitsync_yaml_is_valid_and_means_the_defaults() -> None:
    assert repository("") == Repository()
    assert repository("apiVersion: gitsync/v1\nkind: Repository\n") == Repository()
    assert repository("rollout: all-at-once\n") == Repository()


def test_gitsync_yaml_gives_aliases_types_limits_and_the_collector() -> None:
    read = repository(
        "aliases: {env: [deployment.environment.name, deployment.environment, deployment.environment.name]}\n"
        "agentTypes:\n"
        "  - {type: sdk, selector: {matchExpressions: [{key: telemetry.sdk.language, operator: Exists}]}}\n"
        "limits: {files: 20, file_bytes: 1000}\n"
        'collector: {distribution: contrib, versions: ["0.149.0"]}\n'
    )
    assert read.aliases == {"env": ("deployment.environment.name", "deployment.environment")}
    assert [(one.type, one.selector) for one in read.types] == [("sdk", parse_selector("telemetry.sdk.language"))]
    assert read.limits == TreeLimits(combinations=256, files=20, file_bytes=1000)
    assert read.collector is not None
    assert read.collector.distribution is not None
    assert (read.collector.distribution.text, read.collector.distribution.at.line) == ("contrib", 5)
    assert [one.text for one in read.collector.versions] == ["0.149.0"]


def test_target_yaml_gives_the_selector_and_the_places_of_its_keys() -> None:
    read = target(
        "selector:\n"
        "  matchLabels: {role: agent}\n"
        "  matchExpressions:\n"
        "    - {key: env, operator: NotIn, values: [dev, test]}\n"
        "priority: 5\n"
        "trustedOnly: true\n"
        "inherit: false\n"
        "include: [/lib/a.yaml, b.yaml]\n"
        "remove: [exporters::otlp/backup]\n"
    )
    assert read.selector == parse_selector("role=agent,env notin (dev,test)")
    assert (read.priority, read.trusted_only, read.inherit, read.default) == (5, True, False, False)
    assert [one.text for one in read.include] == ["/lib/a.yaml", "b.yaml"]
    assert str(read.include[1].at) == "a/target.yaml:8:24"
    assert read.remove[0].text == "exporters::otlp/backup"
    assert str(read.place("priority")) == "a/target.yaml:5:1"
    assert str(read.place("objects")) == "a/target.yaml:1:1"


def test_a_target_without_a_selector_differs_from_one_that_selects_everything() -> None:
    assert target("").selector is None
    assert target("selector: {}").selector == parse_selector("")


def test_an_include_without_a_condition_may_be_written_as_a_map() -> None:
    assert target("include: [{path: /lib/a.yaml}]").include[0].text == "/lib/a.yaml"


def test_an_object_has_a_name_and_a_file() -> None:
    (entry,) = target("objects: [{name: sdk, file: a.json, contentType: application/json, role: r}]").objects
    assert (entry.name.text, entry.file.text, entry.content_type, entry.role) == (
        "sdk",
        "a.json",
        "application/json",
        "r",
    )


def test_several_faults_are_all_reported_with_their_places() -> None:
    found = faults("selctor: {}\npriority: high\ninclude: /lib/a.yaml\nobjects: [{nam: a}]\n")
    shown = [(one.line, one.column, one.code) for one in found]
    assert shown == [
        (1, 1, "GS0402"),
        (2, 11, "GS0403"),
        (3, 10, "GS0403"),
        (4, 11, "GS0405"),
        (4, 11, "GS0405"),
        (4, 12, "GS0402"),
    ]
    assert found[0].hint == 'did you mean "selector"?'
    assert '"priority" must be a whole number, not text' in found[1].message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("selector: {matchExpressions: [{key: a, operator: in, values: [b]}]}", 'did you mean "In"?'),
        ("kind: Repository", "allowed: Target"),
        ("priority: 5000", ""),
        ("selector: [a]", ""),
        ("selector:", ""),
        ("- a", ""),
        ("a: b: c", ""),
        ("agentType: '-'", ""),
    ],
)
def test_what_does_not_fit_is_an_error_with_a_line(text: str, where: str) -> None:
    found = faults(text)
    assert found[0].line == 1
    assert found[0].column > 0
    assert where in found[0].hint


def test_a_huge_manifest_is_refused_quickly() -> None:
    found = faults("selector:\n  matchLabels:\n" + "".join(f"    k{n}: {n}\n" for n in range(30_000)))
    assert {one.code for one in found} == {"GS0105"}
    many = faults("selector:\n  matchLabels:\n" + "".join(f"    k{n}: {n}\n" for n in range(5_000)))
    assert len(many) <= 101


@pytest.mark.parametrize("name", ["gitsync", "target", "addon"])
def test_the_schemas_are_valid_and_describe_every_key_to_editors(name: str) -> None:
    schema = json.loads((ROOT / "schemas" / f"{name}.v1.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False

    def descriptions(part: dict[str, Any]) -> None:
        for key, one in part.get("properties", {}).items():
            assert one.get("description"), key
            descriptions(one)
            descriptions(one.get("items", {}))

    descriptions(schema)
