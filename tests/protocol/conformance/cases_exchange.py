"""Rules 19 to 38: answers, errors, identity, what may be left out, and capabilities."""

from __future__ import annotations

import uuid

from gitsync.app import SystemRandom
from gitsync.control.agents import CAPABILITIES as OFFERED
from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import NOW, a_hash
from tests.support.conformance import (
    APPLIED,
    APPLYING,
    BAD_REQUEST,
    FULL_STATE,
    HTTP,
    SUPERVISED,
    WEBSOCKET,
    Case,
    Drop,
    Forget,
    Hear,
    Known,
    Publish,
    Quiet,
    Say,
    Settle,
    Step,
    Told,
    beat,
    described,
    full,
    in_code,
    message,
    running,
    status,
)
from tests.support.conformance_scene import Scene

A, B = a_hash("a"), a_hash("b")
REQUEST_UID = 1
JOINED: tuple[Step, ...] = (Say(full()), Hear(has=["capabilities"]), Settle())
"""An agent has told everything and is known."""
OFFERED_A: tuple[Step, ...] = (Publish("a"), *JOINED, Say(beat()), Hear(config=A))
"""An agent that was offered the text `a`."""
APPLIED_A: tuple[Step, ...] = (*OFFERED_A, Say(message(remote_config_status=status(A, APPLIED))), Hear(), Settle())
"""The same, which says that it applied it."""

EXCHANGE = (
    Case(
        "a message with nothing to answer is answered with the instance uid alone",
        ("19",),
        (*JOINED, Say(beat()), Hear(only=[]), Say(beat()), Hear(only=[]), Quiet()),
    ),
    Case(
        "a report is answered, too",
        ("19",),
        (*JOINED, Say(message(health=pb.ComponentHealth(healthy=False))), Hear(only=[])),
    ),
    Case(
        "agents that take turns are answered by their own instance uids",
        ("20", "73"),
        (
            Say(full(), by="a"),
            Say(full(), by="b"),
            Hear(to="a"),
            Hear(to="b"),
            Settle(),
            Say(beat(), by="b"),
            Say(beat(), by="a"),
            Say(beat(), by="b"),
            Hear(to="b", only=[]),
            Hear(to="a", only=[]),
            Hear(to="b", only=[]),
        ),
    ),
    Case(
        "the first answer has the capabilities that work, and no other",
        ("21", "56"),
        (
            Say(full()),
            Hear(that=lambda heard: heard.capabilities & 1 and heard.capabilities == int(OFFERED)),
            Settle(),
            Say(beat()),
            Hear(lacks=["capabilities"]),
        ),
    ),
    Case(
        "capabilities of features that are not there are not told",
        ("21", "52", "54", "56", "57", "58", "59", "60", "61", "63"),
        (
            Say(full()),
            # Packages offered (8), requests for certificates (64), and bits that are not defined.
            Hear(
                has=["capabilities"], that=lambda heard: not heard.capabilities & (8 | 64) and heard.capabilities < 128
            ),
        ),
    ),
    Case(
        "the capabilities are told again on a new connection",
        ("21",),
        (*JOINED, Say(beat()), Hear(), Drop(), Say(beat()), Hear(has=["capabilities"], flags=0)),
        over=WEBSOCKET,
    ),
    Case(
        "an error comes alone, and the next answer has none",
        ("22",),
        (
            *JOINED,
            Say(b"\x0a\x10" + b"u" * 16 + b"\xff"),
            Hear(to="", error=BAD_REQUEST),
            Say(beat()),
            Hear(lacks=["error_response"], only=[]),
        ),
    ),
    Case(
        "a first message that is repeated is answered again as it was, and counts once",
        ("23",),
        (
            Say(message(), seq=4),
            Hear(flags=FULL_STATE, has=["capabilities"]),
            Say(message(), seq=4),
            Hear(flags=FULL_STATE, has=["capabilities"]),
            Known("session.sequence_num", 4),
        ),
    ),
    Case(
        "a report that is repeated is answered again, and counts once",
        ("23",),
        (
            *OFFERED_A,
            Say(message(remote_config_status=status(A, APPLYING)), seq=2),
            Hear(),
            Say(message(remote_config_status=status(A, APPLYING)), seq=2),
            Hear(lacks=["remote_config"], flags=0),
            Known("agent.current.tries", 1),
            Say(beat(), seq=3),
            Hear(flags=0),
        ),
    ),
    *(
        Case(
            f"{what} get a readable BAD_REQUEST, and the connection stays",
            ("24",),
            (Say(data), Hear(to="", error=BAD_REQUEST), Say(full()), Hear(has=["capabilities"])),
        )
        for what, data in (
            ("bytes that are no protobuf", b"\x0a\x7fgarbage"),
            ("words that are not UTF-8", b"\x0a\x10" + b"u" * 16 + b"\x1a\x06\x0a\x04\x0a\x02\xff\xfe"),
            ("a field that ends too early", b"\x0a\x10" + b"u" * 9),
        )
    ),
    Case(
        "a web page that was sent in the place of a message is a bad request",
        ("24",),
        (Say(b"<html><body>hello</body></html>", headers=()), Hear(to="", error=BAD_REQUEST)),
        over=HTTP,
    ),
    Case(
        "of two configurations that were published only the newest waits for a poll",
        ("25",),
        (*APPLIED_A, Publish("b"), Settle(), Publish("c"), Settle(), Quiet(), Say(beat()), Hear(config=a_hash("c"))),
        over=HTTP,
    ),
    Case(
        "the server speaks first on a WebSocket",
        ("25", "44"),
        (*APPLIED_A, Publish("b"), Hear(config=B), Quiet()),
        over=WEBSOCKET,
    ),
)

IDENTITY = (
    *(
        Case(
            f"an instance uid of {length} bytes is a bad request that names its length",
            ("26", "24"),
            (
                Say(full(), uid=b"u" * length, seq=0),
                Hear(to="", error=BAD_REQUEST, says=[f"{length} bytes", "16"]),
                Say(full(), seq=0),
                Hear(has=["capabilities"]),
            ),
        )
        for length in (0, 5, 15, 17)
    ),
    Case(
        "an agent that ignores its new instance uid is served on, and not told again",
        ("29",),
        (
            Say(full(flags=REQUEST_UID)),
            Hear(has=["agent_identification"]),
            Settle(),
            Say(beat()),
            Hear(lacks=["agent_identification"], flags=0),
            Say(message(health=pb.ComponentHealth(healthy=False))),
            Hear(only=[]),
            Known("agent.health.healthy", False),
        ),
    ),
)

COMPRESSION = (
    Case(
        "a gap in the numbers is answered with a question for everything",
        ("31",),
        (*JOINED, Say(beat(), seq=7), Hear(flags=FULL_STATE), Say(full(), seq=8), Hear(flags=0)),
    ),
    Case(
        "numbers that go back are answered with a question for everything",
        ("31",),
        (
            *JOINED,
            Say(beat(), seq=1),
            Hear(only=[]),
            Say(beat(), seq=2),
            Hear(only=[]),
            Say(beat(), seq=1),
            Hear(flags=FULL_STATE),
        ),
    ),
    Case("an agent that is not known is asked for everything", ("31",), (Say(beat(), seq=40), Hear(flags=FULL_STATE))),
    Case(
        "an agent that is not known but tells everything is asked for nothing",
        ("31",),
        (Say(full(), seq=40), Hear(flags=0, has=["capabilities"])),
    ),
    *(
        Case(
            f"an agent that is not known and leaves out its {field} is asked for everything",
            ("31",),
            (Say(full(SUPERVISED, **{field: None}), seq=40), Hear(flags=FULL_STATE)),
        )
        for field in ("agent_description", "health", "effective_config", "remote_config_status")
    ),
    Case(
        "what is left out stays, and what is there replaces all of it",
        ("32",),
        (
            *OFFERED_A,
            Say(message(health=pb.ComponentHealth(healthy=False, last_error="disk", status="bad"))),
            Hear(),
            Say(beat()),
            Hear(),
            Known("agent.health.last_error", "disk"),
            Known("agent.name", "alpha"),
            Say(message(health=pb.ComponentHealth(healthy=True))),
            Hear(),
            Known("agent.health.healthy", True),
            Known("agent.health.last_error", ""),
            Known("agent.health.status", ""),
            Say(message(agent_description=described(region="eu"))),
            Hear(),
            Known("agent.non_identifying", {"region": "eu"}),
            Known("agent.health.healthy", True),
        ),
    ),
    Case(
        "statuses, components and custom capabilities that are left out stay",
        ("32",),
        (
            Say(
                full(
                    SUPERVISED | Capability.REPORTS_AVAILABLE_COMPONENTS,
                    remote_config_status=status(A, APPLIED),
                    custom_capabilities=pb.CustomCapabilities(capabilities=["x"]),
                )
            ),
            Hear(),
            Settle(),
            Say(beat(SUPERVISED | Capability.REPORTS_AVAILABLE_COMPONENTS)),
            Hear(),
            Known("agent.reported.digest", A),
            Known("agent.components", b"build-1"),
            Known("session.custom_capabilities", frozenset({"x"})),
        ),
    ),
    Case(
        "an agent that comes back with the next number is asked for nothing",
        ("33",),
        (*JOINED, Say(beat()), Hear(), Drop(), Say(beat()), Hear(flags=0), Known("agent.name", "alpha")),
    ),
    Case(
        "a server that lost everything asks for everything",
        ("33", "31"),
        (*JOINED, Say(beat()), Hear(), Forget(), Say(beat()), Hear(flags=FULL_STATE)),
    ),
    Case(
        "an agent that never tells everything is asked once, and served",
        ("34",),
        (
            Say(beat(), seq=40),
            Hear(flags=FULL_STATE),
            Say(beat(), seq=41),
            Hear(flags=0),
            Say(beat(), seq=42),
            Hear(flags=0),
            Say(message(health=pb.ComponentHealth(healthy=True)), seq=43),
            Hear(flags=0),
        ),
    ),
    Case(
        "an agent that does not count and tells everything is not asked again and again",
        ("34",),
        (
            *JOINED,
            *(step for _ in range(5) for step in (Say(full(), seq=0), Hear(flags=0))),
        ),
    ),
    Case(
        "a poll of nothing but the instance uid keeps the capabilities and the number",
        ("35",),
        (
            *JOINED,
            Say(message(0), seq=0),
            Hear(only=[]),
            Known("session.capabilities", SUPERVISED),
            Say(beat(), seq=1),
            Hear(flags=0),
        ),
        over=HTTP,
    ),
    Case(
        "a poll of nothing but the instance uid is given what is new",
        ("35", "44"),
        (*APPLIED_A, Publish("b"), Say(message(0), seq=0), Hear(config=B)),
        over=HTTP,
    ),
)

_STATUS_ONLY = int(Capability.REPORTS_STATUS)
_ANYTHING = 0xFFFF & ~int(Capability.REPORTS_AVAILABLE_COMPONENTS)
CAPABILITIES = (
    Case(
        "an agent that accepts no configuration is sent nothing of the kind",
        ("36",),
        (
            Publish("a"),
            Say(full(_STATUS_ONLY)),
            Hear(flags=0),
            Settle(),
            Say(beat(_STATUS_ONLY)),
            Hear(only=[]),
            Say(beat(_STATUS_ONLY)),
            Hear(only=[]),
            Quiet(),
        ),
    ),
    Case(
        "even an agent that accepts packages, settings and commands is not sent any that nobody asked for",
        ("36", "57", "61"),
        (
            Publish("a"),
            Say(full(_ANYTHING & ~int(Capability.REPORTS_PACKAGE_STATUSES))),
            Hear(lacks=["packages_available", "connection_settings", "command"]),
            Settle(),
            Say(beat(_ANYTHING)),
            Hear(config=A, lacks=["packages_available", "connection_settings", "command"]),
        ),
    ),
    Case(
        "an agent that stops accepting configuration is sent none, and one that starts is",
        ("37",),
        (
            Say(full()),
            Hear(),
            Settle(),
            Say(beat()),
            Hear(),
            Say(beat(_STATUS_ONLY)),
            Hear(only=[]),
            Publish("a"),
            Quiet(),
            Say(beat(_STATUS_ONLY)),
            Hear(only=[]),
            Say(beat()),
            Hear(config=A),
        ),
    ),
    Case(
        "fields and bits that are not known are ignored",
        ("38",),
        (
            Say(full(SUPERVISED | 1 << 40)),
            Hear(has=["capabilities"], flags=0),
            Settle(),
            # Field 99, a string; it stands where a newer agent would put what is not defined yet.
            Say(b"\x0a\x10" + b"u" * 16 + b"\x9a\x06\x03new"),
            Hear(to=b"u" * 16, has=["capabilities"]),
            Say(message(SUPERVISED | 1 << 40, health=pb.ComponentHealth(healthy=False))),
            Hear(only=[]),
            Known("agent.health.healthy", False),
        ),
    ),
)


@in_code("an agent that asks for an instance uid gets a UUIDv7 and goes on under it", "27", "29")
async def rename(scene: Scene) -> None:
    await Say(full(flags=REQUEST_UID)).play(scene)
    await Hear(has=["agent_identification"]).play(scene)
    new = scene.heard[-1].agent_identification.new_instance_uid
    assert len(new) == 16
    assert uuid.UUID(bytes=new).version == 7
    assert uuid.UUID(bytes=new).variant == uuid.RFC_4122
    old = scene.agent("a").uid
    assert new != old
    # The suite counts its instance uids; those of a server come from chance, and are as real.
    drawn = {uuid.UUID(bytes=SystemRandom().uuid7(NOW)) for _ in range(100)}
    assert {(one.version, one.variant) for one in drawn} == {(7, uuid.RFC_4122)}
    assert len(drawn) == 100
    await Settle().play(scene)
    scene.agent("a").uid = type(old)(new)
    await Say(message(health=pb.ComponentHealth(healthy=False))).play(scene)
    await Hear(flags=0, lacks=["agent_identification"]).play(scene)
    await Known("agent.name", "alpha").play(scene)
    await Known("agent.health.healthy", False).play(scene)
    assert scene.fleet is not None
    assert scene.fleet.agents.get(old) is None


class Twin:
    """One of two machines that were made from one image: it counts and describes itself on its own."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.name = name
        self.next_seq = 0
        self.told: list[bytes] = []

    async def speak(self, *, is_full: bool = False) -> None:
        """One message and its answer; asked for everything, it tells everything, once."""
        described_as = described(host_name=self.name)
        health = pb.ComponentHealth(healthy=True, status=f"{self.name} {self.next_seq}")
        what = full(agent_description=described_as, health=health) if is_full else message(health=health)
        await Say(what, on=self.name, seq=self.next_seq).play(self.scene)
        self.next_seq += 1
        await Hear(on=self.name).play(self.scene)
        heard = self.scene.heard[-1]
        if heard.HasField("agent_identification"):
            self.told.append(heard.agent_identification.new_instance_uid)
        if heard.flags & FULL_STATE and not is_full:
            await self.speak(is_full=True)


@in_code("two machines under one instance uid are noticed, and one of them gets another", "28")
async def duplicates(scene: Scene) -> None:
    twins = [Twin(scene, "one"), Twin(scene, "two")]
    await twins[0].speak(is_full=True)
    await scene.settle()
    for _ in range(10):
        await twins[0].speak()
    await twins[1].speak(is_full=True)
    for _ in range(8):
        for one in twins:
            scene.advance(5)
            if not any(each.told for each in twins):
                await one.speak()
    told = [uid for one in twins for uid in one.told]
    assert len(told) == 1, told
    assert uuid.UUID(bytes=told[0]).version == 7
    assert told[0] != scene.agent("a").uid


@in_code("of two links of one process the newer one is served, and the older one is closed", "28", over=WEBSOCKET)
async def second_link(scene: Scene) -> None:
    await Say(full(), on="old").play(scene)
    await Hear(on="old").play(scene)
    await scene.settle()
    await Say(beat(), on="new").play(scene)
    await Hear(on="new", flags=0, lacks=["agent_identification"]).play(scene)
    scene.advance(60)
    assert await (await scene.peer("old")).close_code() == 1001
    await Say(message(effective_config=running(b"x: y")), on="new").play(scene)
    await Hear(on="new", only=[]).play(scene)


@in_code("what the server has to say by itself comes over both transports", "25", "44")
async def by_itself(scene: Scene) -> None:
    for step in (*APPLIED_A, Publish("b"), Told(Hear(config=B))):
        await step.play(scene)


CASES = (
    *EXCHANGE,
    *IDENTITY,
    *COMPRESSION,
    *CAPABILITIES,
    rename,
    duplicates,
    second_link,
    by_itself,
)
