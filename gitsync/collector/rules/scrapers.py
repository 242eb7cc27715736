"""Receivers that ask a server from time to time: HTTP checks, SQL, PostgreSQL, Apache, Redis and others."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar
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
    URL,
    WORD,
    given,
    one_of,
    require,
    url,
)
from gitsync.collector.rules.hostmetrics import check_metric_settings
from gitsync.collector.rules.shared import check_scrape
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import quoted

_DRIVERS = ("clickhouse", "hdb", "mysql", "oracle", "postgres", "snowflake", "sqlserver", "tds")
_OLDEST_DOCKER = (1, 25)
_IN_SOURCE = ("host", "port", "database", "username", "password", "additional_params")


def check_http_check(settings: Settings, findings: Findings) -> None:
    """Targets with URLs (receiver/httpcheckreceiver/config.go `Validate`)."""
    require(settings, findings, "targets", hint="at least one, as in endpoint: http://localhost:80", code=EMPTY)
    for target in settings.items("targets"):
        if given(target, "endpoint") is False and given(target, "endpoints") is False:
            message = '"endpoint" or "endpoints" must be set'
            findings.error(target.place(), TOGETHER, message, "as in http://localhost:80")
        endpoint = target.node("endpoint")
        single = (endpoint,) if isinstance(endpoint, Scalar) and endpoint.text else ()
        for node in (*single, *(target.texts("endpoints") or ())):
            parts = parse_url(node.text, request=True) if node.tag == "str" and is_known(node) else None
            if isinstance(parts, Refusal):
                message = f"{quoted(node.text)} is not a URL: {parts.why}"
                findings.error(node.origin, URL, message, "as in http://localhost:80/health")


def check_apache(settings: Settings, findings: Findings) -> None:
    """The page that Apache writes for programs (receiver/apachereceiver/config.go `Validate`)."""
    endpoint = settings.text("endpoint")
    if endpoint is None or not settings.has("endpoint"):
        return
    parts, at = parse_url(endpoint), settings.place("endpoint")
    hint = "as in http://localhost:8080/server-status?auto"
    if isinstance(parts, Refusal):
        findings.error(at, URL, f"{quoted(endpoint)} is not a URL: {parts.why}", hint)
    elif not parts.hostname:
        findings.error(at, URL, f"{quoted(endpoint)} has no host", hint)
    elif parts.query != "auto":
        findings.error(at, URL, f'{quoted(endpoint)} must end with "?auto"', hint)


def check_postgresql(settings: Settings, findings: Findings) -> None:
    """Who logs in, and where (receiver/postgresqlreceiver/config.go `Validate`)."""
    require(settings, findings, "username")
    require(settings, findings, "password", hint="take it from the environment: ${env:PGPASSWORD}")
    for key in ("server_name_override", "max_version", "min_version"):
        if given(settings, "tls", key):
            findings.error(
                settings.key_place("tls", key), REFUSED, f"the receiver does not have {quoted(key)}", "remove it"
            )
    if settings.has("transport"):
        one_of(settings, findings, ("tcp", "unix"), "transport")
    _check_endpoint(settings, findings)


def build_redis(settings: Settings, findings: Findings) -> None:
    """An address (receiver/redisreceiver/config.go `newConfigInfo`)."""
    if given(settings, "endpoint") is False:
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', "as in localhost:6379")
    else:
        _check_endpoint(settings, findings)


def _check_endpoint(settings: Settings, findings: Findings) -> None:
    endpoint = settings.text("endpoint")
    if endpoint is None or not settings.has("endpoint"):
        return
    parts = split_host_port(endpoint)
    if isinstance(parts, Refusal):
        message = f"{quoted(endpoint)} is not an address of host and port: {parts.why}"
        findings.error(settings.place("endpoint"), ADDRESS, message, "write host:port")


def check_sqlquery(settings: Settings, findings: Findings) -> None:
    """A driver, a source, queries (contrib's internal/sqlquery/config.go `Validate`)."""
    one_of(settings, findings, _DRIVERS, "driver")
    if given(settings, "datasource"):
        for key in _IN_SOURCE:
            if given(settings, key) and settings.value(key) != 0:
                message = f'"{key}" and "datasource" exclude each other'
                findings.error(settings.key_place(key), EXCLUSIVE, message, "write it into the datasource")
    elif given(settings, "datasource") is False:
        for key in ("host", "port", "database"):
            if given(settings, key) is False and not (key == "port" and settings.text("driver") in ("sqlserver", None)):
                findings.error(settings.place(key), MISSING, f'"{key}" or "datasource" must be set')
    require(settings, findings, "queries", code=EMPTY)
    for query in settings.items("queries"):
        _check_query(query, findings)


def _check_query(query: Settings, findings: Findings) -> None:
    require(query, findings, "sql", hint="the statement")
    if given(query, "logs") is False and given(query, "metrics") is False:
        findings.error(query.place(), TOGETHER, 'a query needs "logs" or "metrics"')
    for log in query.items("logs"):
        require(log, findings, "body_column")
    for metric in query.items("metrics"):
        require(metric, findings, "metric_name")
        require(metric, findings, "value_column")
        one_of(metric, findings, ("", "int", "double"), "value_type")
        one_of(metric, findings, ("", "gauge", "sum"), "data_type")
        one_of(metric, findings, ("", "cumulative", "delta"), "aggregation")
        if metric.text("data_type") == "gauge" and given(metric, "aggregation"):
            message = "a gauge has no aggregation"
            findings.error(metric.key_place("aggregation"), EXCLUSIVE, message, "remove it, or set data_type: sum")
        if metric.has("row_condition") and given(metric, "row_condition", "column") is False:
            findings.error(metric.key_place("row_condition"), MISSING, '"column" of "row_condition" must be set')


def check_mongodb(settings: Settings, findings: Findings) -> None:
    """Hosts with addresses, a password with a name (receiver/mongodbreceiver/config.go `Validate`)."""
    if settings.has("hosts"):
        require(settings, findings, "hosts", code=EMPTY, hint="as in endpoint: localhost:27017")
    for host in settings.items("hosts"):
        require(host, findings, "endpoint")
    if given(settings, "username") and given(settings, "password") is False:
        findings.error(settings.key_place("username"), TOGETHER, 'a "username" needs a "password"')
    elif given(settings, "password") and given(settings, "username") is False:
        findings.error(settings.key_place("password"), TOGETHER, 'a "password" needs a "username"')


def check_rabbitmq(settings: Settings, findings: Findings) -> None:
    """Who logs in, and where (receiver/rabbitmqreceiver/config.go `Validate`)."""
    require(settings, findings, "username")
    require(settings, findings, "password")
    if settings.has("endpoint"):
        url(settings, findings, "endpoint")


def check_docker(settings: Settings, findings: Findings) -> None:
    """An address, a version of two numbers (receiver/dockerstatsreceiver/config.go `Validate`)."""
    if settings.has("endpoint") or settings.is_nulled("endpoint"):
        require(settings, findings, "endpoint", hint="as in unix:///var/run/docker.sock")
    version = settings.text("api_version")
    if version and not all(part.isascii() and part.isdecimal() for part in version.split(".")):
        message = f"{quoted(version)} is no version of Docker's API"
        findings.error(settings.place("api_version"), WORD, message, 'as in "1.44"')
    elif version and tuple(int(part[:9]) for part in version.split(".")) < _OLDEST_DOCKER:
        message = f"the receiver needs version 1.25 of Docker's API, not {quoted(version)}"
        findings.error(settings.place("api_version"), RANGE, message)


def check_haproxy(settings: Settings, findings: Findings) -> None:
    """An address (receiver/haproxyreceiver/config.go `Validate`)."""
    require(settings, findings, "endpoint", hint="as in file:///var/run/haproxy.sock or http://localhost:8404/stats")


_ASKED = ("elasticsearch", "kubelet_stats", "memcached", "mysql", "nginx", "redis")
VALIDATE: Rules = {
    **{f"receiver/{name}": (check_scrape, check_metric_settings) for name in _ASKED},
    "receiver/apache": (check_scrape, check_metric_settings, check_apache),
    "receiver/docker_stats": (check_scrape, check_metric_settings, check_docker),
    "receiver/mongodb": (check_scrape, check_metric_settings, check_mongodb),
    "receiver/rabbitmq": (check_scrape, check_metric_settings, check_rabbitmq),
    "receiver/haproxy": (check_scrape, check_metric_settings, check_haproxy),
    "receiver/http_check": (check_scrape, check_metric_settings, check_http_check),
    "receiver/postgresql": (check_scrape, check_metric_settings, check_postgresql),
    "receiver/sqlquery": (check_scrape, check_sqlquery),
}
CONSTRUCT: Rules = {"receiver/redis": (build_redis,)}
