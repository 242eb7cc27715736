"""Instance uids as real agents live with them: asked for, held by two at once, and changed by the server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.ids import AgentUid, show_uid
from tests.support.gitrepo import GitRepo
from tests.support.goclient import GoClient
from tests.support.real_agents import COLLECTOR_SERVICE, Program, RealAgent, Supervised, commit
from tests.support.sdk_agents import NodeAgent
from tests.support.service import WAIT_SECONDS, ServiceUnderTest, a_service, until
from tests.support.supervisor import CURRENT, OLD, Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

LABELS = {"role": "agent"}
UID = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ab")


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    commit(repo, "200ms")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: started.running.agents.published.desired.releases)
        yield started


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Agents that are started in the middle of a test, and stopped before the server."""
    async with AsyncExitStack() as running:
        yield running


def socket_url(service: ServiceUnderTest) -> str:
    return "ws" + service.opamp_url.removeprefix("http")


async def audit(service: ServiceUnderTest) -> list[str]:
    """Every line of the audit log as one text, newest first."""
    answer = await service.http.get("/api/v1/audit", headers={"Authorization": f"Bearer {service.token}"})
    assert answer.status_code == 200, answer.text
    return [str(one) for one in answer.json()["items"]]


async def a_client(stack: AsyncExitStack, url: str, **options: object) -> Program:
    """A started agent of the reference library, as a Collector."""
    client = GoClient(url, labels=LABELS, service_name=COLLECTOR_SERVICE, **options)  # type: ignore[arg-type]
    await stack.enter_async_context(client)
    return Program(client)


async def both_work(service: ServiceUnderTest, repo: GitRepo, *agents: RealAgent) -> None:
    """All are connected under uids of their own, listed, and reached by the next commit."""
    for one in agents:
        await one.applied(service)
    uids = [one.uid for one in agents]
    assert len(set(uids)) == len(agents)
    commit(repo, "300ms")
    await service.published(repo.head)
    for one in agents:
        await one.applied(service, "300ms")
    assert [one.uid for one in agents] == uids
    await listed_as_connected(service, *uids)


async def listed_as_connected(service: ServiceUnderTest, *uids: AgentUid) -> None:
    """Waits until exactly these are listed as connected; the list is what was written down so far."""
    wanted = {show_uid(uid) for uid in uids}
    async with asyncio.timeout(WAIT_SECONDS):
        while {one["uid"] for one in (await service.get("agents"))["items"] if one["connected"]} != wanted:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_an_agent_that_asks_for_an_instance_uid_gets_one_and_is_served_under_it(
    service: ServiceUnderTest, repo: GitRepo, stack: AsyncExitStack, scheme: str
) -> None:
    url = scheme + service.opamp_url.removeprefix("http")
    agent = await a_client(stack, url, request_uid=True)
    renamed = await agent.process.wait_for("renamed")
    assert uuid.UUID(renamed["uuid"]).version == 7
    await both_work(service, repo, agent)
    # The uid that it came with is nobody's any more.
    started = AgentUid(bytes.fromhex(agent.process.seen("started")[0]["instance_uid"]))
    assert service.running.agents.get(started) is None
    assert len(agent.process.seen("renamed")) == 1


async def test_an_agent_may_ask_for_another_uid_while_it_runs(
    service: ServiceUnderTest, repo: GitRepo, stack: AsyncExitStack
) -> None:
    agent = await a_client(stack, socket_url(service))
    await agent.applied(service)
    before = agent.uid
    await agent.process.tell("request-uid")
    await agent.process.wait_for("renamed")
    await both_work(service, repo, agent)
    assert agent.uid != before


@pytest.mark.parametrize("second_scheme", ["ws", "http"])
@pytest.mark.parametrize("first_scheme", ["ws", "http"])
async def test_the_newer_of_two_agents_with_one_uid_is_given_its_own(
    service: ServiceUnderTest, repo: GitRepo, stack: AsyncExitStack, first_scheme: str, second_scheme: str
) -> None:
    rest = service.opamp_url.removeprefix("http")
    # Two that poll are told apart by the numbers of their messages, which must not run side by side.
    often = timedelta(seconds=0.3)
    names = {"host.name": "one"}
    older = await a_client(stack, first_scheme + rest, instance_uid=str(UID), identifying=names, interval=often)
    await older.applied(service)
    if first_scheme == "http":
        await older.process.wait_for("connected", count=10)
    newer = await a_client(stack, second_scheme + rest, instance_uid=str(UID), identifying={"host.name": "two"})
    await newer.process.wait_for("renamed")
    await both_work(service, repo, older, newer)
    assert older.uid == UID.bytes
    assert not older.process.seen("renamed")
    assert any("duplicate" in line for line in await audit(service))


@pytest.mark.slow  # the older one is known to live by its next heartbeat, which a supervisor sends every 30 s
@pytest.mark.parametrize("pair", ["current", "old"])
async def test_a_cloned_host_is_given_a_uid_of_its_own_and_keeps_it(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, stack: AsyncExitStack, pair: str
) -> None:
    def supervisor(name: str) -> Supervisor:
        programs = OLD if pair == "old" else CURRENT
        return Supervisor(socket_url(service), tmp_path / name, labels=LABELS, instance_id=UID, pair=programs)

    original = supervisor("original")
    await stack.enter_async_context(original)
    await Supervised(original).applied(service)
    clone = supervisor("clone")
    await stack.enter_async_context(clone)
    await until(lambda: clone.instance_uid != UID.bytes)
    await both_work(service, repo, Supervised(original), Supervised(clone))
    assert original.instance_uid == UID.bytes
    given = clone.instance_uid
    await clone.restart()
    await Supervised(clone).applied(service)
    assert clone.instance_uid == given
    assert any("duplicate" in line for line in await audit(service))


async def test_an_application_that_shares_a_uid_with_another_one_is_given_its_own(
    service: ServiceUnderTest, repo: GitRepo, stack: AsyncExitStack
) -> None:
    def application(seconds: float) -> NodeAgent:
        interval = timedelta(seconds=seconds)
        return NodeAgent(service.opamp_url, "checkout", attributes=LABELS, instance_uid=str(UID), interval=interval)

    older = Program(await stack.enter_async_context(application(0.3)))
    await older.applied(service)
    await older.process.wait_for("answered", count=10)
    newer = Program(await stack.enter_async_context(application(1)))
    await newer.process.wait_for("renamed")
    await both_work(service, repo, older, newer)
