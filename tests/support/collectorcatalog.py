"""A small release of the Collector, in the format of `schemas/collector`: every kind of schema that there is."""

import json
from functools import cache
from typing import Any

from gitsync.bundle.catalog import Catalog
from gitsync.collector.build import CollectorVersion
from gitsync.worker.schemas import load_catalog

SECRET: dict[str, Any] = {"type": "string", "x-secret": True}
DURATION: dict[str, Any] = {"type": "string", "format": "duration"}
TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}
ID: dict[str, Any] = {"type": "string", "format": "id"}


def whole(go: str) -> dict[str, Any]:
    return {"type": "integer", "x-go": go}


def struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def ref(name: str, **more: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", **more}


SETTINGS: dict[str, Any] = {
    "version": "0.159.0",
    "$defs": {
        "configtls.ClientConfig": struct(insecure=FLAG, ca_file=TEXT, key_pem=SECRET, min_version=TEXT),
        "configtls.ServerConfig": struct(cert_file=TEXT, reload_interval=DURATION),
        "confignet.TransportType": TEXT,
        "configgrpc.ServerConfig": struct(
            endpoint=TEXT,
            transport={
                "type": "string",
                "x-text": "confignet.TransportType",
                "x-go": "string",
                "enum": ["tcp", "udp", "unix"],
            },
            max_recv_msg_size_mib=whole("int"),
            max_concurrent_streams=whole("uint32"),
            tls=ref("configtls.ServerConfig", **{"x-null": True, "x-optional": "none"}),
        ),
        "confighttp.ServerConfig": struct(
            endpoint=TEXT,
            tls=ref("configtls.ServerConfig", **{"x-null": True, "x-optional": "none"}),
            compression_algorithms={"type": "array", "items": TEXT},
            response_headers={"type": "object", "additionalProperties": SECRET, "x-pairs": True},
        ),
        "otlpreceiver.Protocols": struct(
            grpc=ref("configgrpc.ServerConfig", **{"x-null": True, "x-optional": "default"}),
            http=ref("confighttp.ServerConfig", **{"x-null": True, "x-optional": "default"}),
        ),
        "otlpreceiver.Config": struct(protocols=ref("otlpreceiver.Protocols")),
        "configretry.BackOffConfig": struct(enabled=FLAG, initial_interval=DURATION, multiplier={"type": "number"}),
        "queuebatch.BatchConfig": struct(
            flush_timeout=DURATION, min_size=whole("int64"), mode={"type": "string", "enum": ["", "lax"]}
        ),
        "queuebatch.Config": struct(
            num_consumers=whole("int"),
            queue_size=whole("int64"),
            storage={**ID, "x-null": True},
            batch=ref("queuebatch.BatchConfig", **{"x-null": True, "x-optional": "none"}),
        ),
        "otlpexporter.Config": {
            **struct(
                endpoint=TEXT,
                timeout=DURATION,
                compression={
                    "type": "string",
                    "x-text": "configcompression.Type",
                    "x-go": "string",
                    "enum": ["", "gzip", "none", "zstd"],
                },
                headers={"type": "object", "additionalProperties": SECRET},
                auth=struct(authenticator=ID),
                tls=ref("configtls.ClientConfig"),
                retry_on_failure=ref("configretry.BackOffConfig"),
                sending_queue=ref("queuebatch.Config", **{"x-null": True, "x-optional": "some"}),
            ),
            "x-squash": ["configgrpc.ClientConfig"],
        },
        "batchprocessor.Config": struct(
            timeout=DURATION,
            send_batch_size=whole("uint32"),
            metadata_keys={"type": "array", "items": TEXT},
        ),
        "stanza.Operators": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": True},
            "x-operators": {"regex_parser": ref("regex.Config"), "json_parser": ref("json.Config")},
        },
        "regex.Config": struct(type=TEXT, id=TEXT, regex=TEXT, cache=struct(size=whole("uint16"))),
        "json.Config": struct(type=TEXT, id=TEXT, parse_ints=FLAG),
        "tree.Node": struct(
            name=TEXT,
            children={"type": "array", "items": ref("tree.Node")},
            by_name={"type": "object", "additionalProperties": ref("tree.Node", **{"x-null": True})},
        ),
        "tree.Node2": struct(name=TEXT),
        "v0.3.0.NameStringValuePair": struct(name=TEXT, value={**TEXT, "x-null": True}),
        "odd.Deaf": {**struct(collection_interval=DURATION, scrapers=struct(cpu=struct(name=TEXT))), "x-ignores": True},
        "odd.Config": {
            **struct(
                any={},
                mode={
                    "type": "string",
                    "x-text": "ottl.ErrorMode",
                    "x-go": "string",
                    "enum": ["ignore", "propagate"],
                    "x-fold": True,
                },
                level={"type": "string", "x-text": "zapcore.Level", "x-go": "int8", "enum": ["debug", "info"]},
                size={"type": "string", "x-text": "config.URL"},
                host={"type": "string", "x-text": "net.URL", "x-go": "struct"},
                ids={"type": "array", "items": ID},
                secrets={"type": "array", "items": SECRET},
                numbers={"type": "array", "items": {"type": "number"}},
                small=whole("int8"),
                groups={"type": "array", "items": ref("tree.Node2")},
                root=ref("tree.Node"),
                operators=ref("stanza.Operators"),
                config=ref("prometheusreceiver.PromConfig", **{"x-null": True}),
                custom=ref("odd.Custom"),
                deaf=ref("odd.Deaf"),
                sizer={"type": "string", "x-text": "request.SizerType", "x-go": "struct", "enum": ["bytes", "items"]},
                labels={"type": "array", "items": ref("v0.3.0.NameStringValuePair")},
                open={"type": "object", "properties": {"a": FLAG}, "additionalProperties": True},
                nothing={"type": "object", "additionalProperties": False},
                free={"type": "object", "additionalProperties": True},
            ),
        },
        "odd.Custom": {
            **struct(count=whole("int"), list={"type": "array", "items": ref("tree.Node2")}),
            "additionalProperties": True,
            "x-custom": True,
        },
        "prometheusreceiver.PromConfig": struct(
            scrape_configs={"type": "array", "items": ref("config.ScrapeConfig")},
        ),
        "config.ScrapeConfig": struct(
            job_name=TEXT,
            honor_labels=FLAG,
            params={"type": "object", "additionalProperties": {"type": "array", "items": TEXT}},
        ),
    },
    "components": {
        "receiver/otlp": ref(
            "otlpreceiver.Config",
            default={"protocols": {"grpc": {"endpoint": "localhost:4317"}, "http": {"endpoint": "localhost:4318"}}},
        ),
        "exporter/otlp_grpc": ref(
            "otlpexporter.Config",
            default={"timeout": "5s", "sending_queue": {"num_consumers": 10, "queue_size": 1000}},
        ),
        "processor/batch": ref("batchprocessor.Config", default={"timeout": "200ms", "send_batch_size": 8192}),
        "receiver/odd": ref("odd.Config"),
    },
    "telemetry": struct(metrics=struct(level=TEXT), logs=struct(level=TEXT, encoding=TEXT)),
}

COMPONENTS: dict[str, Any] = {
    "version": "0.159.0",
    "distributions": {
        "contrib": [
            "connector/count",
            "exporter/otlp_grpc",
            "extension/zpages",
            "processor/batch",
            "receiver/kafka",
            "receiver/odd",
            "receiver/otlp",
        ],
        "core": ["exporter/otlp_grpc", "extension/zpages", "processor/batch", "receiver/otlp"],
        "k8s": ["exporter/otlp_grpc", "processor/batch", "receiver/otlp"],
    },
    "components": {
        "receiver/otlp": {
            "module": "go.opentelemetry.io/collector/receiver/otlpreceiver",
            "signals": {"traces": "stable", "metrics": "stable", "logs": "stable"},
            "aliases": [],
            "deprecated": False,
            "fields": True,
        },
        "exporter/otlp_grpc": {
            "module": "go.opentelemetry.io/collector/exporter/otlpexporter",
            "signals": {"traces": "stable", "metrics": "stable", "logs": "stable"},
            "aliases": ["otlp"],
            "deprecated": False,
            "fields": True,
        },
        "processor/batch": {"signals": {"traces": "beta"}, "aliases": [], "deprecated": False, "fields": True},
        "receiver/odd": {"signals": {"logs": "unmaintained"}, "aliases": [], "deprecated": True, "fields": True},
        "receiver/kafka": {"signals": {"logs": "beta"}, "aliases": [], "deprecated": False, "fields": False},
        "connector/count": {
            "signals": {"traces_to_metrics": "alpha"},
            "aliases": [],
            "deprecated": False,
            "fields": False,
        },
        "extension/zpages": {
            "signals": {},
            "stability": "beta",
            "aliases": [],
            "deprecated": False,
            "fields": False,
        },
    },
}

OLD_COMPONENTS: dict[str, Any] = {
    "version": "0.149.0",
    "distributions": {
        "contrib": ["exporter/otlp", "receiver/otlp"],
        "core": ["exporter/otlp", "receiver/otlp"],
        "k8s": [],
    },
    "components": {
        "receiver/otlp": COMPONENTS["components"]["receiver/otlp"],
        "exporter/otlp": {"signals": {"traces": "stable"}, "aliases": [], "deprecated": False, "fields": True},
    },
}
OLD_SETTINGS: dict[str, Any] = {
    "version": "0.149.0",
    "$defs": SETTINGS["$defs"],
    "components": {
        "receiver/otlp": SETTINGS["components"]["receiver/otlp"],
        "exporter/otlp": SETTINGS["components"]["exporter/otlp_grpc"],
    },
    "telemetry": {},
}


@cache
def newest() -> CollectorVersion:
    """0.159.0, with a handful of components."""
    return CollectorVersion("0.159.0", json.dumps(COMPONENTS).encode(), json.dumps(SETTINGS).encode(), b"{}")


@cache
def older() -> CollectorVersion:
    """0.149.0, in which `otlp_grpc` is still `otlp`."""
    return CollectorVersion("0.149.0", json.dumps(OLD_COMPONENTS).encode(), json.dumps(OLD_SETTINGS).encode(), b"{}")


@cache
def small_catalog() -> Catalog:
    """The package's own schemas, and these two releases."""
    return Catalog(load_catalog().schemas, {one.version: one for one in (older(), newest())})
