"""What the package knows of the Collector's releases, all of it."""

import pytest

from gitsync.collector.build import CollectorVersion
from gitsync.collector.schema import Struct
from gitsync.worker.schemas import load_catalog

RELEASES = list(load_catalog().collectors.values())


def test_releases_are_there_in_order() -> None:
    assert RELEASES
    assert [one.number for one in RELEASES] == sorted(one.number for one in RELEASES)
    assert load_catalog().build(None, []).newest.version == RELEASES[-1].version


@pytest.mark.parametrize("release", RELEASES, ids=lambda one: str(one.version))
def test_every_component_with_fields_has_a_schema_that_compiles(release: CollectorVersion) -> None:
    kinds = ("receiver", "processor", "exporter", "connector", "extension")
    names = [(kind, name) for kind in kinds for name in release.types(kind)]
    assert ("receiver", "otlp") in names
    for kind, name in names:
        info = release.find(kind, name)
        assert info is not None
        schema = release.schema(kind, name)
        assert (schema is not None) is info.fields, (kind, name)


@pytest.mark.parametrize("release", RELEASES, ids=lambda one: str(one.version))
def test_telemetry_and_the_language_are_known(release: CollectorVersion) -> None:
    assert isinstance(release.telemetry.shape, Struct)
    assert "set" in release.ottl.functions


@pytest.mark.parametrize("release", RELEASES, ids=lambda one: str(one.version))
def test_types_with_checks_of_their_own_are_found_inside_of_components(release: CollectorVersion) -> None:
    schema = release.schema("exporter", "otlp")
    assert schema is not None
    assert isinstance(schema.shape, Struct)
    assert "configgrpc.ClientConfig" in schema.shape.parts
    tls = schema.shape.fields["tls"].shape
    assert isinstance(tls, Struct)
    assert tls.name == "configtls.ClientConfig"
