"""Exporters to databases and brokers: prometheus, prometheus_remote_write, elasticsearch, kafka."""

from __future__ import annotations

import base64

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar, is_null
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.rules.amounts import require_positive
from gitsync.collector.rules.demands import (
    EXCLUSIVE,
    MISSING,
    REFUSED,
    TOGETHER,
    URL,
    WORD,
    at_least,
    given,
    known_texts,
    not_negative,
    one_of,
    switched_on,
    url,
)
from gitsync.collector.rules.processors import check_metadata_keys
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_WRITE_1 = "prometheus.WriteRequest"
_WRITE_2 = "io.prometheus.write.v2.Request"
_RESERVED = ("content-encoding", "content-type", "user-agent", "x-prometheus-remote-write-version")
_HTTP = (0, 150, 0)
"""Since about then remote writing may have its HTTP settings under `http`."""
_MODES = ("none", "raw", "ecs", "otel", "bodymap")
_SIGNALS = ("logs", "metrics", "traces", "profiles")
_PARTITIONERS = ("sticky_key", "round_robin", "least_backup", "extension")
_KEYED = {
    "traces": ("partition_traces_by_id",),
    "metrics": ("partition_metrics_by_resource_attributes",),
    "logs": ("partition_logs_by_resource_attributes", "partition_logs_by_trace_id"),
}
"""Settings that choose the key of a message, by signal."""


def check_prometheus_address(settings: Settings, findings: Findings) -> None:
    """An address to be scraped at (exporter/prometheusexporter/prometheus.go `newPrometheusExporter`)."""
    endpoint = settings.text("endpoint")
    if endpoint is not None and not endpoint.strip():
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', "as in 0.0.0.0:8889")


def check_remote_write(settings: Settings, findings: Findings) -> None:
    """Queue, sizes, format (exporter/prometheusremotewriteexporter/config.go `Validate`)."""
    if settings.has("max_batch_request_parallelism"):
        at_least(settings, findings, 1, "max_batch_request_parallelism")
    queue = settings.below("remote_write_queue")
    not_negative(queue, findings, "queue_size", duration=False)
    not_negative(queue, findings, "num_consumers", duration=False)
    if queue.flag("enabled") and queue.number("queue_size") == 0:
        require_positive(queue, findings, "queue_size", duration=False, hint="a queue of size 0 drops all data")
    not_negative(settings, findings, "max_batch_size_bytes", duration=False)
    client = _client(settings)
    compression = client.text("compression")
    if compression not in (None, "", "snappy"):
        message = f'"compression" cannot be {quoted(compression or "")}'
        findings.error(client.place("compression"), WORD, message, "remote writing has snappy only")
    _check_message(settings, findings)
    for node in known_texts(settings, "include_metadata_keys"):
        if node.text.lower() in _RESERVED:
            message = f"the header {quoted(node.text)} belongs to the protocol"
            findings.error(node.origin, REFUSED, message, "leave it out")


def _check_message(settings: Settings, findings: Findings) -> None:
    message = settings.text("protobuf_message")
    if message == "" and not settings.has("protobuf_message"):  # the schema knows the words
        findings.error(settings.place("protobuf_message"), MISSING, '"protobuf_message" must be set', _WRITE_1)
    elif message == _WRITE_2:
        text = (
            "version 2 of remote writing needs the feature gate exporter.prometheusremotewritexporter.enableSendingRW2"
        )
        findings.error(settings.place("protobuf_message"), REFUSED, text, f"use {_WRITE_1}")


def check_remote_address(settings: Settings, findings: Findings) -> None:
    """A URL, and labels (prometheusremotewriteexporter/exporter.go `newPRWExporter`)."""
    url(_client(settings), findings, "endpoint", request=True)
    for entry in settings.below("external_labels").here.entries:
        value = entry.value
        empty = isinstance(value, Scalar) and is_known(value) and value.tag == "str" and not value.text
        if not entry.key or empty or is_null(value):
            message = "an external label needs a name and a value"
            findings.error(entry.key_origin, MISSING, message, "remove it, or set it")


def _client(settings: Settings) -> Settings:
    """The HTTP settings that count."""
    nested = settings.version >= _HTTP and settings.here.entry("http") is not None
    return settings.below("http") if nested else settings


def check_elasticsearch(settings: Settings, findings: Findings) -> None:
    """Where, and how (exporter/elasticsearchexporter/config.go `Validate`)."""
    ways = [key for key in ("endpoint", "endpoints", "cloudid") if given(settings, key)]
    if len(ways) > 1:
        names = " and ".join(f'"{key}"' for key in ways)
        findings.error(settings.key_place(ways[-1]), EXCLUSIVE, f"{names} exclude each other", "keep one of them")
    elif all(given(settings, key) is False for key in ("endpoint", "endpoints", "cloudid")):
        hint = "it could come from a variable ELASTICSEARCH_URL too, which nobody sees: write ${env:ELASTICSEARCH_URL}"
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', hint)
    _check_cloud(settings, findings)
    for key in ("endpoint", "endpoints"):
        for node in known_texts(settings, key):
            _check_node(node, findings)
    if settings.has("compression"):
        one_of(settings, findings, ("none", "gzip"), "compression")
    for key in ("max_requests", "max_retries"):
        not_negative(settings, findings, "retry", key, duration=False)
    if settings.number("retry", "max_requests") and settings.number("retry", "max_retries"):
        message = '"max_requests" and "max_retries" exclude each other'
        findings.error(settings.key_place("retry", "max_requests"), EXCLUSIVE, message, "keep max_retries")
    for signal in ("logs", "metrics", "traces"):
        if given(settings, f"{signal}_index") and settings.flag(f"{signal}_dynamic_index", "enabled"):
            message = f'"{signal}_index" and "{signal}_dynamic_index" exclude each other'
            findings.error(settings.key_place(f"{signal}_index"), EXCLUSIVE, message, "keep one of them")
    for node in known_texts(settings, "mapping", "allowed_modes"):
        if node.text.lower() not in (*_MODES, "", "no"):
            hint = did_you_mean(node.text, _MODES) or f"known: {', '.join(_MODES)}"
            findings.error(node.origin, WORD, f"there is no mapping mode {quoted(node.text)}", hint)
    check_metadata_keys(settings, findings)


def _check_cloud(settings: Settings, findings: Findings) -> None:
    """`name:base64("host$id…")` (config.go `parseCloudID`)."""
    text = settings.text("cloudid")
    if not text:
        return
    try:
        decoded = base64.b64decode(text.partition(":")[2], validate=True)
    except ValueError:
        decoded = b""
    if b"$" not in decoded:
        findings.error(
            settings.place("cloudid"), WORD, f"{quoted(text)} is no id of a cloud", "as in name:aG9zdCRpZA=="
        )


def _check_node(node: Scalar, findings: Findings) -> None:
    if node.tag != "str" or not is_known(node):
        return
    parts = parse_url(node.text)
    hint = "as in https://elastic.example:9200"
    if isinstance(parts, Refusal):
        findings.error(node.origin, URL, f"{quoted(node.text)} is not a URL: {parts.why}", hint)
    elif parts.scheme not in ("http", "https"):
        findings.error(node.origin, URL, f"{quoted(node.text)} does not begin with http:// or https://", hint)


def check_kafka(settings: Settings, findings: Findings) -> None:
    """Keys and partitions of messages (exporter/kafkaexporter/config.go `Validate`)."""
    by_resource, by_trace = _KEYED["logs"]
    if settings.flag(by_resource) and settings.flag(by_trace):
        message = f'"{by_resource}" and "{by_trace}" exclude each other'
        findings.error(settings.key_place(by_trace), EXCLUSIVE, message, "keep one of them")
    for signal, keys in _KEYED.items():
        for key in keys:
            if given(settings, signal, "message_key_from_metadata_key") and settings.flag(key):
                message = f'"message_key_from_metadata_key" of {signal} and "{key}" exclude each other'
                findings.error(settings.key_place(key), EXCLUSIVE, message, "keep one of them")
    _check_partitioner(settings.below("record_partitioner"), findings)
    queued = settings.flag("sending_queue", "enabled", default=True)
    if queued and switched_on(settings, "sending_queue", "batch"):
        _check_partition_keys(settings, findings)


def _check_partitioner(partitioner: Settings, findings: Findings) -> None:
    """One way to share records out (config.go `RecordPartitionerConfig.Validate`).

    What is written takes the place of the default, so nothing of the default is left.
    """
    chosen = [key for key in _PARTITIONERS if partitioner.has(key)]
    if partitioner.here.entries and not chosen:
        findings.error(partitioner.place(), MISSING, "a record partitioner must be chosen", "as in round_robin: {}")
    if len(chosen) > 1:
        names = " and ".join(f'"{key}"' for key in chosen)
        findings.error(partitioner.key_place(chosen[-1]), EXCLUSIVE, f"{names} exclude each other", "keep one")
    elif "sticky_key" in chosen and not partitioner.has("sticky_key", "hasher"):
        at = partitioner.key_place("sticky_key")
        findings.error(at, MISSING, '"sticky_key" needs a "hasher"', "sarama_compat or murmur2")
    elif "sticky_key" in chosen:
        one_of(partitioner, findings, ("sarama_compat", "murmur2"), "sticky_key", "hasher")


def _check_partition_keys(settings: Settings, findings: Findings) -> None:
    """What messages take from metadata must keep batches apart (config.go `validateBatchPartitionerKeys`)."""
    path = ("sending_queue", "batch", "partition", "metadata_keys")
    listed = settings.texts(*path)
    node = settings.node(*path)
    if listed is None or len(listed) != len(getattr(node, "items", listed)):
        return
    known = {one.text for one in listed}
    taken = [(one.text, one.origin) for one in known_texts(settings, "include_metadata_keys")]
    for signal in _SIGNALS:
        for key in ("topic_from_metadata_key", "message_key_from_metadata_key"):
            text = settings.text(signal, key)
            if text:
                taken.append((text, settings.place(signal, key)))
    for text, at in taken:
        if text not in known:
            hint = f"add it to {'::'.join(path)}"
            findings.error(at, TOGETHER, f"batches are not kept apart by the metadata key {quoted(text)}", hint)


VALIDATE: Rules = {
    "exporter/prometheus_remote_write": (check_remote_write,),
    "exporter/elasticsearch": (check_elasticsearch,),
    "exporter/kafka": (check_kafka,),
}
CONSTRUCT: Rules = {
    "exporter/prometheus": (check_prometheus_address,),
    "exporter/prometheus_remote_write": (check_remote_address,),
}
