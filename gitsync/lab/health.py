"""What simulated Collectors say of their health: a tree as supervisors send it, with numbers that stay the same.

The numbers belong to the agent, not to the moment: an agent whose health does not change says nothing new about it, and
a lab with thousands of agents is about configurations.
"""

from __future__ import annotations

import zlib

from gitsync.lab.profile import AgentProfile, Fault
from gitsync.opamp.messages import ComponentHealth, RecentError

REFUSED = 'rpc error: code = Unavailable desc = "connection refused"'
MEBIBYTE = 1024 * 1024
MEMORY_LIMIT_MIB = 512
QUEUE_CAPACITY = 5_000

_OK = ComponentHealth(healthy=True, status="StatusOK")
_FAILING = ComponentHealth(healthy=False, status="StatusRecoverableError", last_error=REFUSED)


def health_of(profile: AgentProfile) -> ComponentHealth:
    """The health of a Collector that runs its configuration; its exporter fails when that is the agent's fault."""
    is_degraded = profile.fault is Fault.DEGRADED
    pipeline = {
        "exporter:otlp": _FAILING if is_degraded else _OK,
        "processor:batch": _OK,
        "processor:memory_limiter": _OK,
        "receiver:otlp": _OK,
    }
    return ComponentHealth(
        healthy=True,
        status="StatusOK",
        start_time_unix_nano=1,
        components={
            "extensions": ComponentHealth(healthy=True, status="StatusOK", components={"extension:opamp": _OK}),
            "pipeline:traces": ComponentHealth(
                healthy=not is_degraded,
                status="StatusRecoverableError" if is_degraded else "StatusOK",
                components=pipeline,
            ),
        },
        attributes={name: f"{number:.12g}" for name, number in _metrics(profile, is_degraded=is_degraded).items()},
        recent_errors=(RecentError(None, REFUSED, 7),) if is_degraded else (),
    )


def _metrics(profile: AgentProfile, *, is_degraded: bool) -> dict[str, float]:
    share = zlib.crc32(profile.uid) % 1_000 / 1_000  # how busy this agent is, 0 to 1
    received = round(100 + 900 * share)
    queued = QUEUE_CAPACITY * 24 // 25 if is_degraded else round(QUEUE_CAPACITY * share / 10)
    dropped = received // 10 if is_degraded else 0
    return {
        "cpu_usage_percent": round(5 + 30 * share, 1),
        "memory_usage_bytes": round((80 + 200 * share) * MEBIBYTE),
        "memory_limit_bytes": MEMORY_LIMIT_MIB * MEBIBYTE,
        "goroutines_count": round(60 + 100 * share),
        "spans_received_per_sec": received,
        "spans_exported_per_sec": received - dropped,
        "spans_dropped_per_sec": dropped,
        "export_latency_p99_ms": round(10 + 50 * share, 1),
        "queue_size": queued,
        "queue_capacity": QUEUE_CAPACITY,
        "queue_utilization_percent": round(100 * queued / QUEUE_CAPACITY, 1),
        "export_error_rate_percent": 10 if is_degraded else 0,
        "pipeline_error_count": 7 if is_degraded else 0,
    }
