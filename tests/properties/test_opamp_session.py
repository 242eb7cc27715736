"""Sessions keep their promises whatever agents say, and what an agent reports arrives as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp import messages as m
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import Capability
from gitsync.opamp.offers import build_remote_config
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.session import Session, Step
from gitsync.opamp.wire import parse_agent_message

UID = AgentUid(bytes(range(16)))
NEW_UID = AgentUid(bytes(range(16, 32)))
OFFER = build_remote_config([("", "", "", b"a: 1")], ConfigHash(b"h"))
EVERYTHING = sum(Capability)

# ── What is reported is what is told ────────────────────────────────────────────────────────────────────────

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
attributes = st.dictionaries(names, texts, max_size=5)
nanoseconds = st.integers(0, 2**64 - 1)
leaves = st.builds(m.ComponentHealth, st.booleans(), texts, texts, nanoseconds, nanoseconds, st.just({}), attributes)
healths = st.recursive(
    leaves,
    lambda children: st.builds(
        m.ComponentHealth,
        st.booleans(),
        texts,
        texts,
        nanoseconds,
        nanoseconds,
        st.dictionaries(texts, children, max_size=3),
        attributes,
    ),
    max_leaves=6,
).filter(lambda health: depth(health) <= 8)
effective = st.dictionaries(texts, st.builds(m.EffectiveObject, st.binary(max_size=30), texts), max_size=4)
components = st.dictionaries(
    texts,
    st.builds(m.Component, attributes, st.dictionaries(texts, st.builds(m.Component, attributes), max_size=3)),
    min_size=1,
    max_size=3,
)
statuses = st.builds(m.ConfigStatusReported, st.binary(max_size=40), st.sampled_from(m.ConfigStatus), texts)


def depth(health: m.ComponentHealth) -> int:
    return 1 + max((depth(child) for child in health.components.values()), default=0)


@settings(deadline=None)
@given(attributes, attributes, healths, effective, statuses, components, st.frozensets(names, max_size=4))
def test_a_full_state_arrives_as_it_was_sent(
    identifying: dict[str, str],
    non_identifying: dict[str, str],
    health: m.ComponentHealth,
    running: dict[str, m.EffectiveObject],
    status: m.ConfigStatusReported,
    build: dict[str, m.Component],
    custom: frozenset[str],
) -> None:
    agent = ClientState(
        UID,
        identifying,
        non_identifying,
        EVERYTHING & ~Capability.REPORTS_PACKAGE_STATUSES,
        custom_capabilities=custom,
        components=build,
        components_hash=b"build",
        health=health,
        effective=running,
        config_status=status,
    )
    data = agent.receive(pb.ServerToAgent(instance_uid=UID, flags=1).SerializeToString(), 0.0).outgoing[0]
    step = Session(UID, server_capabilities=1).receive(parse_agent_message(data), 0.0, polled=False)
    assert pb.ServerToAgent.FromString(step.reply).flags == 0, "a full state leaves nothing to ask for"
    expected: list[m.Event] = [
        m.CapabilitiesChanged(agent.capabilities),
        m.Described(identifying, non_identifying),
        m.ComponentsReported(b"build", build),
        status,
        m.EffectiveReported(running),
        m.HealthReported(health),
    ]
    if custom:
        expected.insert(2, m.CustomCapabilitiesReported(custom))
    assert list(step.events) == expected


# ── Whatever an agent says ──────────────────────────────────────────────────────────────────────────────────


@st.composite
def agent_messages(draw: st.DrawFn) -> pb.AgentToServer:
    message = pb.AgentToServer(
        instance_uid=draw(st.sampled_from([UID, UID, UID, NEW_UID])),
        sequence_num=draw(st.integers(0, 6)),
        capabilities=draw(st.sampled_from([0, 1, 3, 3, 3, EVERYTHING])),
        flags=draw(st.sampled_from([0, 0, 0, 1])),
    )
    for name in draw(
        st.sets(
            st.sampled_from(
                [
                    "agent_description",
                    "health",
                    "available_components",
                    "agent_disconnect",
                    "effective_config",
                ]
            ),
            max_size=3,
        )
    ):
        getattr(message, name).SetInParent()
    return message


actions = st.one_of(
    agent_messages(),
    st.sampled_from(["tick", "offer", "rename", "restart", "reconnected", "full", "components"]),
)


def act(session: Session, action: pb.AgentToServer | str, now: float, polled: bool) -> Step | None:
    """Do one thing; None when the session refused it."""
    try:
        match action:
            case pb.AgentToServer():
                return session.receive(action, now, polled=polled)
            case "tick":
                return session.tick(now)
            case "offer":
                return session.offer(OFFER, now)
            case "rename":
                return session.rename(NEW_UID) if session.uid != NEW_UID else None
            case "restart":
                return session.restart(now)
            case "reconnected":
                session.reconnected(now)
            case "full":
                session.request_full_state()
            case _:
                session.request_components()
    except ProtocolError:
        pass
    return None


@settings(deadline=None)
@given(st.lists(st.tuples(actions, st.floats(0, 3)), max_size=25), st.booleans())
def test_every_answer_is_for_the_agent_and_nothing_is_offered_too_early(
    script: list[tuple[pb.AgentToServer | str, float]], polled: bool
) -> None:
    session = Session(UID, server_capabilities=3)
    now, greeted = 10.0, False
    for action, wait in script:
        now += wait
        was_open, uid_before = session.offers_open, session.uid
        step = act(session, action, now, polled)
        if action == "reconnected":
            greeted = False
        if step is None:
            continue
        assert step.deadline == session.deadline
        assert (step.deadline is None) or not session.offers_open
        if m.OffersOpened() in step.events or session.offers_open != was_open:
            assert session.offers_open == (m.OffersOpened() in step.events), "who waits for the event misses none"
        if isinstance(action, pb.AgentToServer):
            assert step.reply, "every message is answered"
        if not step.reply:
            continue
        reply = pb.ServerToAgent.FromString(step.reply)
        assert reply.instance_uid == session.uid
        if isinstance(action, pb.AgentToServer):
            assert reply.instance_uid == action.instance_uid
            assert greeted or reply.capabilities == 3
            greeted = True
        else:
            assert session.uid == uid_before
        if reply.HasField("remote_config"):
            assert was_open
            assert session.capabilities & Capability.ACCEPTS_REMOTE_CONFIG
        if reply.HasField("command"):
            assert {field.name for field, _ in reply.ListFields()} == {"instance_uid", "command"}
            assert session.capabilities & Capability.ACCEPTS_RESTART_COMMAND


@settings(deadline=None)
@given(st.lists(agent_messages(), max_size=12), agent_messages(), st.booleans())
def test_a_message_that_comes_twice_is_processed_once(
    before: list[pb.AgentToServer], message: pb.AgentToServer, polled: bool
) -> None:
    session = Session(UID, server_capabilities=3)
    for one in before:
        act(session, one, 1.0, polled)
    first = act(session, message, 2.0, polled)
    if first is None or message.ByteSize() == 18:
        return  # refused; a bare poll has no number by which it could be repeated
    number = session.sequence_num
    again = act(session, message, 3.0, polled)
    assert again is not None
    assert {type(one) for one in again.events} <= {m.NumberRepeated, m.OffersOpened}  # nothing of what it says
    assert session.sequence_num == number
    if message not in before:  # who says the same again and again is not asked for ever
        assert pb.ServerToAgent.FromString(again.reply).flags == pb.ServerToAgent.FromString(first.reply).flags


@settings(deadline=None)
@given(st.integers(0, EVERYTHING), st.integers(0, 3), st.booleans())
def test_two_peers_fall_silent(capabilities: int, lost: int, polled: bool) -> None:
    agent = ClientState(UID, {}, {}, capabilities)
    session = Session(UID, server_capabilities=3)
    for _ in range(lost):
        agent.heartbeat()
    for speak in (agent.first_message, agent.heartbeat, agent.heartbeat):
        waiting, exchanged = [speak()], 0
        while waiting:
            exchanged += 1
            assert exchanged <= 2, "a message, and one answer to a question at most"
            step = session.receive(parse_agent_message(waiting.pop()), 0.0, polled=polled)
            waiting += agent.receive(step.reply, 0.0).outgoing
        session.request_components()
