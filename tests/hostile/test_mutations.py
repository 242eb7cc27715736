"""Damaged messages through the real connection handler; the slow tier sends a million of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.mutations import a_storm
from tests.support.rawpeer import BINARY, CLOSE, PONG

COUNT = 20_000
MAX_AGENTS = 300


async def test_damaged_messages_break_nothing(tmp_path: Path) -> None:
    async with a_storm(tmp_path / "fleet.db", 20261121, max_agents=MAX_AGENTS) as storm:
        await storm.run(COUNT)
        assert storm.trouble.lines == []
        assert storm.count >= COUNT
        assert not storm.hub.connections
        assert storm.hub.budget.used == 0
        assert storm.fleet.meters.open_links == {"websocket": 0, "http": 0}
        errors = storm.fleet.meters.protocol_errors
        assert not {"websocket.internal", "http.500"} & set(errors)
        assert sum(1 for _ in storm.fleet.agents._presence.each()) <= MAX_AGENTS
        # The storm reaches what it is meant to reach.
        assert {"websocket.frame", "websocket.text", "websocket.too-big", "websocket.deflate"} <= set(errors)
        assert {"opamp.bad-request", "http.400", "http.413"} <= set(errors)
        assert {BINARY, BINARY | 0x40, CLOSE, PONG} <= set(storm.heard)
        assert {"offered", "applied", "failed"} <= set(storm.fleet.meters.config_updates)
