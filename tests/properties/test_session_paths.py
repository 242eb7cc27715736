"""The short ways through a session, of heartbeats and of configuration statuses, do what the long one does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp.messages import Capability, ConfigStatus, ConfigStatusReported
from gitsync.opamp.offers import build_remote_config
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.session import Session, Step
from gitsync.opamp.wire import parse_agent_message

UID = AgentUid(bytes(range(16)))
NEW_UID = AgentUid(bytes(range(16, 32)))
OFFER = build_remote_config([("", "", "", b"a: 1")], ConfigHash(b"h"))
USUAL = int(Capability.REPORTS_STATUS | Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG)
EVERYTHING = sum(Capability)
UNKNOWN_FIELD = b"\x98\x06\x07"
"""Number 99, which no message has."""
SHARED = ("_sequence_num", "_digest", "_last_flags", "_pending", "_asked", "_absent", "_deadline")


class LongWay(Session):
    """A session that takes no short way."""

    __slots__ = ()

    def receive(self, message: pb.AgentToServer, now: float, *, polled: bool) -> Step:
        return self._receive(message, now, polled)


class Counting(Session):
    """A session that counts how often it takes the long way."""

    __slots__ = ("long",)

    def _receive(self, message: pb.AgentToServer, now: float, polled: bool) -> Step:
        self.long = getattr(self, "long", 0) + 1
        return super()._receive(message, now, polled)


@dataclass(frozen=True)
class Said:
    """One message, with its number as the distance from the one before."""

    distance: int
    fields: bytes
    uid: AgentUid
    capabilities: int
    flags: int
    late: bytes

    def message(self, before: int) -> pb.AgentToServer:
        head = pb.AgentToServer(
            instance_uid=self.uid,
            sequence_num=max(before + self.distance, 0),
            capabilities=self.capabilities,
            flags=self.flags,
        )
        return parse_agent_message(head.SerializeToString() + self.fields + self.late)


def the_field(status: bytes) -> bytes:
    """A `remote_config_status` with these bytes."""
    message = pb.AgentToServer()
    message.remote_config_status.MergeFromString(status)
    message.remote_config_status.SetInParent()
    return message.SerializeToString()


lengths = st.integers(0, 40) | st.integers(100, 140)
statuses = st.builds(
    lambda digest, status, error, late: (
        pb.RemoteConfigStatus(
            last_remote_config_hash=b"h" * digest, status=status, error_message=error
        ).SerializeToString()
        + late
    ),
    st.just(32) | lengths,
    st.sampled_from([0, 1, 2, 3, 3, 77]),
    st.just("") | lengths.map(lambda length: "e" * length) | st.text(max_size=40),
    st.sampled_from([b"", b"", b"", UNKNOWN_FIELD]),
).map(the_field)
full_state = pb.AgentToServer(
    agent_description=pb.AgentDescription(),
    effective_config=pb.EffectiveConfig(),
    health=pb.ComponentHealth(healthy=True),
    remote_config_status=pb.RemoteConfigStatus(),
    package_statuses=pb.PackageStatuses(),
    available_components=pb.AvailableComponents(hash=b"h"),
).SerializeToString()
only_description = pb.AgentToServer(agent_description=pb.AgentDescription()).SerializeToString()
others = st.sets(
    st.sampled_from(
        [
            "agent_description",
            "health",
            "effective_config",
            "available_components",
            "agent_disconnect",
            "custom_capabilities",
            "connection_settings_request",
            "package_statuses",
        ]
    ),
    max_size=3,
)


def empty(names: set[str]) -> bytes:
    """These sub-messages with nothing in them."""
    message = pb.AgentToServer()
    for name in names:
        getattr(message, name).SetInParent()
    return message.SerializeToString()


said = st.builds(
    Said,
    distance=st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2, -1, -100]),
    fields=st.one_of(
        statuses,
        statuses,
        statuses,
        st.just(b""),
        st.just(full_state),
        st.just(only_description),
        others.map(empty),
        st.tuples(others.map(empty), statuses).map(b"".join),
    ),
    uid=st.sampled_from([UID] * 9 + [NEW_UID]),
    capabilities=st.sampled_from([EVERYTHING] * 9 + [USUAL, 0]),
    flags=st.sampled_from([0] * 9 + [1]),
    late=st.sampled_from([b""] * 9 + [UNKNOWN_FIELD]),
)
hello = st.builds(
    Said, st.just(0), st.just(full_state) | statuses, st.just(UID), st.just(EVERYTHING), st.just(0), st.just(b"")
)
calls = st.sampled_from(["tick", "offer", "rename", "reconnected", "full", "components", "withdraw", "ask"])
scripts = st.tuples(hello, st.lists(st.one_of(said, said, said, calls), max_size=20)).map(
    lambda both: [*both[:1], *both[1]]
)


def act(session: Session, action: Said | str, now: float, polled: bool) -> Step | str | None:
    """Does one thing; the code of the error when the session refused it."""
    try:
        match action:
            case Said():
                return session.receive(action.message(session.sequence_num or 0), now, polled=polled)
            case "tick":
                return session.tick(now)
            case "offer":
                return session.offer(OFFER, now)
            case "rename":
                return session.rename(NEW_UID) if session.uid != NEW_UID else None
            case "reconnected":
                session.reconnected(now)
            case "full":
                session.request_full_state()
            case "components":
                session.request_components()
            case "withdraw":
                session.withdraw_components()
            case _:
                return session.ask()
    except ProtocolError as error:
        return error.code
    return None


def a_word(fields: bytes, distance: int = 1) -> Said:
    return Said(distance, fields, UID, EVERYTHING, 0, b"")


A_STATUS = a_word(the_field(pb.RemoteConfigStatus(last_remote_config_hash=b"h" * 32, status=1).SerializeToString()))
A_BEAT = a_word(b"")
BEGINNING = [a_word(full_state, 0), A_BEAT]
NOT_GREETED = [*BEGINNING, "reconnected", a_word(empty({"connection_settings_request"})), A_STATUS, A_STATUS]
ASKED = [*BEGINNING, "full", A_BEAT, A_STATUS, a_word(only_description), A_STATUS, A_BEAT, A_STATUS]
WITHDRAWN = [*BEGINNING, "components", A_BEAT, "withdraw", A_STATUS, replace(A_STATUS, distance=0), A_BEAT]
JUMPED = [*BEGINNING, A_STATUS, replace(A_STATUS, distance=3), A_STATUS, a_word(b"", -5), A_STATUS, A_STATUS]


@settings(deadline=None, max_examples=400)
@example(NOT_GREETED, 1.0, [False], 0)
@example(ASKED, 1.0, [False], 0)
@example(ASKED, 1.0, [True], 0)
@example(WITHDRAWN, 1.0, [False], 0)
@example(JUMPED, 1.0, [True], 0)
@example(JUMPED, 1.0, [False], 0)
@given(scripts, st.floats(0, 3), st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 2))
def test_whatever_is_said_the_steps_are_the_same(
    script: list[Said | str], wait: float, transports: list[bool], switches: int
) -> None:
    short, long = Session(UID, server_capabilities=3), LongWay(UID, server_capabilities=3)
    now = 10.0
    for number, action in enumerate(script):
        now += wait
        polled = transports[min(number // 8, len(transports) - 1)] if switches else transports[0]
        assert act(short, action, now, polled) == act(long, action, now, polled)
        for name in SHARED:
            assert getattr(short, name) == getattr(long, name), name
        assert (short.offers_open, short.sequences, short.head) == (long.offers_open, long.sequences, long.head)
        assert short.custom_capabilities == long.custom_capabilities
        assert bool(short._seen) == bool(long._seen)


def greeted(kind: type[Session] = Counting) -> Session:
    """A session whose agent was greeted, gave all, and may be offered things."""
    session = kind(UID, server_capabilities=3)
    for action in (Said(0, full_state, UID, USUAL, 0, b""), Said(1, b"", UID, USUAL, 0, b"")):
        session.receive(action.message(session.sequence_num or 0), 1.0, polled=False)
    assert session.offers_open
    return session


def a_status(error: str, digest: bytes = b"h" * 32) -> bytes:
    status = pb.RemoteConfigStatus(last_remote_config_hash=digest, status=2, error_message=error)
    return the_field(status.SerializeToString())


@pytest.mark.parametrize(
    ("fields", "is_short"),
    [
        (a_status(""), True),
        (the_field(b""), True),
        (a_status("e" * (127 - 38)), True),
        (a_status("e" * (128 - 38)), False),
        (a_status("") + UNKNOWN_FIELD, False),
        (a_status("") + empty({"health"}), False),
        (empty({"health"}), False),
        (UNKNOWN_FIELD, False),
        (b"", True),
    ],
    ids=[
        "usual",
        "empty",
        "longest",
        "too long",
        "unknown field",
        "with health",
        "health",
        "only unknown",
        "heartbeat",
    ],
)
def test_short_ways_are_for_heartbeats_and_for_short_statuses_alone(fields: bytes, is_short: bool) -> None:
    session, other = greeted(), greeted(LongWay)
    assert isinstance(session, Counting)
    before = session.long
    message = Said(1, fields, UID, USUAL, 0, b"").message(session.sequence_num or 0)
    assert session.receive(message, 2.0, polled=False) == other.receive(message, 2.0, polled=False)
    assert session.long - before == (not is_short)


def test_the_same_status_with_the_same_number_is_answered_again_and_taken_once() -> None:
    session = greeted()
    message = Said(1, a_status(""), UID, USUAL, 0, b"").message(session.sequence_num or 0)
    first = session.receive(message, 2.0, polled=False)
    assert first.events == (ConfigStatusReported(b"h" * 32, ConfigStatus.APPLYING, ""),)
    again = session.receive(message, 3.0, polled=False)
    assert ConfigStatusReported not in {type(one) for one in again.events}
    assert pb.ServerToAgent.FromString(again.reply).instance_uid == UID
