"""The k8s_attributes and resource_detection processors."""

from typing import Any

import pytest

from gitsync.collector.rules.enrichment import CONSTRUCT, TYPES, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
    TYPES,
)
DEFAULTS: dict[str, dict[str, Any]] = {"k8sconfig.APIConfig": {"auth_type": "serviceAccount"}}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("k8sconfig.APIConfig", "", {}),
    ("k8sconfig.APIConfig", "auth_type: kubeConfig", {}),
    ("k8sconfig.APIConfig", "auth_type: ${env:AUTH}", {}),
    ("processor/k8s_attributes", "", {}),
    (
        "processor/k8s_attributes",
        (
            "extract: {metadata: [k8s.pod.name, container.image.tags], labels: [{key: a, "
            "from: node}, {key_regex: '(.*)', tag_name: $$1}]}"
        ),
        {},
    ),
    ("processor/k8s_attributes", "extract: {labels: [{key_regex: 'a)(b'}]}", {}),
    ("processor/k8s_attributes", "filter: {labels: [{key: a, op: exists}], fields: [{key: a, op: not-equals}]}", {}),
    (
        "processor/k8s_attributes",
        "pod_association: [{sources: [{from: connection}, {from: resource_attribute, name: k8s.pod.ip}]}]",
        {},
    ),
    ("processor/k8s_attributes", "exclude: {pods: [{name: 'jaeger-.*'}]}", {}),
    ("processor/k8s_attributes", "pod_association: [{sources: [{from: '${env:FROM}'}]}]", {}),
    ("processor/resource_detection", "", {}),
    ("processor/resource_detection", "detectors: [env, ' system ', k8s_api]", {}),
    ("processor/resource_detection", "detectors: env", {}),
    ("processor/resource_detection", "detectors: ['${env:D}']", {}),
    ("processor/resource_detection", "detectors: [env]\nec2: {tags: ['(']}", {}),
    ("processor/resource_detection", "system: {hostname_sources: [os, lookup]}", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("k8sconfig.APIConfig", "auth_type: serviceaccount", [("GS0267", 1, 12)], {}),
    ("k8sconfig.APIConfig", "kube_api_qps: -1", [("GS0261", 1, 15)], {}),
    ("k8sconfig.APIConfig", "kube_api_burst: -1", [("GS0261", 1, 17)], {}),
    (
        "processor/k8s_attributes",
        "watch_sync_period: -1s\npod_delete_grace_period: -1s",
        [("GS0261", 1, 20), ("GS0261", 2, 26)],
        {},
    ),
    (
        "processor/k8s_attributes",
        "extract: {metadata: [podName, k8s.pod.nam]}",
        [("GS0267", 1, 22), ("GS0267", 1, 31)],
        {},
    ),
    (
        "processor/k8s_attributes",
        "extract: {metadata: [container.image.tags]}",
        [("GS0267", 1, 22)],
        {"version": (0, 149, 0)},
    ),
    ("processor/k8s_attributes", "extract: {labels: [{key: a, key_regex: b}]}", [("GS0265", 1, 29)], {}),
    ("processor/k8s_attributes", "extract: {annotations: [{key: a, from: Pod}]}", [("GS0267", 1, 40)], {}),
    ("processor/k8s_attributes", "extract: {labels: [{key_regex: '('}]}", [("GS0264", 1, 32)], {}),
    ("processor/k8s_attributes", "filter: {fields: [{key: a, op: exists}]}", [("GS0267", 1, 32)], {}),
    ("processor/k8s_attributes", "filter: {labels: [{key: a, op: matches}]}", [("GS0267", 1, 32)], {}),
    (
        "processor/k8s_attributes",
        (
            "pod_association: [{sources: [{from: connection}, {from: connection}, "
            "{from: connection}, {from: connection}, {from: connection}]}]"
        ),
        [("GS0261", 1, 110)],
        {},
    ),
    (
        "processor/k8s_attributes",
        "pod_association: [{sources: [{from: pod}, {}]}]",
        [("GS0288", 1, 37), ("GS0288", 1, 43)],
        {},
    ),
    ("processor/k8s_attributes", "exclude: {pods: [{name: '('}]}", [("GS0280", 1, 25)], {}),
    ("processor/resource_detection", "system: {hostname_sources: [dnss]}", [("GS0267", 1, 29)], {}),
    ("processor/resource_detection", "detectors: [env, elasticbeanstalk]", [("GS0272", 1, 18)], {}),
    ("processor/resource_detection", "detectors: [k8s_api]", [("GS0272", 1, 13)], {"version": (0, 149, 0)}),
    (
        "processor/resource_detection",
        "detectors: [ec2, gcp]\nec2: {tags: ['(']}\ngcp: {labels: ['[']}",
        [("GS0264", 2, 14), ("GS0264", 3, 16)],
        {},
    ),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
