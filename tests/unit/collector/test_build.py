"""Releases of the Collector, and builds of them."""

import pickle

import pytest

from gitsync.collector.build import DISTRIBUTIONS, Build, CollectorVersion, parse_version
from gitsync.collector.expansion import CONTRIB_SCHEMES, CORE_SCHEMES
from gitsync.collector.schema import Struct
from tests.support.collectorcatalog import newest, older, small_catalog


def test_a_component_is_found_by_its_new_and_its_old_name() -> None:
    new, old = newest().find("exporter", "otlp_grpc"), newest().find("exporter", "otlp")
    assert new is old
    assert new is not None
    assert (new.kind, new.type, new.aliases) == ("exporter", "otlp_grpc", ("otlp",))
    assert newest().find("receiver", "otlp_grpc") is None
    assert newest().has_name("exporter", "otlp")
    assert newest().types("exporter") == ("otlp", "otlp_grpc")


def test_what_ends_says_how() -> None:
    ends = {one: newest().find(*one.split("/")) for one in ("receiver/odd", "receiver/otlp", "extension/zpages")}
    assert {name: info.ends for name, info in ends.items() if info} == {
        "receiver/odd": "deprecated",
        "receiver/otlp": "",
        "extension/zpages": "",
    }
    data = b'{"components": {"receiver/a": {"signals": {"logs": "unmaintained", "traces": "deprecated"}}}}'
    info = CollectorVersion("0.1.0", data, b"{}", b"{}").find("receiver", "a")
    assert info is not None
    assert info.ends == "deprecated"


def test_a_schema_is_there_for_what_has_fields() -> None:
    schema = newest().schema("exporter", "otlp")
    assert schema is not None
    assert isinstance(schema.shape, Struct)
    assert schema.defaults["timeout"] == "5s"
    assert newest().schema("exporter", "otlp_grpc") is schema
    assert newest().schema("receiver", "kafka") is None
    assert newest().schema("receiver", "none") is None
    assert isinstance(newest().telemetry.shape, Struct)


def test_nothing_is_parsed_before_it_is_needed() -> None:
    version = CollectorVersion("0.1.0", b'{"components": {}}', b"not json", b"not json")
    assert version.find("receiver", "x") is None
    assert version.number == (0, 1, 0)


def test_a_release_survives_the_way_into_another_process() -> None:
    newest().find("receiver", "otlp")
    copy = pickle.loads(pickle.dumps(newest()))
    assert copy.version == "0.159.0"
    assert copy.find("receiver", "otlp") == newest().find("receiver", "otlp")
    assert pickle.loads(pickle.dumps(small_catalog())).nearest("0.150.0") == "0.149.0"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.159.0", (0, 159, 0)),
        ("v0.159.1", (0, 159, 1)),
        ("0.159", (0, 159, 0)),
        ("1.2.3.4", None),
        ("latest", None),
        ("0.x.1", None),
        ("", None),
        ("0.²", None),
        ("0." + "9" * 5000, None),
    ],
)
def test_a_version_is_two_or_three_numbers(text: str, number: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == number


def test_a_name_that_is_no_version_is_a_broken_promise() -> None:
    with pytest.raises(ValueError, match="no version"):
        CollectorVersion("latest", b"{}", b"{}", b"{}")


def test_a_distribution_holds_some_components_of_a_release() -> None:
    core, contrib = small_catalog().build("core", []), small_catalog().build("contrib", [])
    assert not core.holds(core.newest, "receiver", "kafka")
    assert contrib.holds(contrib.newest, "receiver", "kafka")


def test_a_custom_build_holds_everything_and_its_schemes_are_not_known() -> None:
    custom = small_catalog().build("custom", [])
    assert custom.holds(custom.newest, "receiver", "of-our-own")
    assert custom.schemes is None
    assert small_catalog().build("core", []).schemes == CORE_SCHEMES
    assert small_catalog().build(None, []).schemes == CONTRIB_SCHEMES


def test_a_distribution_whose_components_are_not_known_holds_everything() -> None:
    version = CollectorVersion("0.1.0", b'{"distributions": {"core": []}, "components": {}}', b"{}", b"{}")
    assert Build("core", (version,)).holds(version, "receiver", "otlp")
    assert Build("k8s", (version,)).holds(version, "receiver", "otlp")


def test_builds_are_ordered_and_each_release_counts_once() -> None:
    build = small_catalog().build("otelcol-k8s", ["0.159.0", "v0.149.0", "0.158.3"])
    assert (build.distribution, [one.version for one in build.versions]) == ("k8s", ["0.149.0", "0.159.0"])
    assert (build.versions, build.newest) == ((older(), newest()), newest())


@pytest.mark.parametrize(
    ("wanted", "stands_for"),
    [
        ("0.159.0", "0.159.0"),
        ("v0.159.0", "0.159.0"),
        ("0.149.3", "0.149.0"),
        ("0.120.0", "0.149.0"),
        ("0.154.0", "0.159.0"),
        ("0.200.0", "0.159.0"),
        ("latest", "0.159.0"),
    ],
)
def test_the_nearest_known_release_stands_for_one_that_is_not(wanted: str, stands_for: str) -> None:
    assert small_catalog().nearest(wanted) == stands_for


def test_a_catalog_without_releases_says_so() -> None:
    from gitsync.bundle.catalog import Catalog

    with pytest.raises(LookupError, match="no release"):
        Catalog({}).build(None, [])


def test_every_name_of_a_distribution_leads_to_one_of_four() -> None:
    assert set(DISTRIBUTIONS.values()) == {"contrib", "core", "k8s", "custom"}
