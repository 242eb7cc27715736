"""Processors that add what is known of the surroundings: k8s_attributes, resource_detection; Kubernetes clients."""

from __future__ import annotations

from dataclasses import replace

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar, Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import (
    EXCLUSIVE,
    NO_EFFECT,
    PART,
    RANGE,
    WORD,
    given,
    is_regex,
    known_texts,
    not_negative,
    one_of,
    regexes,
)
from gitsync.collector.rules.matching import warn_regex
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_AUTH_TYPES = ("none", "serviceAccount", "kubeConfig", "tls")
_METADATA = (
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "k8s.pod.hostname",
    "k8s.pod.start_time",
    "k8s.pod.ip",
    "k8s.deployment.name",
    "k8s.deployment.uid",
    "k8s.replicaset.name",
    "k8s.replicaset.uid",
    "k8s.daemonset.name",
    "k8s.daemonset.uid",
    "k8s.statefulset.name",
    "k8s.statefulset.uid",
    "k8s.job.name",
    "k8s.job.uid",
    "k8s.cronjob.name",
    "k8s.cronjob.uid",
    "k8s.node.name",
    "k8s.node.uid",
    "k8s.container.name",
    "k8s.cluster.uid",
    "container.id",
    "container.image.name",
    "container.image.tag",
    "container.image.repo_digests",
    "service.namespace",
    "service.name",
    "service.version",
    "service.instance.id",
)
_IMAGE_TAGS = "container.image.tags"
_TAGS_SINCE = (0, 150, 0)
_SOURCES = ("pod", "namespace", "node", "deployment", "statefulset", "daemonset", "job")
_LABEL_FILTERS = ("equals", "not-equals", "exists", "does-not-exist")
_FIELD_FILTERS = ("equals", "not-equals")
_ASSOCIATIONS = ("connection", "resource_attribute")
_MOST_SOURCES = 4
_DETECTORS = (
    "akamai",
    "aks",
    "alibaba_ecs",
    "azure",
    "consul",
    "digitalocean",
    "docker",
    "dynatrace",
    "ec2",
    "ecs",
    "eks",
    "elastic_beanstalk",
    "env",
    "gcp",
    "heroku",
    "hetzner",
    "ibmcloud_classic",
    "ibmcloud_vpc",
    "k8snode",
    "kubeadm",
    "lambda",
    "nova",
    "openshift",
    "oraclecloud",
    "scaleway",
    "system",
    "tencent_cvm",
    "upcloud",
    "vultr",
)
_LATER_DETECTORS = ("azurecontainerapps", "k8s_api")
"""Those that came after 0.149."""
_PATTERNS = {"ec2": "tags", "azure": "tags", "gcp": "labels", "nova": "labels"}
"""Detectors with a list of patterns."""
_HOST_SOURCES = ("os", "dns", "cname", "lookup")


def check_api(settings: Settings, findings: Findings) -> None:
    """How to log in to the API server (internal/k8sconfig/config.go `APIConfig.Validate`)."""
    if settings.has("auth_type"):
        one_of(settings, findings, _AUTH_TYPES, "auth_type")
    not_negative(settings, findings, "kube_api_qps", duration=False)
    not_negative(settings, findings, "kube_api_burst", duration=False)


def check_kubernetes(settings: Settings, findings: Findings) -> None:
    """What to extract, which pods (processor/k8sattributesprocessor/config.go `Validate`)."""
    not_negative(settings, findings, "watch_sync_period")
    not_negative(settings, findings, "pod_delete_grace_period")
    _check_metadata(settings, findings)
    for kind in ("labels", "annotations"):
        for rule in settings.items("extract", kind):
            _check_extraction(rule, findings)
    for kind, operations in (("labels", _LABEL_FILTERS), ("fields", _FIELD_FILTERS)):
        for one in settings.items("filter", kind):
            one_of(one, findings, ("", *operations), "op")
    for association in settings.items("pod_association"):
        _check_association(association, findings)


def check_kubernetes_start(settings: Settings, findings: Findings) -> None:
    """Patterns of pods to leave out are compiled at the start (options.go `withExcludes`)."""
    for pod in settings.items("exclude", "pods"):
        node = pod.node("name")
        if isinstance(node, Scalar):
            warn_regex(node, findings, "the Collector crashes when it starts")


def _check_metadata(settings: Settings, findings: Findings) -> None:
    known = (*_METADATA, _IMAGE_TAGS) if settings.version >= _TAGS_SINCE else _METADATA
    for node in known_texts(settings, "extract", "metadata"):
        if node.text not in known:
            hint = "" if findings.full else did_you_mean(node.text, known) or f"known: {', '.join(known[:8])}, …"
            message = f"{quoted(node.text)} is nothing that can be extracted"
            findings.error(node.origin, WORD, message, hint)


def _check_extraction(rule: Settings, findings: Findings) -> None:
    if given(rule, "key") and given(rule, "key_regex"):
        message = '"key" and "key_regex" exclude each other'
        findings.error(rule.key_place("key_regex"), EXCLUSIVE, message, "keep one of them")
    one_of(rule, findings, ("", *_SOURCES), "from")
    pattern = rule.node("key_regex")
    if isinstance(pattern, Scalar) and pattern.text:  # the Collector puts it between ^(?: and )$
        is_regex(replace(pattern, text=f"^(?:{pattern.text})$"), findings)


def _check_association(association: Settings, findings: Findings) -> None:
    sources = association.node("sources")
    if isinstance(sources, Sequence) and len(sources.items) > _MOST_SOURCES:
        message = f"an association has at most {_MOST_SOURCES} sources"
        findings.error(sources.items[_MOST_SOURCES].origin, RANGE, message, "add another association")
    for source in association.items("sources"):
        kind = source.text("from")
        if kind is not None and kind not in _ASSOCIATIONS:
            hint = did_you_mean(kind, _ASSOCIATIONS) or f"known: {', '.join(_ASSOCIATIONS)}"
            message = f"pods are never found by a source {quoted(kind)}" if kind else 'a source needs "from"'
            findings.warning(source.place("from"), NO_EFFECT, message, hint)


def check_hosts(settings: Settings, findings: Findings) -> None:
    """Where the host's name comes from (resourcedetectionprocessor/internal/system/config.go `Validate`)."""
    for node in known_texts(settings, "system", "hostname_sources"):
        if node.text not in _HOST_SOURCES:
            hint = did_you_mean(node.text, _HOST_SOURCES) or f"known: {', '.join(_HOST_SOURCES)}"
            findings.error(node.origin, WORD, f"there is no source {quoted(node.text)} of a host's name", hint)


def check_detectors(settings: Settings, findings: Findings) -> None:
    """Known detectors (resourcedetectionprocessor/internal/resourcedetection.go `getDetectors`), and their patterns."""
    known = (*_DETECTORS, *_LATER_DETECTORS) if settings.version >= _TAGS_SINCE else _DETECTORS
    for node in known_texts(settings, "detectors"):
        name = node.text.strip()
        if name in _PATTERNS:
            regexes(settings, findings, name, _PATTERNS[name])
        elif name not in known and is_known(node):
            hint = "" if findings.full else did_you_mean(name, known) or f"known: {', '.join(known)}"
            findings.error(node.origin, PART, f"there is no detector {quoted(name)}", hint)


VALIDATE: Rules = {
    "processor/k8s_attributes": (check_kubernetes,),
    "processor/resource_detection": (check_hosts,),
}
CONSTRUCT: Rules = {
    "processor/k8s_attributes": (check_kubernetes_start,),
    "processor/resource_detection": (check_detectors,),
}
TYPES: Rules = {"k8sconfig.APIConfig": (check_api,)}
