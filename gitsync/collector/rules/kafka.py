"""Kafka: clients, consumers and producers (contrib's pkg/kafka/configkafka), and topics of the receiver."""

from __future__ import annotations

import re

from gitsync.collector.components import BadId, parse_component_id
from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Scalar, Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import (
    EMPTY,
    EXCLUSIVE,
    MISSING,
    RANGE,
    TOGETHER,
    WORD,
    at_least,
    given,
    is_regex,
    not_negative,
    one_of,
    positive,
    require,
    whole,
)
from gitsync.collector.rules.shared import check_compression_level
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_VERSION = re.compile(r"v?[0-9]+\.[0-9]+(\.[0-9]+){0,2}")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "AWS_MSK_IAM_OAUTHBEARER", "OAUTHBEARER")
_STRATEGIES = ("cooperative-sticky", "range", "roundrobin", "sticky")
"""Those that Kafka clients have; any other one is the id of an extension."""
_LARGEST = 2**31 - 1
_SIGNALS = ("logs", "metrics", "traces", "profiles")


def check_client(settings: Settings, findings: Findings) -> None:
    """Brokers, a version, an idle time (config.go `ClientConfig.Validate`)."""
    brokers = settings.node("brokers")
    if (isinstance(brokers, Sequence) and not brokers.items) or (isinstance(brokers, Scalar) and not brokers.text):
        findings.error(brokers.origin, EMPTY, '"brokers" must not be empty', "as in [localhost:9092]")
    version = settings.text("protocol_version")
    if version and not _VERSION.fullmatch(version):
        message = f"{quoted(version)} is no version of Kafka"
        findings.error(settings.place("protocol_version"), WORD, message, "as in 2.1.0")
    positive(settings, findings, "conn_idle_timeout")


def check_sasl(settings: Settings, findings: Findings) -> None:
    """A mechanism, and who logs in (config.go `SASLConfig.Validate`)."""
    if not one_of(settings, findings, _MECHANISMS, "mechanism"):
        return
    mechanism = settings.text("mechanism")
    if mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        require(settings, findings, "username")
        require(settings, findings, "password", hint="take it from the environment: ${env:KAFKA_PASSWORD}")
    elif mechanism == "OAUTHBEARER":
        require(settings, findings, "oauthbearer_token_source", hint="the id of an oauth2client extension")
    version = whole(settings, "version")
    if version is not None and not 0 <= version <= 1:
        findings.error(settings.place("version"), RANGE, '"version" of SASL must be 0 or 1')


def check_consumer(settings: Settings, findings: Findings) -> None:
    """Where to start, how partitions are shared, sizes (config.go `ConsumerConfig.Validate`)."""
    if settings.has("initial_offset"):
        one_of(settings, findings, ("latest", "earliest"), "initial_offset")
    if given(settings, "group_rebalance_strategy") and given(settings, "group_rebalance_strategies"):
        message = '"group_rebalance_strategy" and "group_rebalance_strategies" exclude each other'
        at = settings.key_place("group_rebalance_strategy")
        findings.error(at, EXCLUSIVE, message, "keep the list")
    _check_strategy(settings.node("group_rebalance_strategy"), findings)
    listed = settings.node("group_rebalance_strategies")
    for node in listed.items if isinstance(listed, Sequence) else ():
        _check_strategy(node, findings)
    for key in ("min_fetch_size", "max_fetch_size", "max_partition_fetch_size"):
        not_negative(settings, findings, key, duration=False)
    least, most = whole(settings, "min_fetch_size"), whole(settings, "max_fetch_size")
    known = settings.value("max_fetch_size") is not None
    if known and least is not None and most is not None and most < least:
        at = settings.place("max_fetch_size" if settings.has("max_fetch_size") else "min_fetch_size")
        findings.error(at, RANGE, '"max_fetch_size" must not be smaller than "min_fetch_size"')


def _check_strategy(node: Node | None, findings: Findings) -> None:
    if not isinstance(node, Scalar) or node.tag != "str" or not is_known(node) or node.text in ("", *_STRATEGIES):
        return
    try:
        parse_component_id(node.text)
    except BadId:
        hint = did_you_mean(node.text, _STRATEGIES) or f"known: {', '.join(_STRATEGIES)}"
        findings.error(node.origin, WORD, f"there is no group rebalance strategy {quoted(node.text)}", hint)


def check_producer(settings: Settings, findings: Findings) -> None:
    """Compression and sizes (config.go `ProducerConfig.Validate`, `RequiredAcks.Validate`)."""
    if settings.has("compression"):
        one_of(settings, findings, ("none", "gzip", "snappy", "lz4", "zstd"), "compression")
    check_compression_level(settings, findings)
    not_negative(settings, findings, "max_message_bytes", duration=False)
    size = whole(settings, "max_message_bytes")
    if size is not None and size > _LARGEST:
        findings.error(settings.place("max_message_bytes"), RANGE, f'"max_message_bytes" must be at most {_LARGEST}')
    room = whole(settings, "max_broker_write_bytes")
    if size is not None and room and size > room:
        at = settings.place("max_message_bytes" if settings.has("max_message_bytes") else "max_broker_write_bytes")
        findings.error(at, RANGE, '"max_message_bytes" must not be larger than "max_broker_write_bytes"')
    at_least(settings, findings, 1, "flush_max_messages")
    acks = settings.value("required_acks")
    if isinstance(acks, int) and not isinstance(acks, bool) and not -1 <= acks <= 1:
        findings.error(settings.place("required_acks"), RANGE, '"required_acks" must be all, 1 or 0')
    elif isinstance(acks, str) and acks != "all":
        message = f'"required_acks" cannot be {quoted(acks)}'
        findings.error(settings.place("required_acks"), WORD, message, "all, 1 or 0, without quotes")


def check_topics(settings: Settings, findings: Findings) -> None:
    """Topics to leave out need a pattern to leave them out of (receiver/kafkareceiver/config.go `Validate`)."""
    for signal in _SIGNALS:
        excluded = settings.texts(signal, "exclude_topics")
        topics = settings.texts(signal, "topics")
        if not excluded or topics is None or _is_open(settings, signal):
            continue
        if not any(node.text.startswith("^") for node in topics):
            message = '"exclude_topics" needs a topic that is a pattern'
            at = settings.key_place(signal, "exclude_topics")
            findings.error(at, TOGETHER, message, 'patterns begin with "^", as in ^logs-.*')
            continue
        for node in excluded:
            if not node.text:
                findings.error(node.origin, MISSING, "an empty pattern leaves every topic out", "remove it")
            else:
                is_regex(node, findings)


def _is_open(settings: Settings, signal: str) -> bool:
    """Whether the agent fills one of the topics in."""
    node = settings.node(signal, "topics")
    return any(not is_known(one) for one in node.items) if isinstance(node, Sequence) else False


TYPES: Rules = {
    "configkafka.ClientConfig": (check_client,),
    "configkafka.ConsumerConfig": (check_consumer,),
    "configkafka.ProducerConfig": (check_producer,),
    "configkafka.SASLConfig": (check_sasl,),
}
VALIDATE: Rules = {"receiver/kafka": (check_topics,)}
