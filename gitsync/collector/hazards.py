"""Legal but wrong: what the Collector's `validate` accepts in a whole configuration, and nobody means. Warnings.

Some of them stop the Collector when it starts (`policy.AT_START`); the others run and do something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.collector.components import BadId, normal_id, parse_component_id
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence
from gitsync.collector.pipelines import SECTIONS, Pipeline, Wiring
from gitsync.collector.settings import is_known
from gitsync.collector.usage import Usage
from gitsync.wording import did_you_mean, quoted

_EXTENSION_KEYS = {"authenticator": "authenticator", "storage": "storage extension", "storage_id": "storage extension"}
_ANY_HOST = ("", "0.0.0.0", "[::]", "::")  # noqa: S104  # compared with, never bound to


def check_hazards(root: Mapping, wiring: Wiring, usage: Usage, findings: Findings) -> None:
    """Extensions that are used but not enabled (GS0281), a late memory limiter (GS0283), one address twice (GS0284),
    debug exporters (GS1103), unverified certificates (GS1104), credentials in URLs (GS1102).
    """
    for section in SECTIONS:
        for key, value, owner in _leaves(root, section, usage):
            _check_leaf(wiring, key, value, owner, findings)
    for pipeline in wiring.pipelines or ():
        _check_limiter(pipeline, findings)
        _check_debug(wiring, pipeline, findings)
    _check_listeners(root, usage, findings)


def _check_leaf(wiring: Wiring, key: str, value: Scalar, owner: str, findings: Findings) -> None:
    if not is_known(value):
        return
    if key in _EXTENSION_KEYS and value.tag == "str":
        _check_enabled(wiring, _EXTENSION_KEYS[key], value, owner, findings)
    elif key == "insecure_skip_verify" and value.tag == "bool" and value.text.lower() == "true":
        message = f"{quoted(owner)} does not verify the certificate of its peer"
        findings.warning(value.origin, "GS1104", message, "name the CA that signed it in ca_file")
    elif value.tag == "str" and "://" in value.text:
        authority = value.text.partition("://")[2].partition("/")[0]
        user, at, _ = authority.rpartition("@")
        if at and ":" in user:
            hint = "take the password from the agent's environment, or use an authenticator"
            findings.warning(value.origin, "GS1102", f"a URL of {quoted(owner)} holds a password", hint)


def _check_enabled(wiring: Wiring, what: str, value: Scalar, owner: str, findings: Findings) -> None:
    """Found when the Collector starts: the extension is asked for by id (service/extensions)."""
    if wiring.extensions is None or wiring.sections["extensions"] is None:
        return
    try:
        wanted = str(parse_component_id(value.text))
    except BadId:
        return
    enabled = [one.id for one in wiring.extensions]
    if wanted in enabled:
        return
    if wanted in wiring.sections["extensions"]:
        message = f"{quoted(owner)} uses the {what} {quoted(wanted)}, which service::extensions does not list"
        findings.warning(value.origin, "GS0281", message, f"add {quoted(wanted)} to service::extensions")
        return
    near = "" if findings.full else did_you_mean(wanted, sorted(wiring.sections["extensions"]))
    hint = near or "add it under extensions"
    message = (
        f"{quoted(owner)} uses the {what} {quoted(wanted)}, which is not configured: the Collector fails at its start"
    )
    findings.warning(value.origin, "GS0281", message, hint)


def _check_limiter(pipeline: Pipeline, findings: Findings) -> None:
    late = False
    for item in pipeline.processors or ():
        limits = item.id.partition("/")[0] == "memory_limiter"
        late = late or not limits
        if limits and late:
            message = f"{quoted(item.id)} is not the first processor of pipeline {quoted(pipeline.id)}"
            hint = "what stands before it has taken the memory already; put it first"
            findings.warning(item.origin, "GS0283", message, hint)


def _check_debug(wiring: Wiring, pipeline: Pipeline, findings: Findings) -> None:
    for item in pipeline.exporters or ():
        if item.id.partition("/")[0] == "debug" and item.id in (wiring.sections["exporters"] or {}):
            message = f"pipeline {quoted(pipeline.id)} writes telemetry to the log of the agent"
            findings.warning(item.origin, "GS1103", message, f"remove {quoted(item.id)} when you are done with it")


def _check_listeners(root: Mapping, usage: Usage, findings: Findings) -> None:
    """Two listeners on one address: the second cannot start."""
    seen: dict[str, dict[str, tuple[str, Scalar]]] = {}
    for section in ("receivers", "extensions"):
        for key, value, owner in _leaves(root, section, usage):
            if key != "endpoint" or owner.partition("/")[0] not in _TCP_LISTENERS:
                continue
            host, colon, port = value.text.rpartition(":")
            if not colon or not port.isdigit() or port == "0" or "/" in host:
                continue
            there = seen.setdefault(port, {})
            hosts = there if host in _ANY_HOST else (host, *_ANY_HOST)
            taken = next((there[one] for one in hosts if one in there), None)
            if taken is not None:
                other, place = taken
                message = f"{quoted(owner)} listens on {value.text}, which {quoted(other)} has at {place.origin}"
                findings.warning(value.origin, "GS0284", message, "give one of them another port")
            there.setdefault(host, (owner, value))


# The endpoint of other receivers is a machine that they ask, or a UDP port.
_TCP_LISTENERS = frozenset(
    {"otlp", "zipkin", "opencensus", "skywalking", "splunk_hec", "signalfx", "loki", "influxdb", "datadog"}
    | {"health_check", "pprof", "zpages", "tcp_log", "tcplog", "prometheus_remote_write", "webhookevent", "awsfirehose"}
)


def _leaves(root: Mapping, section: str, usage: Usage) -> Iterator[tuple[str, Scalar, str]]:
    """Every scalar of the used components of a section: its nearest key, itself, and the id of the component."""
    components = root.get(section)
    for component in components.entries if isinstance(components, Mapping) else ():
        if not usage.uses(section, normal_id(component.key)):
            continue
        waiting: list[tuple[str, Node]] = [("", component.value)]
        while waiting:
            key, node = waiting.pop()
            if isinstance(node, Scalar):
                yield key, node, component.key
            elif isinstance(node, Sequence):
                waiting.extend((key, one) for one in reversed(node.items))
            else:
                waiting.extend((entry.key, entry.value) for entry in reversed(node.entries))
