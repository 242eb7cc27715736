"""What rules say about the mistakes that people make most: the message names the fault, the hint the way out."""

import pytest

from gitsync.collector.rules import (
    attributes,
    connectors,
    enrichment,
    kafka,
    metrics,
    otlp,
    processors,
    remotes,
    sampling,
)
from gitsync.diagnostics import Severity
from tests.support.rules import diagnostics, settings_of

RULES = [
    table
    for pack in (attributes, connectors, enrichment, kafka, metrics, otlp, processors, remotes, sampling)
    for table in (getattr(pack, "VALIDATE", {}), getattr(pack, "CONSTRUCT", {}))
]
SAID = [
    (
        "processor/resource",
        "attributes: [{key: a, value: b, action: set}]",
        'no action "set"',
        'did you mean "upsert"?',
    ),
    ("processor/attributes", "actions: [{key: a, value: b, action: add}]", 'no action "add"', 'did you mean "insert"?'),
    ("processor/memory_limiter", "limit_mib: 5", '"check_interval" must be set', "as in 1s"),
    ("processor/k8s_attributes", "extract: {metadata: [k8s.pod.nam]}", "nothing that can be", "k8s.pod.name"),
    ("processor/resource_detection", "detectors: [elasticbeanstalk]", "there is no detector", "elastic_beanstalk"),
    ("processor/metrics_transform", "transforms: [{include: a, action: updat}]", '"updat"', 'did you mean "update"?'),
    ("exporter/otlp_http", "endpoint: localhost:4318", "nothing can be sent there", "write http://localhost:4318"),
    ("exporter/elasticsearch", "endpoint: elastic:9200", "http:// or https://", "as in https://"),
    ("connector/routing", "table: [{pipelines: [traces]}]", 'needs a "condition"', "attributes"),
]


@pytest.mark.parametrize(("component", "text", "message", "hint"), SAID)
def test_the_way_out_is_named(component: str, text: str, message: str, hint: str) -> None:
    (found,) = diagnostics(RULES, settings_of(component, text, signals=["traces"]))
    assert message in found.message
    assert hint in found.hint


def test_what_stops_the_collector_only_at_its_start_is_a_warning() -> None:
    text = "policies: [{name: a, type: latencies, foo: {}}, {name: a, type: always_sample}]"
    found = diagnostics([sampling.CONSTRUCT], settings_of("processor/tail_sampling", text))
    assert {one.severity for one in found} == {Severity.WARNING}
    assert all("does not start" in one.message for one in found)
    assert 'did you mean "latency"?' in found[0].hint


def test_acknowledgements_of_kafka_are_a_number_or_all() -> None:
    right = [settings_of("configkafka.ProducerConfig", f"required_acks: {one}") for one in ("all", "-1", "${env:ACKS}")]
    assert [diagnostics([kafka.TYPES], one) for one in right] == [(), (), ()]
    (found,) = diagnostics([kafka.TYPES], settings_of("configkafka.ProducerConfig", "required_acks: '1'"))
    assert found.code == "GS0267"
    assert "without quotes" in found.hint


def test_a_text_of_the_user_is_shortened_and_quoted() -> None:
    (found,) = diagnostics(
        [processors.VALIDATE], settings_of("processor/batch", f"metadata_keys: [{'k' * 500}, {'K' * 500}]")
    )
    assert len(found.message) < 160
