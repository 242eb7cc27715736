"""The prometheus receiver: what Prometheus' own reader refuses, and the Collector on top."""

import pytest

from gitsync.collector.rules.prometheus import VALIDATE
from tests.support.rules import found, settings_of

JOB = "config:\n scrape_configs:\n"


def of(yaml: str) -> list[tuple[str, int, int]]:
    return found(VALIDATE, settings_of("receiver/prometheus", yaml))


def of_job(job: str) -> list[tuple[str, int, int]]:
    """Findings about one job, written in flow style on line 3 from column 4."""
    return of(JOB + " - " + job)


def of_rule(rule: str) -> list[tuple[str, int, int]]:
    """Findings about one relabelling rule, which begins in column 42 of line 3."""
    return of_job("{job_name: a, metric_relabel_configs: [" + rule + "]}")


RIGHT = [
    "{job_name: a, scrape_interval: 1d, static_configs: [{targets: ['localhost:9090', '[::1]:1']}]}",
    "{job_name: a, scrape_interval: 5s, scrape_timeout: 5s}",
    "{job_name: a, scrape_interval: 0, scrape_timeout: 1m}",
    "{job_name: a, scrape_interval: '${env:INTERVAL}', scrape_timeout: 10m}",
    "{job_name: a, static_configs: [{targets: [http://a/]}], relabel_configs: [{target_label: x}]}",
    "{job_name: a, scrape_protocols: [OpenMetricsText1.0.0], fallback_scrape_protocol: PrometheusText0.0.4}",
    "{job_name: a, file_sd_configs: [{files: [/a/*.yml, b.json]}]}",
    "{job_name: a, dns_sd_configs: [{names: [a]}, {names: [b], type: a, port: 80}]}",
    "{job_name: a, http_sd_configs: [{url: 'https://sd.example/targets'}]}",
    "{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: a=b}], tls_config: {}}]}",
    "{job_name: a, static_configs: [{targets: [a:1], labels: {a: 1, b: }}]}",
    "{job_name: a, authorization: {credentials_file: /token}}",
    "{job_name: a, basic_auth: {username: u, password_file: /p}}",
    "{job_name: a, oauth2: {client_id: i, client_secret: s, token_url: 'http://t'}}",
]
WRONG = [
    ("{scrape_interval: 1m}", [("GS0260", 3, 4)]),
    ("{job_name: ''}", [("GS0260", 3, 15)]),
    ("{job_name: a, static_configs: [{target: [b]}]}", [("GS0231", 3, 36)]),
    ("{job_name: a, static_configs: [{targets: [[b]], labels: {a: {}}}]}", [("GS0233", 3, 46), ("GS0233", 3, 64)]),
    ("{job_name: a, kubernetes_sd_configs: [{role: pod, rol: x}]}", [("GS0231", 3, 54)]),
    ("{job_name: a, file_sd_configs: [{files: [{}]}]}", [("GS0233", 3, 45)]),
    ("{job_name: a, file_sd_configs: [{files: [a.yml], refresh_interval: []}]}", [("GS0233", 3, 71)]),
    ("{job_name: a, kubernetes_sd_configs: [{role: [pod], selectors: a}]}", [("GS0233", 3, 49), ("GS0233", 3, 67)]),
    ("{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{}]}]}", [("GS0260", 3, 66)]),
    ("{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: service}]}]}", [("GS0274", 3, 73)]),
    (
        "{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: node}, {role: node}]}]}",
        [("GS0268", 3, 87)],
    ),
    ("{job_name: a, kubernetes_sd_configs: [{role: pod, bearer_token: t}]}", [("GS0266", 3, 54)]),
    (
        "{job_name: a, kubernetes_sd_configs: [{role: pod, kubeconfig_file: f, namespaces: {own_namespace: true}}]}",
        [("GS0274", 3, 87)],
    ),
    ("{job_name: a, scrape_interval: 1.5s}", [("GS0235", 3, 35)]),
    ("{job_name: a, scrape_interval: 15}", [("GS0235", 3, 35)]),
    ("{job_name: a, scrape_interval: 1m1h}", [("GS0235", 3, 35)]),
    ("{job_name: a, scrape_interval: 5s, scrape_timeout: 10s}", [("GS0261", 3, 55)]),
    ("{job_name: a, scrape_timeout: 2m}", [("GS0261", 3, 34)]),
    ("{job_name: a, static_configs: [{targets: ['http://a:1/']}]}", [("GS0262", 3, 46)]),
    ("{job_name: a, scrape_protocols: []}", [("GS0271", 3, 36)]),
    (
        "{job_name: a, scrape_protocols: [OpenMetrics, PrometheusProto, prometheusproto]}",
        [("GS0267", 3, 37), ("GS0268", 3, 67)],
    ),
    ("{job_name: a, fallback_scrape_protocol: text}", [("GS0267", 3, 44)]),
    (
        "{job_name: a, file_sd_configs: [{files: []}, {files: [/a/*/b.yml, /a.txt]}]}",
        [("GS0271", 3, 44), ("GS0273", 3, 58), ("GS0273", 3, 70)],
    ),
    ("{job_name: a, dns_sd_configs: [{type: A}]}", [("GS0260", 3, 35), ("GS0271", 3, 35)]),
    ("{job_name: a, dns_sd_configs: [{names: [a], type: TXT}]}", [("GS0267", 3, 54)]),
    (
        "{job_name: a, http_sd_configs: [{}, {url: ftp://a}, {url: ':'}]}",
        [("GS0260", 3, 36), ("GS0263", 3, 46), ("GS0263", 3, 62)],
    ),
    ("{job_name: a, kubernetes_sd_configs: [{role: pods}, {}]}", [("GS0267", 3, 49), ("GS0260", 3, 56)]),
    (
        "{job_name: a, kubernetes_sd_configs: [{role: pod, api_server: 'http://a', kubeconfig_file: b}]}",
        [("GS0274", 3, 95)],
    ),
    ("{job_name: a, bearer_token: b, bearer_token_file: c}", [("GS0265", 3, 35)]),
    ("{job_name: a, bearer_token: b, basic_auth: {}}", [("GS0265", 3, 18)]),
    (
        "{job_name: a, basic_auth: {username: a, username_file: b, password: c, password_file: d}}",
        [("GS0265", 3, 44), ("GS0265", 3, 75)],
    ),
    (
        "{job_name: a, authorization: {type: Basic, credentials: a, credentials_file: b}}",
        [("GS0267", 3, 40), ("GS0265", 3, 63)],
    ),
    (
        "{job_name: a, oauth2: {client_secret: a, client_secret_file: b}}",
        [("GS0260", 3, 18), ("GS0260", 3, 18), ("GS0265", 3, 45)],
    ),
]
RIGHT_RULES = [
    "{source_labels: [a], target_label: b}",
    "{action: Keep, source_labels: [a], regex: 'x|y'}",
    "{action: labelmap, regex: '(.+)', replacement: k8s_$$1}",
    "{action: labeldrop, regex: a, replacement: $$1}",
    "{action: hashmod, modulus: 4, target_label: t}",
    "{action: lowercase, source_labels: [a], target_label: b}",
    "{action: keepequal, source_labels: [a], target_label: b}",
    "{target_label: '$${1}_x', regex: 80}",
    "{target_label: a.b}",
    "{action: '${env:ACTION}'}",
]
WRONG_RULES = [
    ("null", [("GS0271", 3, 43)]),
    ("{source_labels: [a]}", [("GS0260", 3, 43)]),
    ("{action: rename, target_label: a}", [("GS0267", 3, 52)]),
    ("{target_label: a, regex: '('}", [("GS0264", 3, 68)]),
    ("{action: hashmod, target_label: t}", [("GS0260", 3, 43)]),
    ("{action: hashmod, target_label: t, modulus: 0}", [("GS0261", 3, 87)]),
    ("{action: uppercase, target_label: t, replacement: x}", [("GS0265", 3, 80)]),
    ("{action: labelkeep, regex: t, source_labels: [x]}", [("GS0265", 3, 73)]),
    ("{action: dropequal, target_label: t, regex: x, modulus: 1}", [("GS0265", 3, 80), ("GS0265", 3, 90)]),
]


@pytest.mark.parametrize("job", RIGHT)
def test_right_jobs_say_nothing(job: str) -> None:
    assert of_job(job) == []


@pytest.mark.parametrize(("job", "expected"), WRONG)
def test_wrong_jobs_are_found_in_their_place(job: str, expected: list[tuple[str, int, int]]) -> None:
    assert of_job(job) == expected


@pytest.mark.parametrize("rule", RIGHT_RULES)
def test_right_relabelling_says_nothing(rule: str) -> None:
    assert of_rule(rule) == []


@pytest.mark.parametrize(("rule", "expected"), WRONG_RULES)
def test_wrong_relabelling_is_found_in_its_place(rule: str, expected: list[tuple[str, int, int]]) -> None:
    assert of_rule(rule) == expected


OTHERS = [
    ("target_allocator: {endpoint: 'http://ta', interval: 30s, collector_id: '${env:POD}'}", []),
    ("config: {scrape_config_files: [/a/*.yml]}", []),
    ("config: ${file:/etc/prometheus.yml}", []),
    ("{}", [("GS0266", 0, 0)]),
    ("config: {}", [("GS0266", 1, 1)]),
    ("config: {scrape_configs: []}", [("GS0266", 1, 10)]),
    ("target_allocator: {interval: 0s}", [("GS0260", 1, 1), ("GS0260", 1, 1), ("GS0261", 1, 30)]),
    ("target_allocator: {endpoint: ta, interval: 1s, collector_id: a}", [("GS0263", 1, 30)]),
    (JOB + " - {job_name: a}\n - {job_name: a}\n -", [("GS0268", 4, 15), ("GS0271", 5, 3)]),
    (JOB + " - {job_name: a}\n remote_write: [{url: a}]\n rule_files: [a]", [("GS0274", 4, 2), ("GS0274", 5, 2)]),
    (JOB + " - {job_name: a}\n alerting: {alertmanagers: [{}]}", [("GS0274", 4, 2)]),
    (JOB + " - {job_name: a}\n scrape_config_files: [/a/*/b]", [("GS0273", 4, 24)]),
    (JOB + " - {job_name: a}\n global: {scrape_interval: 5s, scrape_timeout: 6s}", [("GS0261", 4, 48)]),
    (JOB + " - {job_name: a, scrape_timeout: 20s}\n global: {scrape_interval: 15s}", [("GS0261", 3, 34)]),
    (
        JOB
        + " - {job_name: a, relabel_configs: [{target_label: a.b}]}\n global: {metric_name_validation_scheme: legacy}",
        [("GS0267", 3, 51)],
    ),
]


@pytest.mark.parametrize(("yaml", "expected"), OTHERS)
def test_the_whole_configuration_is_judged(yaml: str, expected: list[tuple[str, int, int]]) -> None:
    assert of(yaml) == expected
