from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from gitsync.control.records import AgentRecord
from gitsync.errors import Conflict
from gitsync.fleet.agent import CommandState, Restart
from gitsync.ids import show_uid
from tests.support.builders import NOW, a_uid, later
from tests.unit.cli.conftest import Running

EDGE_1, EDGE_2 = show_uid(a_uid(1)), show_uid(a_uid(2))


async def shown(running: Running, state: CommandState, sign: str = "") -> None:
    """From now on the server shows this result, whatever is asked of it."""
    store = running.service.store
    records = await store.load_agents([a_uid(1), a_uid(2)])
    restart = Restart(state, NOW, later(3), sign)
    changed = [replace(one, agent=replace(one.agent, restart=restart)) for one in records.values()]

    async def keep(_: object, records: list[AgentRecord] = changed) -> None:
        await store.save_agents(records, [])

    running.service.after_restart = keep


async def test_an_agent_is_told_by_name_or_uid(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "edge-1")
    assert (done.code, done.out, done.err) == (0, f"agent edge-1 ({EDGE_1}): restart sent\n", "")
    done = await running.gitsync("restart", "agent", EDGE_2)
    assert done.code == 0
    assert [uid for uid, _ in running.service.restarted] == [a_uid(1), a_uid(2)]
    assert all(actor.startswith("token:") for _, actor in running.service.restarted)


@pytest.mark.parametrize(
    ("state", "code", "text"),
    [
        (CommandState.RESTARTED, 0, "restarted: it has a new start time"),
        (CommandState.NO_SIGN, 1, "no sign of a restart: it has a new start time"),
    ],
)
async def test_waiting_shows_the_inferred_result(running: Running, state: CommandState, code: int, text: str) -> None:
    await shown(running, state, "it has a new start time")
    done = await running.gitsync("restart", "agent", "edge-1", "--wait")
    assert (done.code, done.out.splitlines()[-1]) == (code, f"agent edge-1 ({EDGE_1}): {text}")


async def test_waiting_too_long_is_exit_code_3(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "edge-1", "--wait", "--timeout", "50ms")
    assert done.code == 3
    assert done.out.splitlines()[-1] == f"agent edge-1 ({EDGE_1}): restart sent"


async def test_a_refusal_names_its_reason_and_spares_the_others_nothing(running: Running) -> None:
    refusal = Conflict("the agent is not connected", code="agent.not-connected", hint="try again when it is")
    running.service.cannot_restart[a_uid(1)] = refusal
    done = await running.gitsync("restart", "agent", "edge-1", "edge-2", "--yes")
    assert done.code == 1
    assert done.err == f"agent edge-1 ({EDGE_1}): the agent is not connected (try again when it is)\n"
    assert done.out == f"agent edge-2 ({EDGE_2}): restart sent\n"


async def test_an_agent_that_is_forgotten_meanwhile_keeps_nobody_else_from_being_told(running: Running) -> None:
    unknown = show_uid(a_uid(99))
    done = await running.gitsync("restart", "agent", unknown, "edge-2", "--yes")
    assert (done.code, done.out) == (1, f"agent edge-2 ({EDGE_2}): restart sent\n")
    assert done.err.startswith(f"agent {unknown}: no agent {unknown} is known")


async def test_a_selector_takes_all_that_are_connected(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "-l", "role=edge", "--yes")
    assert done.code == 0
    assert {uid for uid, _ in running.service.restarted} == {a_uid(1), a_uid(2)}
    done = await running.gitsync("restart", "agent", "-l", "role=gateway", "--yes")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: no connected agent has role=gateway")


async def test_several_agents_need_a_confirmation(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "-l", "role=edge")
    assert (done.code, done.err) == (
        2,
        "error: 2 agents would be restarted\nhint: say --yes if that is meant\n",
    )
    assert running.service.restarted == []


@pytest.mark.parametrize("arguments", [[], ["edge-1", "-l", "role=edge"]])
async def test_it_must_be_said_which(running: Running, arguments: list[str]) -> None:
    done = await running.gitsync("restart", "agent", *arguments)
    assert (done.code, running.service.restarted) == (2, [])


async def test_it_can_be_a_document(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "edge-1", "-o", "json")
    (item,) = json.loads(done.out)["items"]
    assert (item["uid"], item["restart"]["state"]) == (EDGE_1, "sent")
    assert (await running.gitsync("restart", "agent", "edge-1", "-o", "name")).out == f"agent/{EDGE_1}\n"


async def test_an_agent_that_nobody_knows(running: Running) -> None:
    done = await running.gitsync("restart", "agent", "nobody")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: no agent is called 'nobody'")


async def test_the_result_is_shown_with_the_agent(running: Running) -> None:
    await running.gitsync("restart", "agent", "edge-1")
    shown = (await running.gitsync("describe", "agent", "edge-1")).out
    assert re.search(r"^Restart: +sent, 2026-11-21 12:00:00Z$", shown, re.MULTILINE)
