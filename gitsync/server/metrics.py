"""The Prometheus side of `Meters`: built when somebody scrapes, so counting stays an integer addition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from operator import itemgetter
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gitsync.control.meters import Histogram, Meters
from gitsync.control.records import AgentCounts, SyncState
from gitsync.control.service import Service, SourceStatus
from gitsync.errors import Unavailable
from gitsync.fleet.agent import CommandState
from gitsync.server.listener import TURNED_AWAY

log = logging.getLogger("gitsync.metrics")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UPDATE_STATUSES = ("offered", "applying", "applied", "failed", "no_answer")
CONNECTION_RESULTS = ("offered", "done", "failed", "lost")
SYNC_RESULTS = ("success", "error", "noop", "rejected", "refused")
Samples = Iterable[tuple[Sequence[str], float]]
Histograms = Iterable[tuple[Sequence[str], Histogram]]


async def scrape(service: Service) -> bytes:
    """All metrics in the text format 0.0.4; `gitsync_agents` is left out while the store is away."""
    counts: AgentCounts | None
    try:
        counts = await service.store.count_agents()
    except Unavailable as error:
        log.warning("no agent counts for the metrics: %s", error)
        counts = None
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Snapshot(service.meters, service.sources(), counts))
    return generate_latest(registry)


class Snapshot(Collector):
    """What is counted, at one moment."""

    def __init__(self, meters: Meters, sources: Sequence[SourceStatus], agents: AgentCounts | None) -> None:
        self._meters = meters
        self._sources = sources
        self._agents = agents

    def collect(self) -> Iterator[Metric]:
        """Every family, in the order of `docs/reference/metrics.md`."""
        yield from self._server()
        yield from self._messages()
        yield from self._source()
        yield from self._fleet()

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry is made for one scrape, so there is no duplicate to look for."""
        return iter(())

    def _server(self) -> Iterator[Metric]:
        meters = self._meters
        yield _gauge(
            "gitsync_build_info",
            "The running version; always 1.",
            [((version("gitsync-opamp"),), 1)],
            "version",
        )
        links = GaugeMetricFamily("opamp_server_agent_connections_total", "Connections of agents that are open now.")
        links.add_metric([], sum(meters.open_links.values()))
        yield links
        yield _gauge(
            "gitsync_agent_links",
            "Connections of agents that are open now, by transport.",
            _keyed(meters.open_links),
            "transport",
        )

    def _messages(self) -> Iterator[Metric]:
        meters = self._meters
        updates = dict.fromkeys(UPDATE_STATUSES, 0) | meters.config_updates
        yield _counter(
            "opamp_server_config_updates",
            "Configurations on their way to agents, by what became of them.",
            _keyed(updates),
            "status",
        )
        offers = dict.fromkeys(CONNECTION_RESULTS, 0) | meters.connection_offers
        yield _counter(
            "gitsync_connection_offers",
            "Offers of connection settings, and what became of those that move agents.",
            _keyed(offers),
            "result",
        )
        yield _histogram(
            "opamp_server_message_duration_seconds",
            "Time to handle one message of an agent.",
            [((kind,), one) for kind, one in meters.message_seconds.items()],
            "message_type",
        )
        yield _counter(
            "gitsync_protocol_errors",
            "Messages of agents that were refused.",
            _keyed(meters.protocol_errors),
            "code",
        )
        yield _counter(
            "gitsync_agent_commands",
            "Commands to agents, by what became of them.",
            (dict.fromkeys((("restart", str(one)) for one in CommandState), 0) | meters.commands).items(),
            "command",
            "result",
        )
        yield _counter(
            "gitsync_custom_messages",
            "Custom messages of agents and to them.",
            ({("", "ignored"): 0} | meters.custom_messages).items(),
            "capability",
            "result",
        )
        yield _counter(
            "gitsync_duplicate_uids", "Agents that used the uid of another one.", [((), meters.duplicate_uids)]
        )
        yield _counter(
            "gitsync_throttled", "Times that a connection was not read for a while.", [((), meters.throttled)]
        )
        yield _counter(
            "gitsync_turned_away",
            "Agents that were not served because the server had no room.",
            _keyed(dict.fromkeys(TURNED_AWAY, 0) | meters.turned_away),
            "reason",
        )
        yield _counter(
            "gitsync_tls_reloads",
            "Times that the TLS files of the agents' port had changed.",
            _keyed(dict.fromkeys(("error", "success"), 0) | meters.tls_reloads),
            "result",
        )
        yield _histogram(
            "gitsync_config_push_seconds",
            "From publication to the offer of one agent being written.",
            [((), meters.push_seconds)],
        )
        yield _counter("gitsync_heartbeat_timeouts", "Agents found silent.", [((), meters.heartbeat_timeouts)])
        yield _counter("gitsync_store_errors", "Batches of status writes that failed.", [((), meters.store_errors)])

    def _source(self) -> Iterator[Metric]:
        meters = self._meters
        ready = {one.record.name: False for one in self._sources} | meters.source_ready
        yield _gauge("gitsync_source_ready", "1 when the last sync of the source worked.", _keyed(ready), "source")
        yield _histogram("gitsync_fetch_duration_seconds", "Time of one fetch.", [((), meters.fetch_seconds)])
        syncs = {(one.record.name, result): 0 for one in self._sources for result in SYNC_RESULTS} | meters.syncs
        yield _counter("gitsync_sync", "Syncs by what came of them.", syncs.items(), "source", "result")
        yield _gauge(
            "gitsync_last_sync_timestamp_seconds",
            "Unix time of the last successful contact with the repository.",
            _keyed(meters.last_sync),
            "source",
        )
        revisions = {one.record.name: one.revision for one in self._sources if one.revision is not None}
        yield _gauge("gitsync_revision", "Revision in effect.", _keyed(revisions), "source")
        yield _counter("gitsync_releases", "Publications by kind.", _keyed(meters.releases), "kind")
        yield _counter(
            "gitsync_commit_validation_errors",
            "Errors found in commits.",
            _keyed(meters.validation_errors),
            "code",
        )
        yield _counter("gitsync_webhook_requests", "Webhook deliveries.", meters.webhooks.items(), "provider", "result")

    def _fleet(self) -> Iterator[Metric]:
        if self._agents is None:
            return
        targets = {target for target, _ in self._agents}
        counts = {
            ("" if target is None else str(target), str(state)): self._agents.get((target, state), 0)
            for target in targets
            for state in SyncState
        }
        yield _gauge(
            "gitsync_agents",
            "Known agents by target and by how far they are with what it wants now.",
            counts.items(),
            "target",
            "state",
        )


def _keyed(values: Mapping[Any, float]) -> Samples:
    """Samples of families with one label."""
    return [((str(key),), value) for key, value in values.items()]


def _gauge(name: str, text: str, values: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values, key=itemgetter(0)):
        family.add_metric(key, value)
    return family


def _counter(name: str, text: str, values: Samples, *labels: str) -> Metric:
    """The family is exposed as `<name>_total`."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values, key=itemgetter(0)):
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, values: Histograms, *labels: str) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, one in sorted(values, key=itemgetter(0)):
        family.add_metric(key, one.cumulative(), one.total)
    return family
