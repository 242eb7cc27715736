"""Exporters of OTLP: otlp_grpc, otlp_http, and load_balancing in front of otlp_grpc."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.rules.demands import (
    ADDRESS,
    EMPTY,
    EXCLUSIVE,
    MISSING,
    NO_EFFECT,
    TOGETHER,
    URL,
    given,
    one_of,
    opted,
    require,
)
from gitsync.collector.settings import Settings
from gitsync.wording import quoted

_DNS = re.compile(r"dns:///?")
_SIGNALS = ("traces", "metrics", "logs", "profiles")
_RESOLVERS = ("static", "dns", "k8s", "aws_cloud_map")
_ROUTING = {
    "traces": ("traceID", "service", "attributes"),
    "logs": ("service", "traceID", "resource", "attributes"),
    "metrics": ("service", "resource", "metric", "streamID", "attributes"),
}


def check_grpc(settings: Settings, findings: Findings) -> None:
    """An endpoint (exporter/otlpexporter/config.go `Validate`); its form is a matter of configgrpc."""
    endpoint = settings.text("endpoint")
    if endpoint is None:
        return
    if not endpoint:
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', "as in collector.example:4317")
    elif not _DNS.sub("", re.sub("^https?://", "", endpoint), count=1):
        message = f"{quoted(endpoint)} has no host"
        findings.error(settings.place("endpoint"), ADDRESS, message, "as in collector.example:4317")


def check_http(settings: Settings, findings: Findings) -> None:
    """At least one endpoint (exporter/otlphttpexporter/config.go `Validate`)."""
    keys = ("endpoint", *(f"{signal}_endpoint" for signal in _SIGNALS))
    if all(given(settings, key) is False for key in keys):
        hint = "as in https://collector.example:4318"
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', hint)


def check_http_urls(settings: Settings, findings: Findings) -> None:
    """URLs for the signals that the exporter is used for (otlphttpexporter/factory.go `composeSignalURL`)."""
    endpoint = settings.text("endpoint")
    if endpoint:
        _check_url(settings, findings, "endpoint")
    for signal in _SIGNALS:
        key = f"{signal}_endpoint"
        if signal not in settings.signals or given(settings, key) is None:
            continue
        if given(settings, key):
            _check_url(settings, findings, key)
        elif endpoint == "":
            message = f'"endpoint" or "{key}" must be set for a pipeline of {signal}'
            findings.error(settings.place(key), MISSING, message)


def _check_url(settings: Settings, findings: Findings, key: str) -> None:
    text = settings.text(key)
    if text is None:
        return
    parts, at = parse_url(text), settings.place(key)
    if isinstance(parts, Refusal):
        findings.error(at, URL, f"{quoted(text)} is not a URL: {parts.why}", "as in https://collector.example:4318")
    elif parts.scheme not in ("http", "https"):
        message = f"{quoted(text)} does not begin with http:// or https://: nothing can be sent there"
        findings.warning(at, NO_EFFECT, message, f"write http://{text}" if "://" not in text else "")


def check_routing_key(settings: Settings, findings: Findings) -> None:
    """Attributes belong to one way of routing (exporter/loadbalancingexporter/config.go `Validate`)."""
    key, attributes = settings.text("routing_key"), given(settings, "routing_attributes")
    if key == "attributes" and attributes is False:
        message = 'the routing_key attributes needs "routing_attributes"'
        findings.error(settings.place("routing_attributes"), TOGETHER, message, "as in [tenant]")
    elif key is not None and key != "attributes" and attributes:
        message = '"routing_attributes" needs routing_key: attributes'
        findings.error(settings.key_place("routing_attributes"), TOGETHER, message)


def check_balancer(settings: Settings, findings: Findings) -> None:
    """One resolver, and a way to route each signal (loadbalancer.go `newLoadBalancer`, …_exporter.go)."""
    chosen = [name for name in _RESOLVERS if opted(settings, "resolver", name)]
    if len(chosen) > 1:
        names = " and ".join(f'"{name}"' for name in chosen)
        at = settings.key_place("resolver", chosen[-1])
        findings.error(at, EXCLUSIVE, f"{names} exclude each other", "keep one resolver")
    elif not chosen and all(opted(settings, "resolver", name) is False for name in _RESOLVERS):
        message = "load_balancing needs a resolver"
        hint = "as in static: {hostnames: [collector-1:4317, collector-2:4317]}"
        findings.error(settings.key_place("resolver"), MISSING, message, hint)
    for name in chosen:
        _check_resolver(settings.below("resolver", name), findings, name)
    for signal, keys in _ROUTING.items():
        if signal in settings.signals and not one_of(settings, findings, ("", *keys), "routing_key"):
            return


def _check_resolver(resolver: Settings, findings: Findings, name: str) -> None:
    """What one resolver needs (resolver_static.go, resolver_dns.go, resolver_k8s.go, resolver_aws_cloudmap.go)."""
    if name == "static" and resolver.is_empty("hostnames"):
        message = '"hostnames" must list at least one host'
        findings.error(resolver.place("hostnames"), EMPTY, message, "as in [collector-1:4317]")
    elif name == "dns":
        require(resolver, findings, "hostname")
    elif name == "aws_cloud_map":
        require(resolver, findings, "namespace")
        require(resolver, findings, "service_name")
    elif name == "k8s":
        _check_service(resolver, findings)


def _check_service(resolver: Settings, findings: Findings) -> None:
    """A name, a namespace, or all of `name.namespace.svc.cluster.local`."""
    service = resolver.text("service")
    if service is None:
        return
    parts, at = service.split("."), resolver.place("service")
    hint = "as in collector.observability"
    if not parts[0]:
        findings.error(at, MISSING, '"service" must name a service', hint)
    elif len(parts) > 2 and resolver.version >= (0, 150, 0):
        if not parts[1]:
            findings.error(at, ADDRESS, f"{quoted(service)} has no namespace", hint)
        elif parts[2] != "svc" or len(parts) == 3:
            message = f"{quoted(service)} is no name of a service"
            findings.error(at, ADDRESS, message, f"{hint}, or collector.observability.svc.cluster.local")


TYPES: Rules = {"otlpexporter.Config": (check_grpc,)}
VALIDATE: Rules = {
    "exporter/otlp_http": (check_http,),
    "exporter/load_balancing": (check_routing_key,),
}
CONSTRUCT: Rules = {
    "exporter/otlp_http": (check_http_urls,),
    "exporter/load_balancing": (check_balancer,),
}
