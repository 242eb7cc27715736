"""A million damaged messages through the real connection handler: nothing breaks, and nothing grows.

The socket is one of `tests.support.memorywire`; connections, sessions, agents and their store are the real ones.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.support.mutations import a_storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COUNT = int(os.environ.get("GITSYNC_MUTATIONS", "1000000"))
MAX_AGENTS = 300
PARTS = 20
TRACED_PARTS = 3
"""Tracing every allocation takes several times as long, so only the last parts are; blocks are counted in all."""
GROWTH_BLOCKS = 5_000
"""In the second half of the run; one block left by each connection would be three times as many."""
GROWTH_BYTES = 2 << 20


async def test_a_million_damaged_messages_break_nothing_and_leave_nothing(tmp_path: Path) -> None:
    async with a_storm(tmp_path / "fleet.db", 20261122, max_agents=MAX_AGENTS) as storm:
        blocks, held = [], []
        for part in range(PARTS):
            if part == PARTS - TRACED_PARTS:
                tracemalloc.start()
            await storm.run(COUNT // PARTS)
            assert storm.trouble.lines == []
            assert not storm.hub.connections
            assert storm.hub.budget.used == 0
            assert sum(1 for _ in storm.fleet.agents._presence.each()) <= MAX_AGENTS
            storm.forget_shared()
            gc.collect()
            blocks.append(sys.getallocatedblocks())
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        print(f"{storm.count} messages; blocks {blocks}; traced KiB {[one >> 10 for one in held[-TRACED_PARTS:]]}")
        assert storm.count >= COUNT
        assert blocks[-1] - blocks[PARTS // 2] < GROWTH_BLOCKS
        assert held[-1] - held[-TRACED_PARTS] < GROWTH_BYTES
        errors = storm.fleet.meters.protocol_errors
        assert not {"websocket.internal", "http.500"} & set(errors)
        assert storm.fleet.meters.open_links == {"websocket": 0, "http": 0}
