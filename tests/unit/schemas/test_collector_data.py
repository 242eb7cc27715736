"""The committed data about the Collector is well-formed and says what is known of its releases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[3] / "schemas" / "collector"
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/components.json"))
FILES = ("components", "ottl", "settings")
KINDS = {"receiver", "processor", "exporter", "connector", "extension"}
LEVELS = {"development", "alpha", "beta", "stable", "deprecated", "unmaintained"}

each_version = pytest.mark.parametrize("version", VERSIONS)


@cache
def load(version: str, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / version / f"{name}.json").read_text(encoding="utf-8"))
    return data


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def test_two_releases_are_known() -> None:
    assert {"0.149.0", "0.159.0"} <= set(VERSIONS)


@each_version
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_sorted_indented_by_one_space_and_names_its_release(version: str, name: str) -> None:
    text = (DATA / version / f"{name}.json").read_text(encoding="utf-8")
    data = load(version, name)
    assert text == json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert data["version"] == version


@each_version
def test_every_reference_resolves_and_no_definition_is_left_over(version: str) -> None:
    # Groups of statements are read by rules of our own, because their lists take texts as well.
    groups = {"filterprocessor.condition.ContextConditions", "transformprocessor.common.ContextStatements"}
    settings = load(version, "settings")
    used = {node["$ref"] for node in nodes(settings) if isinstance(node.get("$ref"), str)}
    assert used == {f"#/$defs/{name}" for name in set(settings["$defs"]) - groups}


@each_version
def test_no_schema_carries_a_text_of_somebody_else(version: str) -> None:
    settings = load(version, "settings")
    assert not [node for node in nodes(settings) if isinstance(node.get("description"), str)]


@each_version
def test_settings_are_there_for_exactly_the_components_that_claim_them(version: str) -> None:
    components = load(version, "components")["components"]
    assert {id_ for id_, entry in components.items() if entry["fields"]} == set(load(version, "settings")["components"])


@each_version
def test_every_component_has_a_kind_known_stability_and_a_distribution(version: str) -> None:
    data = load(version, "components")
    distributed = {id_ for ids in data["distributions"].values() for id_ in ids}
    assert distributed == set(data["components"])
    for id_, entry in data["components"].items():
        kind = id_.partition("/")[0]
        assert kind in KINDS
        levels = {entry["stability"]} if kind == "extension" else set(entry["signals"].values())
        assert levels, id_
        assert levels <= LEVELS, id_


@each_version
def test_an_old_name_is_no_component_and_belongs_to_one(version: str) -> None:
    components = load(version, "components")["components"]
    old = [f"{id_.partition('/')[0]}/{alias}" for id_, entry in components.items() for alias in entry["aliases"]]
    assert len(old) == len(set(old))
    assert not set(old) & set(components)


@each_version
def test_the_distributions_are_complete(version: str) -> None:
    sizes = {name: len(ids) for name, ids in load(version, "components")["distributions"].items()}
    assert sizes["contrib"] > 230
    assert sizes["core"] == 27
    assert sizes["k8s"] >= 68


@pytest.mark.parametrize(
    ("id_", "old"),
    [
        ("receiver/tcp_log", "tcplog"),
        ("receiver/host_metrics", "hostmetrics"),
        ("processor/metrics_transform", "metricstransform"),
    ],
)
def test_the_newest_release_knows_the_new_name_and_the_old_one(id_: str, old: str) -> None:
    assert load("0.159.0", "components")["components"][id_]["aliases"] == [old]


def test_the_releases_differ_in_names_and_in_the_language() -> None:
    before, after = load("0.149.0", "components")["components"], load("0.159.0", "components")["components"]
    assert "receiver/tcplog" in before
    assert "receiver/tcplog" not in after
    assert "exemplar" not in load("0.149.0", "ottl")["contexts"]
    assert "exemplar" in load("0.159.0", "ottl")["contexts"]


@each_version
def test_types_that_decode_themselves_are_typed_by_asking_them(version: str) -> None:
    definitions = load(version, "settings")["$defs"]
    scrapers = definitions["hostmetricsreceiver.Config"]["properties"]["scrapers"]["properties"]
    assert {"cpu", "disk", "memory", "process"} <= set(scrapers)
    assert {"json_parser", "regex_parser", "router"} <= set(definitions["stanza.Operators"]["x-operators"])
    assert "scrape_configs" in definitions["prometheusreceiver.PromConfig"]["properties"]


@each_version
def test_functions_named_by_contexts_exist(version: str) -> None:
    ottl = load(version, "ottl")
    named = set(ottl["standard"])
    for contexts in ottl["components"].values():
        named.update(name for names in contexts.values() for name in names)
    assert named <= set(ottl["functions"])
    assert ottl["contexts"]["span"]["enums"]["SPAN_KIND_SERVER"] == 2
    assert ottl["contexts"]["span"]["paths"]["span.attributes"] == {"index": "any", "type": "map", "writable": True}
