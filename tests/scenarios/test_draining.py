"""`gitsync serve` is asked to stop while an agent is connected that does not answer goodbyes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.scenarios.test_serve import LOCAL, serving
from tests.support.rawpeer import CLOSE, raw_peer


async def test_a_server_that_stops_is_not_ready_and_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("server: {agents: {drain: 10m}}\n")
    with serving(tmp_path, "--config", "settings.yaml", *LOCAL) as service:
        ready = service.wait_ready()
        async with httpx.AsyncClient(base_url=ready["http_url"]) as client, raw_peer(ready["opamp_url"]) as agent:
            assert (await client.get("/readyz")).status_code == 200
            await agent.open()
            os.kill(service.process.pid, signal.SIGTERM)
            assert (await agent.frame())[0] == CLOSE
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"]["drain"] == "the server is stopping"
            async with raw_peer(ready["opamp_url"]) as late:
                late.send(b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                assert (await late.response()).status == 503
            os.kill(service.process.pid, signal.SIGTERM)
            await agent.end_of_stream()
        code, err = await asyncio.to_thread(service.end)

    assert code == 0
    assert "Traceback" not in err
