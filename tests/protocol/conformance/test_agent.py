"""Every case of the simulated agents, over every transport that it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitsync.lab.profile import Fault
from tests.protocol.conformance.cases_agent import CASES
from tests.support.builders import a_hash
from tests.support.conformance import BOTH, Via
from tests.support.conformance_agent import AgentCase, make_agent, on_socket
from tests.support.conformance_scene import open_scene
from tests.support.service import until

RUNS = [pytest.param(case, via, id=f"{case.name} [{via}]") for case in CASES for via in case.over]
QUIRKS = (
    Fault.REPEATS_NUMBERS,
    Fault.SKIPS_NUMBERS,
    Fault.NO_GOODBYE,
    Fault.DOUBLE_GOODBYE,
    Fault.KEEPS_UID,
    Fault.NO_HEADER,
    Fault.RECONNECTS,
)


@pytest.mark.parametrize(("case", "via"), RUNS)
async def test_simulated_agents_keep_the_rules(case: AgentCase, via: Via) -> None:
    await case.play(via)


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("quirk", QUIRKS)
async def test_agents_with_quirks_of_real_ones_get_their_configuration_and_leave(
    quirk: Fault, via: Via, empty_database: Path, tmp_path: Path
) -> None:
    async with open_scene(via, empty_database, tmp_path, {}) as scene:
        scene.publish("a")
        agent = make_agent(quirk, via)
        assert scene.fleet is not None
        agents = scene.fleet.agents
        async with on_socket(agent, via, scene.url) as socket:
            await until(lambda: agent.progress.connected)
            for _ in range(4):
                await scene.settle()
                heard = agent.progress.heard
                agent.heartbeat()
                await until(lambda heard=heard: agent.progress.heard > heard, 10)  # type: ignore[misc]
            assert agent.progress.applied == a_hash("a")
            live = agents.get(agent.profile.uid)
            assert live is not None
            await until(lambda: live.agent.reported is not None and live.agent.reported.digest == a_hash("a"), 10)
            socket.close()
            await until(lambda: not socket.is_open)
        if via is Via.WEBSOCKET:
            await until(lambda: not live.connected)
