"""Two agents with one instance uid: on two sockets, and in turn by polls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.control.connected import ConnectedAgent
from gitsync.control.twins import TWINS_KEPT, Twins
from gitsync.fleet.agent import Agent
from gitsync.ids import AgentUid
from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.session import Session
from tests.support.builders import SUPERVISOR, a_hash, a_uid, a_version
from tests.support.clock import FixedRandom, ManualClock
from tests.support.fleet import FleetUnderTest, RecordingLink, TestAgent, a_fleet, connected_count

BEATING = int(SUPERVISOR | Capability.REPORTS_HEARTBEAT)
GIVEN = a_uid(1_001)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db", ManualClock()) as fleet:
        yield fleet


def clone(fleet: FleetUnderTest, name: str, transport: str = "websocket") -> TestAgent:
    return TestAgent(fleet, {"role": name}, transport=transport, capabilities=BEATING)


async def both(fleet: FleetUnderTest) -> tuple[TestAgent, TestAgent]:
    """Two clones on a socket each; the older one has just spoken again."""
    older = clone(fleet, "older").connect()
    await fleet.settle()
    older.beat()
    newer = clone(fleet, "newer").connect()
    await fleet.settle()
    fleet.clock.advance(30)
    older.beat()
    await fleet.settle()
    return older, newer


def role(fleet: FleetUnderTest, uid: AgentUid) -> str | None:
    one = fleet.agents.get(uid)
    assert one is not None
    return one.agent.labels.reported.get("role")


async def test_the_older_socket_is_asked_for_a_sign_of_life_and_stays(fleet: FleetUnderTest) -> None:
    older = clone(fleet, "older").connect()
    await fleet.settle()
    clone(fleet, "newer").connect()
    assert (older.link.pings, older.link.is_open) == (1, True)


async def test_the_older_one_keeps_its_uid_and_the_newer_one_takes_another(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.hear()
    assert newer.client.uid == GIVEN
    newer.beat()
    await fleet.settle()
    newer.hear()
    assert (role(fleet, older.uid), role(fleet, GIVEN)) == ("older", "newer")
    assert connected_count(fleet.agents) == 2
    assert fleet.meters.duplicate_uids == 1
    for _ in range(3):
        fleet.clock.advance(30)
        older.beat()
        newer.beat()
        fleet.agents.check()
    assert older.link.is_open
    assert newer.link.is_open
    assert fleet.meters.duplicate_uids == 1


async def test_nothing_of_the_one_is_mixed_with_the_other(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    older = clone(fleet, "older").connect()
    await fleet.settle()
    older.beat()
    older.apply()
    before = older.live.agent
    newer = clone(fleet, "newer").connect()
    await fleet.settle()
    newer.beat()
    newer.fail("mine")
    fleet.clock.advance(30)
    older.beat()
    after = older.live.agent
    assert (after.reported, after.failed, after.labels) == (before.reported, before.failed, before.labels)
    newer.hear()
    newer.beat()
    await fleet.settle()
    newer.beat()
    rival = fleet.agents.get(GIVEN)
    assert rival is not None
    assert rival.agent.last_good is None
    assert rival.agent.labels.reported["role"] == "newer"


async def test_one_that_ignores_its_new_uid_is_served_on_under_the_one_that_it_uses(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    older, newer = await both(fleet)
    newer.link.sent.clear()  # it never looks at what it was told
    for _ in range(3):
        fleet.clock.advance(30)
        newer.beat()
        older.beat()
        await fleet.settle()
    newer.hear()
    assert newer.client.uid == older.uid
    assert a_hash("a") in [one.config_hash for one in newer.configs]
    assert (role(fleet, older.uid), role(fleet, GIVEN)) == ("older", "newer")
    assert fleet.meters.duplicate_uids == 1


async def test_one_that_ignores_its_new_uid_is_the_same_agent_when_it_comes_back(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.link.sent.clear()
    fleet.agents.closed(newer.link)
    fleet.clock.advance(30)
    newer.connect()
    fleet.clock.advance(30)
    older.beat()
    assert connected_count(fleet.agents) == 2
    assert newer.link.sent == []
    assert fleet.meters.duplicate_uids == 1


async def test_both_are_marked_and_it_is_audited_once(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.hear()
    newer.beat()
    await fleet.settle()
    rival = fleet.agents.get(GIVEN)
    assert rival is not None
    assert (older.live.agent.twin, rival.agent.twin) == (GIVEN, older.uid)
    lines = [one for _, one in await fleet.store.list_audit(10) if one.action == "duplicate_uid"]
    assert [(one.agent_uid, one.reason) for one in lines] == [(older.uid, "duplicate instance uid")]
    await fleet.journal.flush()
    rows = await fleet.store.load_agents([older.uid, GIVEN])
    assert {uid: row.agent.twin for uid, row in rows.items()} == {older.uid: GIVEN, GIVEN: older.uid}


async def test_an_older_socket_that_stays_silent_is_closed(fleet: FleetUnderTest) -> None:
    agent = clone(fleet, "one").connect()
    await fleet.settle()
    older = agent.link
    agent.connect()
    fleet.clock.advance(39)
    fleet.agents.check()
    assert older.is_open
    fleet.clock.advance(2)
    agent.beat()
    fleet.agents.check()
    assert older.closed_with == 1001
    assert agent.live.connected
    assert fleet.meters.duplicate_uids == 0


async def test_a_message_that_was_under_way_when_the_agent_reconnected_proves_nothing(fleet: FleetUnderTest) -> None:
    agent = clone(fleet, "one").connect()
    await fleet.settle()
    older, late = agent.link, agent.client.heartbeat()
    agent.connect()
    answer = b"".join(fleet.agents.receive(older, late))
    assert pb.ServerToAgent.FromString(answer) == pb.ServerToAgent(instance_uid=agent.uid)
    assert agent.live.link is agent.link
    assert fleet.meters.duplicate_uids == 0


async def test_a_farewell_on_the_older_socket_ends_nothing_on_the_newer_one(fleet: FleetUnderTest) -> None:
    agent = clone(fleet, "one").connect()
    await fleet.settle()
    older, late = agent.link, agent.client.disconnect()
    agent.connect()
    fleet.clock.advance(30)
    fleet.agents.receive(older, late)
    assert agent.live.connected
    assert fleet.meters.duplicate_uids == 0


async def test_who_speaks_on_the_older_socket_when_the_newer_one_is_gone_is_back(fleet: FleetUnderTest) -> None:
    agent = clone(fleet, "one").connect()
    await fleet.settle()
    older = agent.link
    agent.connect()
    newer, agent.link = agent.link, older
    fleet.agents.closed(newer)
    fleet.clock.advance(30)
    agent.beat()
    assert agent.live.link is older
    assert connected_count(fleet.agents) == 1
    assert fleet.meters.duplicate_uids == 0


async def test_a_full_server_makes_no_place_for_a_second_one_and_goes_on_with_the_newer(tmp_path: Path) -> None:
    options = AgentOptions("replica-1", max_agents=1)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options) as fleet:
        older, newer = await both(fleet)
        assert older.live.link is newer.link
        assert connected_count(fleet.agents) == 1


async def test_polls_of_two_in_turn_are_noticed_and_the_later_one_is_told_once(fleet: FleetUnderTest) -> None:
    first = clone(fleet, "first", "http").connect()
    await fleet.settle()
    for _ in range(5):
        first.beat()
    second = clone(fleet, "second", "http").connect()
    for _ in range(6):
        first.beat()
        second.beat()
    await fleet.settle()
    assert second.client.uid == GIVEN
    assert fleet.meters.duplicate_uids == 1
    for _ in range(3):
        second.beat()
        first.beat()
        await fleet.settle()
    assert (role(fleet, first.uid), role(fleet, GIVEN)) == ("first", "second")
    rival = fleet.agents.get(GIVEN)
    assert rival is not None
    assert (first.live.agent.twin, rival.agent.twin) == (GIVEN, first.uid)


async def test_one_that_ignores_it_is_served_on_and_not_told_again(fleet: FleetUnderTest) -> None:
    first = clone(fleet, "first", "http").connect()
    await fleet.settle()
    for _ in range(5):
        first.beat()
    second = clone(fleet, "second", "http")
    answers: list[pb.ServerToAgent] = []
    messages = [second.client.first_message(), *(second.client.heartbeat() for _ in range(12))]
    for message in messages:
        link = RecordingLink("http")
        fleet.agents.opened(link)
        answers.append(pb.ServerToAgent.FromString(b"".join(fleet.agents.receive(link, message))))
        fleet.agents.closed(link)
        first.beat()
    told = [one for one in answers if one.HasField("agent_identification")]
    assert len(told) == 1
    assert all(one.instance_uid == first.uid for one in answers)
    assert fleet.meters.duplicate_uids == 1


async def test_two_behind_one_proxy_are_noticed_by_their_numbers(fleet: FleetUnderTest) -> None:
    first = clone(fleet, "first").connect()
    await fleet.settle()
    for _ in range(5):
        first.beat()
    second = clone(fleet, "second")
    second.link = first.link
    second.say(second.client.first_message())
    for _ in range(6):
        first.beat()
        second.beat()
    assert GIVEN in (first.client.uid, second.client.uid)
    assert connected_count(fleet.agents) == 2


async def test_a_third_one_is_told_a_uid_of_its_own(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.hear()
    newer.beat()
    await fleet.settle()
    fleet.agents.closed(newer.link)
    third = clone(fleet, "third").connect()
    fleet.clock.advance(30)
    older.beat()
    third.hear()
    third.beat()
    await fleet.settle()
    assert third.client.uid == a_uid(1_002)
    assert (role(fleet, older.uid), role(fleet, GIVEN), role(fleet, a_uid(1_002))) == ("older", "newer", "third")


async def test_a_third_one_that_polls_is_noticed_when_the_second_one_has_gone_its_way(fleet: FleetUnderTest) -> None:
    first = clone(fleet, "first", "http").connect()
    await fleet.settle()
    for _ in range(5):
        first.beat()
    for number in (1, 2):
        other = clone(fleet, f"other-{number}", "http").connect()
        for _ in range(8):
            first.beat()
            other.beat()
        assert other.client.uid == a_uid(1_000 + number)
    assert fleet.meters.duplicate_uids == 2


def at(agent: TestAgent, address: str) -> TestAgent:
    """The agent polls from this address."""
    agent.address = address
    return agent


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("addresses", [("10.0.0.1:1", "10.0.0.2:1"), ("10.0.0.1:1", "10.0.0.1:2")])
async def test_two_that_poll_with_the_same_numbers_are_noticed_by_where_they_are(
    fleet: FleetUnderTest, addresses: tuple[str, str], ahead: int
) -> None:
    first = at(clone(fleet, "first", "http"), addresses[0]).connect()
    await fleet.settle()
    for _ in range(ahead):
        first.beat()
    second = at(clone(fleet, "second", "http"), addresses[1]).connect()
    for _ in range(12):
        fleet.clock.advance(15)
        first.beat()
        fleet.clock.advance(15)
        second.beat()
    await fleet.settle()
    assert sorted((first.client.uid, second.client.uid)) == [first.uid, GIVEN]
    assert connected_count(fleet.agents) == 2
    assert fleet.meters.duplicate_uids == 1


async def test_an_agent_whose_answers_are_lost_and_that_says_each_message_again_is_one(fleet: FleetUnderTest) -> None:
    agent = at(clone(fleet, "one", "http"), "10.0.0.1:1").connect()
    await fleet.settle()
    for number in range(12):
        message = agent.client.heartbeat()
        for time in range(2):
            agent.address = f"10.0.0.1:{2 * number + time}"
            agent.say(message)
    assert fleet.meters.duplicate_uids == 0


@pytest.mark.parametrize("ahead", [0, 1, 7])
async def test_one_that_polls_while_the_other_has_a_socket_is_noticed(fleet: FleetUnderTest, ahead: int) -> None:
    first = at(clone(fleet, "first"), "10.0.0.1:1").connect()
    await fleet.settle()
    for _ in range(ahead):
        first.beat()
    second = at(clone(fleet, "second", "http"), "10.0.0.2:1").connect()
    for _ in range(12):
        fleet.clock.advance(15)
        first.beat()
        fleet.clock.advance(15)
        second.beat()
        fleet.agents.check()
    await fleet.settle()
    assert sorted((first.client.uid, second.client.uid)) == [first.uid, GIVEN]
    assert first.link.is_open
    assert connected_count(fleet.agents) == 2
    assert fleet.meters.duplicate_uids == 1


async def test_one_that_polls_with_one_number_for_ever_is_offered_its_configuration(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    agent = clone(fleet, "one", "http")
    message = pb.AgentToServer.FromString(agent.client.first_message())
    message.sequence_num = 7
    for _ in range(2):
        agent.say(message.SerializeToString())
    await fleet.settle()
    assert agent.configs == []
    for _ in range(3):
        agent.say(message.SerializeToString())
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]
    assert fleet.meters.duplicate_uids == 0


# ── When the mark goes ──────────────────────────────────────────────────────────────────────────────────────


def marks(fleet: FleetUnderTest, *uids: AgentUid) -> list[AgentUid | None]:
    known = [fleet.agents.get(uid) for uid in uids]
    return [one.agent.twin for one in known if one is not None]


def pass_hours(fleet: FleetUnderTest, hours: float, *agents: TestAgent) -> None:
    """Lets time pass, while these speak once a minute."""
    for _ in range(round(60 * hours)):
        fleet.clock.advance(60)
        for one in agents:
            one.beat()
        fleet.agents.check()


def poll_deafly(fleet: FleetUnderTest, first: TestAgent, messages: Sequence[bytes]) -> None:
    """Polls in turn with those of the first one; nobody looks at the answers."""
    for message in messages:
        link = RecordingLink("http")
        fleet.agents.opened(link)
        fleet.agents.receive(link, message)
        fleet.agents.closed(link)
        fleet.clock.advance(60)
        first.beat()
        fleet.agents.check()


def a_marked(number: int, fleet: FleetUnderTest) -> ConnectedAgent:
    """An agent with a mark, as one that was loaded from the store."""
    uid = a_uid(number)
    return ConnectedAgent(
        agent=Agent(uid, twin=GIVEN),
        session=Session(uid, server_capabilities=0),
        link=None,
        transport="http",
        remote_addr="",
        conn_epoch=0,
        connected_at=fleet.clock.now(),
        last_seen=0.0,
    )


async def test_two_that_go_their_own_ways_are_marked_for_an_hour(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.hear()
    newer.beat()
    await fleet.settle()
    pass_hours(fleet, 0.9, older, newer)
    assert marks(fleet, older.uid, GIVEN) == [GIVEN, older.uid]
    pass_hours(fleet, 0.3, older, newer)
    assert marks(fleet, older.uid, GIVEN) == [None, None]
    await fleet.settle()
    await fleet.journal.flush()
    rows = await fleet.store.load_agents([older.uid, GIVEN])
    assert [row.agent.twin for row in rows.values()] == [None, None]


async def test_the_mark_stays_while_one_uses_the_uid_of_the_other_and_goes_an_hour_after_it_left(
    fleet: FleetUnderTest,
) -> None:
    older, newer = await both(fleet)
    newer.link.sent.clear()  # it never looks at what it was told
    for _ in range(150):
        fleet.clock.advance(60)
        older.beat()
        newer.beat()
        newer.link.sent.clear()
        fleet.agents.check()
    assert marks(fleet, older.uid, GIVEN) == [GIVEN, older.uid]
    fleet.agents.closed(newer.link)
    pass_hours(fleet, 0.9, older)
    assert marks(fleet, older.uid) == [GIVEN]
    pass_hours(fleet, 0.3, older)
    assert marks(fleet, older.uid) == [None]
    newer.connect()
    fleet.clock.advance(30)
    older.beat()
    assert marks(fleet, older.uid) != [None], "who comes back is found again"
    assert fleet.meters.duplicate_uids == 2


async def test_the_mark_stays_while_two_poll_in_turn(fleet: FleetUnderTest) -> None:
    first = clone(fleet, "first", "http").connect()
    await fleet.settle()
    for _ in range(5):
        first.beat()
    second = clone(fleet, "second", "http")
    poll_deafly(fleet, first, [second.client.first_message(), *(second.client.heartbeat() for _ in range(150))])
    assert marks(fleet, first.uid) == [GIVEN]
    pass_hours(fleet, 1.1, first)
    assert marks(fleet, first.uid) == [None]
    assert fleet.meters.duplicate_uids == 1
    poll_deafly(fleet, first, [second.client.heartbeat() for _ in range(20)])
    assert marks(fleet, first.uid) == [a_uid(1_002)], "who comes back is found again"
    assert fleet.meters.duplicate_uids == 2


async def test_the_hour_begins_anew_when_one_that_ignores_its_new_uid_is_back(fleet: FleetUnderTest) -> None:
    older, newer = await both(fleet)
    newer.link.sent.clear()  # it never looks at what it was told
    fleet.agents.closed(newer.link)
    pass_hours(fleet, 50 / 60, older)
    newer.connect()
    fleet.clock.advance(30)
    older.beat()
    fleet.agents.closed(newer.link)
    pass_hours(fleet, 50 / 60, older)
    assert marks(fleet, older.uid) == [GIVEN]
    pass_hours(fleet, 15 / 60, older)
    assert marks(fleet, older.uid) == [None]
    assert fleet.meters.duplicate_uids == 1


async def test_the_mark_of_each_goes_however_many_are_marked(fleet: FleetUnderTest) -> None:
    twins = Twins(fleet.agents._errands, fleet.meters, fleet.clock, FixedRandom())
    marked = [a_marked(number, fleet) for number in range(TWINS_KEPT + 1)]
    over: list[bool] = []
    for _ in range(5):
        over = [twins.is_over(one, None) for one in marked]
        fleet.clock.advance(1_200)
    assert all(over)


async def test_the_hour_begins_anew_with_the_next_process_of_the_server(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        older, _ = await both(fleet)
        pass_hours(fleet, 0.9, older)
        await fleet.settle()
        await fleet.journal.flush()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        older = clone(fleet, "older").connect()
        await fleet.settle()
        pass_hours(fleet, 0.9, older)
        assert marks(fleet, older.uid) == [GIVEN]
        pass_hours(fleet, 0.3, older)
        assert marks(fleet, older.uid) == [None]
