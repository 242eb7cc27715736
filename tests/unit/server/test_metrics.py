from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gitsync.control.meters import BUCKETS_SECONDS
from tests.unit.server.conftest import Site

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


async def scraped(site: Site) -> str:
    answer = await site.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


async def test_the_three_names_of_the_server_are_exact(site: Site) -> None:
    meters = site.service.meters
    meters.open_links.update({"websocket": 3, "http": 1})
    meters.config_updates["applied"] += 2
    meters.message_seconds["status"].observe(0.003)
    text = await scraped(site)
    assert "# TYPE opamp_server_agent_connections_total gauge\nopamp_server_agent_connections_total 4.0\n" in text
    assert "# TYPE opamp_server_config_updates_total counter\n" in text
    assert 'opamp_server_config_updates_total{status="applied"} 2.0\n' in text
    assert 'opamp_server_config_updates_total{status="no_answer"} 0.0\n' in text
    assert "_total_total" not in text
    assert 'opamp_server_message_duration_seconds_bucket{le="0.002",message_type="status"} 0.0' in text
    assert 'opamp_server_message_duration_seconds_bucket{le="0.004",message_type="status"} 1.0' in text
    assert 'opamp_server_message_duration_seconds_sum{message_type="status"} 0.003' in text


async def test_agents_that_were_turned_away_and_renewed_certificates_are_counted_from_0(site: Site) -> None:
    meters = site.service.meters
    meters.turned_away["rate"] += 3
    meters.tls_reloads["error"] += 1
    text = await scraped(site)
    assert 'gitsync_turned_away_total{reason="rate"} 3.0\n' in text
    for reason in ("bytes", "connections", "draining", "handshakes"):
        assert f'gitsync_turned_away_total{{reason="{reason}"}} 0.0\n' in text
    assert 'gitsync_tls_reloads_total{result="error"} 1.0\n' in text
    assert 'gitsync_tls_reloads_total{result="success"} 0.0\n' in text


async def test_offers_of_connection_settings_are_counted_from_0(site: Site) -> None:
    site.service.meters.connection_offers.update({"offered": 3, "done": 2})
    text = await scraped(site)
    for result, count in {"offered": 3, "done": 2, "failed": 0, "lost": 0}.items():
        assert f'gitsync_connection_offers_total{{result="{result}"}} {count}.0\n' in text


async def test_message_buckets_double_from_a_millisecond(site: Site) -> None:
    found = re.findall(
        r'opamp_server_message_duration_seconds_bucket\{le="([^"]+)",message_type="full"\}', await scraped(site)
    )
    assert found == [*(repr(bound) for bound in BUCKETS_SECONDS), "+Inf"]
    assert [float(one) for one in found[:3]] == [0.001, 0.002, 0.004]


async def test_agents_are_counted_by_target_and_state(site: Site) -> None:
    text = await scraped(site)
    assert 'gitsync_agents{state="applied",target="agents"} 1.0' in text
    assert 'gitsync_agents{state="failed",target="agents"} 1.0' in text
    assert 'gitsync_agents{state="pending",target=""} 1.0' in text


async def test_a_store_that_is_away_takes_only_the_agent_counts_away(site: Site) -> None:
    async with site.store_away():
        text = await scraped(site)
    assert "gitsync_agents{" not in text
    assert "gitsync_source_ready{" in text


async def test_sources_syncs_errors_and_webhooks_are_there(site: Site) -> None:
    meters = site.service.meters
    meters.syncs["default", "success"] += 1
    meters.source_ready["default"] = True
    meters.last_sync["default"] = 1_763_000_000.5
    meters.validation_errors["GS2101"] += 2
    meters.webhooks["github", "accepted"] += 1
    text = await scraped(site)
    for line in (
        'gitsync_sync_total{result="success",source="default"} 1.0',
        'gitsync_sync_total{result="error",source="default"} 0.0',
        'gitsync_source_ready{source="default"} 1.0',
        'gitsync_last_sync_timestamp_seconds{source="default"} 1.7630000005e+09',
        'gitsync_commit_validation_errors_total{code="GS2101"} 2.0',
        'gitsync_webhook_requests_total{provider="github",result="accepted"} 1.0',
        'gitsync_revision{source="default"} 1.763000001e+09',
    ):
        assert line in text


async def test_every_metric_is_documented_and_nothing_else_is(site: Site) -> None:
    families = text_string_to_metric_families(await scraped(site))
    exposed = {
        one.name + ("_total" if one.type == "counter" else "")
        for one in families
        if not one.name.startswith("process_")
    }
    documented = set(re.findall(r"^\| `([a-z_]+)", DOCS.read_text(), re.MULTILINE))
    assert exposed == documented
