"""Receivers that others call, or that watch Kubernetes: OTLP, Jaeger, StatsD, webhooks, clusters."""

from __future__ import annotations

from gitsync.collector.duration import parse_duration
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url, split_host_port
from gitsync.collector.rules.demands import (
    ADDRESS,
    EMPTY,
    EXCLUSIVE,
    MISSING,
    RANGE,
    REFUSED,
    TOGETHER,
    TWICE,
    URL,
    WORD,
    exclusive,
    given,
    not_negative,
    one_of,
    positive,
    regex,
    require,
    switched_on,
    whole,
)
from gitsync.collector.rules.shared import check_scrape
from gitsync.collector.scalars import scalar_value
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_JAEGER = ("grpc", "thrift_http", "thrift_binary", "thrift_compact")
_CARBON: dict[str, tuple[str, ...]] = {"plaintext": (), "regex": ("rules", "name_separator")}
"""Parsers of carbon, with their settings."""
_TEN_SECONDS = 10 * 10**9
_TIMINGS = ("timing", "timer", "histogram", "distribution")
_OBSERVERS = ("gauge", "summary", "histogram")
_NODE_METRICS = (
    "k8s.container.cpu.node.utilization",
    "k8s.pod.cpu.node.utilization",
    "k8s.container.memory.node.utilization",
    "k8s.pod.memory.node.utilization",
)
_GROUPS = ("container", "pod", "node", "volume")
_LABELS = ("container.id", "k8s.volume.type")


def check_otlp(settings: Settings, findings: Findings) -> None:
    """At least one protocol, paths that are URLs (receiver/otlpreceiver/config.go `Validate`, `UnmarshalText`)."""
    _need_protocol(settings, findings, ("grpc", "http"))
    for key in ("traces_url_path", "metrics_url_path", "logs_url_path"):
        text = settings.text("protocols", "http", key)
        parts = parse_url(text) if text else None
        if isinstance(parts, Refusal):
            message = f"{quoted(text or '')} is no path of a URL: {parts.why}"
            findings.error(settings.place("protocols", "http", key), URL, message)


def _need_protocol(settings: Settings, findings: Findings, protocols: tuple[str, ...]) -> None:
    if any(switched_on(settings, "protocols", one) is not False for one in protocols):
        return
    at = settings.key_place("protocols")
    hint = f'add "{protocols[0]}:" under protocols'
    findings.error(at, TOGETHER, f"at least one protocol is needed: {', '.join(protocols)}", hint)


def check_jaeger(settings: Settings, findings: Findings) -> None:
    """At least one protocol, ports, no sampling (receiver/jaegerreceiver/config.go `Validate`)."""
    _need_protocol(settings, findings, _JAEGER)
    for protocol in _JAEGER:
        endpoint = settings.text("protocols", protocol, "endpoint")
        if endpoint is None or not settings.has("protocols", protocol, "endpoint"):
            continue
        parts = split_host_port(endpoint)
        port = "" if isinstance(parts, Refusal) else parts[1]
        if not (port.isascii() and port.isdecimal() and 0 < int(port[:9]) < 65536):
            message = f"{quoted(endpoint)} has no port from 1 to 65535"
            findings.error(settings.place("protocols", protocol, "endpoint"), ADDRESS, message, "write host:port")
    if settings.has("remote_sampling"):
        message = "the Jaeger receiver does not sample any more"
        findings.error(
            settings.key_place("remote_sampling"), REFUSED, message, "use the jaegerremotesampling extension"
        )


def check_statsd(settings: Settings, findings: Findings) -> None:
    """An interval, and how timers become metrics (receiver/statsdreceiver/config.go `Validate`)."""
    positive(settings, findings, "aggregation_interval")
    if given(settings, "counter_type"):
        one_of(settings, findings, ("int", "float", "stochastic_int"), "counter_type")
    for mapping in settings.items("timer_histogram_mapping"):
        known = one_of(mapping, findings, _TIMINGS, "statsd_type")
        if one_of(mapping, findings, _OBSERVERS, "observer_type") and known:
            _check_observer(mapping, findings)


def _check_observer(mapping: Settings, findings: Findings) -> None:
    observer = mapping.text("observer_type")
    size = whole(mapping, "histogram", "max_size")
    if observer == "histogram":
        if size is not None and size != 0 and not 2 <= size <= 16384:
            findings.error(mapping.place("histogram", "max_size"), RANGE, '"max_size" must be between 2 and 16384')
        for bucket in mapping.below("histogram").items("explicit_buckets"):
            _check_buckets(bucket, findings)
    elif size or mapping.has("histogram", "explicit_buckets"):
        message = '"histogram" needs observer_type: histogram'
        findings.error(mapping.key_place("histogram"), TOGETHER, message)
    percentiles = mapping.node("summary", "percentiles")
    for node, value in _numbers(percentiles):
        if not 0 <= value <= 100:
            findings.error(node.origin, RANGE, "a percentile must be between 0 and 100")
    if isinstance(percentiles, Sequence) and percentiles.items and observer != "summary":
        findings.error(mapping.key_place("summary"), TOGETHER, '"summary" needs observer_type: summary')


def _check_buckets(bucket: Settings, findings: Findings) -> None:
    if require(bucket, findings, "matcher_pattern", hint="a regular expression for names"):
        regex(bucket, findings, "matcher_pattern")
    node = bucket.node("buckets")
    if node is None or (isinstance(node, Sequence) and not node.items):
        findings.error(bucket.place("buckets"), EMPTY, '"buckets" must not be empty')
        return
    bounds = [value for _, value in _numbers(node)]
    if bounds != sorted(bounds):
        findings.error(bucket.place("buckets"), RANGE, '"buckets" must ascend')


def _numbers(node: Node | None) -> list[tuple[Scalar, float]]:
    """The numbers in a list, with their places."""
    items = node.items if isinstance(node, Sequence) else ()
    found = [(one, scalar_value(one)) for one in items if isinstance(one, Scalar) and one.tag in ("int", "float")]
    return [(one, float(value)) for one, value in found if isinstance(value, (int, float))]


def check_webhook(settings: Settings, findings: Findings) -> None:
    """An address, short timeouts, a whole header (receiver/webhookeventreceiver/config.go `Validate`)."""
    require(settings, findings, "endpoint", hint="as in 0.0.0.0:8088")
    for key in ("read_timeout", "write_timeout"):
        text = settings.text(key)
        if not text:
            continue
        value = parse_duration(text)
        if value is None:
            findings.error(settings.place(key), "GS0235", f"{quoted(text)} is no duration", "as in 500ms")
        elif value > _TEN_SECONDS:
            findings.error(settings.place(key), RANGE, f'"{key}" must be at most 10s')
    name, value_given = given(settings, "required_header", "key"), given(settings, "required_header", "value")
    if (name, value_given) in ((True, False), (False, True)):
        message = '"required_header" needs a "key" and a "value"'
        findings.error(settings.key_place("required_header"), TOGETHER, message)
    if settings.flag("split_logs_at_newline") and settings.flag("split_logs_at_json_boundary"):
        message = '"split_logs_at_newline" and "split_logs_at_json_boundary" exclude each other'
        findings.error(settings.place("split_logs_at_json_boundary"), EXCLUSIVE, message, "keep one of them")
    if given(settings, "header_attribute_regex"):
        regex(settings, findings, "header_attribute_regex")


def check_carbon(settings: Settings, findings: Findings) -> None:
    """An idle time, a parser (receiver/carbonreceiver/config.go `Validate`, protocol/config.go `Unmarshal`)."""
    not_negative(settings, findings, "tcp_idle_timeout")
    if settings.is_nulled("endpoint"):
        require(settings, findings, "endpoint", hint="as in localhost:2003")
    parser = settings.below("parser")
    if parser.has("type") and not one_of(parser, findings, tuple(_CARBON), "type"):
        return
    kind = parser.text("type", default="plaintext") or "plaintext"
    own = parser.node("config")
    rules = parser.node("config", "rules")
    items = rules.items if isinstance(rules, Sequence) else ()
    for node in items if own is None else (own, *items):
        if not isinstance(node, Mapping) and is_known(node):
            findings.error(node.origin, "GS0233", "settings of a parser must be a map", 'write "key: value" lines')
    for entry in own.entries if isinstance(own, Mapping) else ():
        if entry.key not in _CARBON[kind]:
            message = f"{quoted(entry.key)} is not a setting of the parser {quoted(kind)}"
            findings.error(entry.key_origin, "GS0231", message, did_you_mean(entry.key, _CARBON[kind]))


def check_systemd(settings: Settings, findings: Findings) -> None:
    """A scope, at least one unit (receiver/systemdreceiver/config.go `Validate`)."""
    check_scrape(settings, findings)
    if settings.has("scope"):
        one_of(settings, findings, ("system", "user"), "scope")
    if settings.has("units"):
        require(settings, findings, "units", hint="as in ssh.service", code=EMPTY)


def check_k8s_api(settings: Settings, findings: Findings) -> None:
    """How to log in to Kubernetes (contrib's internal/k8sconfig/config.go `Validate`)."""
    if settings.has("auth_type") or settings.is_nulled("auth_type"):
        one_of(settings, findings, ("none", "serviceAccount", "kubeConfig", "tls"), "auth_type")
    not_negative(settings, findings, "kube_api_qps", duration=False)
    not_negative(settings, findings, "kube_api_burst", duration=False)


def check_k8s_cluster(settings: Settings, findings: Findings) -> None:
    """A distribution (receiver/k8sclusterreceiver/config.go `Validate`)."""
    if settings.has("distribution"):
        one_of(settings, findings, ("kubernetes", "openshift"), "distribution")


def check_k8s_objects(settings: Settings, findings: Findings) -> None:
    """Modes and what they need (receiver/k8sobjectsreceiver/config.go `Validate`)."""
    if settings.has("error_mode"):
        one_of(settings, findings, ("propagate", "ignore", "silent"), "error_mode")
    not_negative(settings, findings, "interval")
    for thing in settings.items("objects"):
        not_negative(thing, findings, "interval")
        if not one_of(thing, findings, ("", "pull", "watch"), "mode"):
            continue
        pulls = (thing.text("mode") or "pull") == "pull"
        if pulls and thing.has("mode") and given(thing, "exclude_watch_type"):
            message = '"exclude_watch_type" needs mode: watch'
            findings.error(thing.key_place("exclude_watch_type"), TOGETHER, message)
        if not pulls and thing.nanoseconds("initial_delay"):
            findings.error(thing.place("initial_delay"), TOGETHER, '"initial_delay" needs mode: pull')
        exclusive(thing, findings, "namespaces", "exclude_namespaces")


def check_kubelet(settings: Settings, findings: Findings) -> None:
    """Shares of a node need its name (receiver/kubeletstatsreceiver/config.go `Validate`)."""
    if given(settings, "node") is not False:
        return
    for name in _NODE_METRICS:
        if settings.flag("metrics", name, "enabled"):
            message = f"{name} needs the name of the node"
            findings.error(settings.key_place("metrics", name), TOGETHER, message, "set node: ${env:K8S_NODE_NAME}")
            return


def build_kubelet(settings: Settings, findings: Findings) -> None:
    """Certificates, groups, labels (kubeletstatsreceiver/config.go `getReceiverOptions`, internal/kubelet)."""
    if settings.text("auth_type", default="tls") == "tls":
        missing = [key for key in ("cert_file", "key_file") if given(settings, key) is False]
        if missing:
            message = f'auth_type: tls needs "{missing[0]}"'
            findings.error(
                settings.place("auth_type"), MISSING, message, "serviceAccount is usual inside of Kubernetes"
            )
    _check_words(settings, findings, "metric_groups", _GROUPS, "group of metrics")
    _check_words(settings, findings, "extra_metadata_labels", _LABELS, "label")
    seen: set[str] = set()
    for node in settings.texts("extra_metadata_labels") or ():
        if node.text in seen:
            findings.error(node.origin, TWICE, f"the label {quoted(node.text)} is given twice")
        seen.add(node.text)


def _check_words(settings: Settings, findings: Findings, key: str, words: tuple[str, ...], what: str) -> None:
    for node in settings.texts(key) or ():
        if is_known(node) and node.text not in words:
            hint = did_you_mean(node.text, words) or f"known: {', '.join(words)}"
            findings.error(node.origin, WORD, f"there is no {what} {quoted(node.text)}", hint)


VALIDATE: Rules = {
    "receiver/carbon": (check_carbon,),
    "receiver/jaeger": (check_jaeger,),
    "receiver/k8s_cluster": (check_k8s_api, check_k8s_cluster),
    "receiver/k8s_events": (check_k8s_api,),
    "receiver/k8s_objects": (check_k8s_api, check_k8s_objects),
    "receiver/kubelet_stats": (check_kubelet,),
    "receiver/otlp": (check_otlp,),
    "receiver/statsd": (check_statsd,),
    "receiver/systemd": (check_systemd,),
    "receiver/webhook_event": (check_webhook,),
}
CONSTRUCT: Rules = {"receiver/kubelet_stats": (build_kubelet,)}
TYPES: Rules = {"k8sconfig.APIConfig": (check_k8s_api,)}
