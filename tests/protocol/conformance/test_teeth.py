"""Every case fails against a server, or an agent, that does not keep the rules: what cannot fail shows nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from gitsync.lab.profile import Fault
from tests.protocol.conformance.cases_agent import post_head, retry_after, too_large
from tests.protocol.conformance.table import AGENT_CASES, CASES
from tests.support.conformance import Case, Via
from tests.support.conformance_agent import AgentCase, CarelessAgent, make_agent
from tests.support.conformance_bad import careless, eager
from tests.support.conformance_scene import Scene

PATIENCE_SECONDS = 2.0
Server = Callable[[], AbstractAsyncContextManager[str]]


BROKEN = (AssertionError, TimeoutError, OSError, asyncio.IncompleteReadError, KeyError, ValueError, TypeError)


async def passes(case: Case, via: Via, url: str) -> bool:
    failed = False
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), Scene(via, url, None) as scene:
            await case.play(scene)
    except* BROKEN:
        failed = True
    return not failed


async def agent_passes(case: AgentCase, via: Via) -> bool:
    failed = False
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await case.play(via, make_agent(Fault.NONE, via, kind=CarelessAgent))
    except* BROKEN:
        failed = True
    return not failed


async def passed_by(server: Server) -> set[tuple[str, Via]]:
    async with server() as url, asyncio.TaskGroup() as tasks:
        runs = [(case, via) for case in CASES for via in case.over]
        done = [tasks.create_task(passes(case, via, url), name=case.name) for case, via in runs]
    return {(case.name, via) for (case, via), task in zip(runs, done, strict=True) if task.result()}


async def test_every_case_fails_against_a_careless_server_or_an_eager_one() -> None:
    by_careless, by_eager = await passed_by(careless), await passed_by(eager)
    assert by_careless & by_eager == set()
    # Nearly everything fails against each of them; the eager one has our transport, so what that alone shows is passed.
    assert len({name for name, _ in by_careless}) < len(CASES) * 0.05
    assert len({name for name, _ in by_eager}) < len(CASES) * 0.35


async def test_every_case_of_agents_fails_with_a_careless_one() -> None:
    """But those about sockets alone, which a careless agent shares with the others."""
    runs = [(case, via) for case in AGENT_CASES if case.talk for via in case.over]
    assert {case.then for case in AGENT_CASES if not case.talk} == {post_head, too_large, retry_after}
    async with asyncio.TaskGroup() as tasks:
        done = [tasks.create_task(agent_passes(case, via), name=case.name) for case, via in runs]
    assert [case.name for (case, _), task in zip(runs, done, strict=True) if task.result()] == []
