"""The example repository: clean, and what its README says."""

import json
import re
from pathlib import Path

from gitsync.bundle.version import Bundle
from gitsync.labels import resolve
from tests.support.compiling import body_of, bundle_of, compiled, payload_of
from tests.support.configrepo import tree_of_directory

EXAMPLE = Path(__file__).parents[3] / "examples" / "config-repo"
SLIM = {
    "receivers": {"otlp", "hostmetrics"},
    "processors": {"batch", "memory_limiter", "transform", "filter"},
    "exporters": {"debug", "nop", "otlp_grpc", "otlp_http"},
    "extensions": {"health_check", "opamp"},
}


def example() -> Bundle:
    return bundle_of(tree_of_directory(EXAMPLE))


def test_the_example_has_no_findings() -> None:
    result = compiled(tree_of_directory(EXAMPLE))
    assert result.diagnostics == ()
    assert set(example().versions) == {
        "agents",
        "agents/env=dev",
        "agents/env=prod",
        "agents/env=prod/region=eu-west-1",
        "default",
        "gateways",
        "sdk",
        "sdk/service.name=checkout",
    }


def test_every_yaml_file_of_the_example_is_used() -> None:
    judged = set(compiled(tree_of_directory(EXAMPLE)).files)
    there = {path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*.yaml")}
    assert there <= judged


def test_the_example_uses_components_of_the_slim_collector_only() -> None:
    bundle = example()
    for path, version in bundle.versions.items():
        if version.agent_type != "collector":
            continue
        for place in payload_of(bundle, path).provenance:
            section, _, rest = place.partition("::")
            if section in SLIM:
                assert re.split("::|/", rest)[0] in SLIM[section], place


def test_the_default_target_has_the_default_values() -> None:
    body = body_of(example(), "default")
    for line in ('timeout: "10s"', "send_batch_size: 1024", 'check_interval: "1s"', "limit_mib: 512", "  otlp:"):
        assert line in body
    assert example().versions["default"].selector is None


def test_several_collectors_fit_on_one_machine() -> None:
    for path, version in example().versions.items():
        if version.agent_type == "collector":
            for number in re.findall(r"(?:endpoint|port): .*", body_of(example(), path)):
                assert "${env:" in number


def test_agents_of_different_ages_are_told_apart_by_one_alias() -> None:
    version = example().versions["agents/env=prod"]
    assert version.selector is not None
    for key in ("env", "deployment.environment", "deployment.environment.name"):
        assert version.selector.matches(resolve({"role": "agent", key: "prod"}, version.rules.aliases))


def test_sdk_agents_get_json_objects_and_the_nearest_one_wins() -> None:
    bundle = example()
    rates = {}
    for path in ("sdk", "sdk/service.name=checkout"):
        (one,) = payload_of(bundle, path).objects
        assert (one.name, one.content_type) == ("sdk.json", "application/json")
        rates[path] = json.loads(one.body)["sampling_rate"]
    assert rates == {"sdk": 0.1, "sdk/service.name=checkout": 1.0}


def test_the_readme_names_every_target_and_every_variable() -> None:
    readme = (EXAMPLE / "README.md").read_text()
    for path in example().versions:
        assert f"`{path}/`" in readme
    used = {name for path in EXAMPLE.rglob("*.yaml") for name in re.findall(r"\$\{env:([A-Z_]+)", path.read_text())}
    assert used == set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", readme))
