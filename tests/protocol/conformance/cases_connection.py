"""Rules 45 to 50, 64, 65, 71, 72: connection settings, commands, custom messages, a server with too much to do."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gitsync.errors import Conflict
from gitsync.fleet.agent import Agent
from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.protocol.conformance.cases_exchange import APPLIED_A, JOINED, A, B
from tests.protocol.conformance.cases_lifecycle import GOODBYE
from tests.support.conformance import (
    APPLIED,
    SUPERVISED,
    UNAVAILABLE,
    WEBSOCKET,
    Case,
    Drop,
    Forget,
    Hear,
    Known,
    Later,
    Only,
    Publish,
    Quiet,
    Restart,
    Say,
    Settle,
    Step,
    Told,
    Via,
    beat,
    full,
    in_code,
    message,
    status,
)
from tests.support.conformance_scene import Scene
from tests.support.connections import LOGS, METRICS
from tests.support.rawpeer import post, upgrade

MOVE = 'opamp: {endpoint: "ws://localhost:4320/v1/opamp", heartbeat: 60s}'
OTHER = 'other: {db: {endpoint: "db:5432"}}'
MOVABLE = SUPERVISED | int(Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | Capability.REPORTS_HEARTBEAT)
OWN = SUPERVISED | int(
    Capability.REPORTS_OWN_METRICS | Capability.REPORTS_OWN_LOGS | Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS
)
TELLING = OWN | int(Capability.REPORTS_CONNECTION_SETTINGS_STATUS)
RESTARTABLE = SUPERVISED | int(Capability.ACCEPTS_RESTART_COMMAND)


def runs(bits: int) -> pb.AgentToServer:
    """A full status report of an agent that runs the text `a` already."""
    return full(bits, remote_config_status=status(A, APPLIED))


def here(bits: int) -> tuple[Step, ...]:
    """An agent with these capabilities, which is known, runs what it should, and may be offered things."""
    return (
        Say(runs(bits)),
        Hear(lacks=["connection_settings", "command"]),
        Settle(),
        Only(Via.WEBSOCKET, (Say(beat(bits)), Hear(only=[]))),
    )


def reports(settings_hash: bytes, bits: int = TELLING) -> pb.AgentToServer:
    """What became of connection settings."""
    found = pb.ConnectionSettingsStatus(last_connection_settings_hash=settings_hash, status=APPLIED)  # type: ignore[arg-type]  # a number of the wire
    return message(bits, connection_settings_status=found)


def offers(*names: str) -> Hear:
    """Connection settings are offered, of exactly these sections, under a hash."""
    return Hear(
        only=["connection_settings"],
        that=lambda heard: (
            {one.name for one, _ in heard.connection_settings.ListFields()} == {"hash", *names}
            and len(heard.connection_settings.hash) == 32
        ),
    )


CONNECTION = (
    Case(
        "own telemetry is offered first, and again when it changed, and not otherwise",
        ("49", "45"),
        (
            Publish("a", METRICS),
            *here(OWN),
            Told(offers("own_metrics"), poll=beat(OWN)),
            Say(beat(OWN)),
            Hear(only=[]),
            Publish("a", METRICS),
            Quiet(),
            Say(beat(OWN)),
            Hear(only=[]),
            Publish("a", f"{METRICS}\n{LOGS}"),
            Told(offers("own_metrics", "own_logs"), poll=beat(OWN)),
            Quiet(),
        ),
    ),
    Case(
        "what did not change is left out of an offer",
        ("45",),
        (
            Publish("a", METRICS),
            *here(OWN),
            Told(offers("own_metrics"), poll=beat(OWN)),
            Publish("a", f"{METRICS}\n{OTHER}"),
            Told(offers("other_connections"), poll=beat(OWN)),
            Quiet(),
        ),
    ),
    Case(
        "settings are not repeated to an agent that says nothing of them, even after a restart of the server",
        ("46", "49"),
        (
            Publish("a", METRICS),
            *here(OWN),
            Told(offers("own_metrics"), poll=beat(OWN)),
            Forget(),
            Say(runs(OWN)),
            Hear(lacks=["connection_settings"]),
            Settle(),
            Say(beat(OWN)),
            Hear(only=[]),
            Say(beat(OWN)),
            Hear(only=[]),
            Quiet(),
        ),
    ),
    Case(
        "an offer for OpAMP itself names the endpoint and the heartbeat",
        ("47", "50"),
        (
            Publish("a", MOVE),
            *here(MOVABLE),
            Told(
                Hear(
                    only=["connection_settings"],
                    that=lambda heard: (
                        heard.connection_settings.opamp.destination_endpoint == "ws://localhost:4320/v1/opamp"
                        and heard.connection_settings.opamp.heartbeat_interval_seconds == 60
                    ),
                ),
                poll=beat(MOVABLE),
            ),
        ),
    ),
    Case(
        "nobody is offered settings that it does not declare to take",
        ("36",),
        (
            Publish("a", f"{MOVE}\n{METRICS}\n{OTHER}"),
            *here(SUPERVISED),
            Say(beat()),
            Hear(only=[]),
            Quiet(),
        ),
    ),
    Case(
        "the interval that an agent took decides when it counts as silent",
        ("50",),
        (
            Publish("a", MOVE),
            *here(MOVABLE),
            Told(offers("opamp"), poll=beat(MOVABLE)),
            Known("session.heartbeat_seconds", 30),
            # It does as it was told: a goodbye, a new connection, and its numbers begin anew.
            Say(message(MOVABLE, agent_disconnect=pb.AgentDisconnect())),
            Hear(),
            Drop(),
            Say(runs(MOVABLE), seq=0),
            Hear(lacks=["connection_settings"]),
            Settle(),
            Say(beat(MOVABLE)),
            Hear(only=[]),
            Known("session.heartbeat_seconds", 60),
            Later(150),
            Known("connected", True),
            Later(60),
            Known("connected", False),
        ),
    ),
    Case(
        "without an offered interval silence begins after the usual time",
        ("50",),
        (*here(MOVABLE), Later(150), Known("connected", False)),
    ),
)


@in_code("an agent that reports other settings than the offered ones gets them again", "46", "45")
async def other_settings(scene: Scene) -> None:
    for step in (Publish("a", METRICS), *here(TELLING), Told(offers("own_metrics"), poll=beat(TELLING))):
        await step.play(scene)
    first = scene.heard[-1].connection_settings
    for step in (Say(reports(first.hash)), Hear(only=[]), Say(beat(TELLING)), Hear(only=[]), Quiet()):
        await step.play(scene)
    await Say(reports(b"others")).play(scene)
    for step in (
        (Hear(only=[]), Told(offers("own_metrics"))) if scene.via is Via.WEBSOCKET else (offers("own_metrics"),)
    ):
        await step.play(scene)
    assert scene.heard[-1].connection_settings == first
    for step in (Say(reports(first.hash)), Hear(only=[]), Publish("a", f"{METRICS}\n{LOGS}")):
        await step.play(scene)
    await Told(offers("own_metrics", "own_logs"), poll=beat(TELLING)).play(scene)
    assert scene.heard[-1].connection_settings.hash != first.hash


COMMANDS = (
    Case(
        "a restart command travels alone, even when there is a configuration to offer",
        ("64",),
        (
            *here(RESTARTABLE),
            Only(Via.HTTP, (Say(beat(RESTARTABLE)), Hear(only=[]))),
            Restart(),
            Told(Hear(only=["command"], that=lambda heard: heard.command.type == 0), poll=beat(RESTARTABLE)),
            Publish("b"),
            Told(Hear(config=B, lacks=["command"]), poll=beat(RESTARTABLE)),
            Quiet(),
        ),
    ),
    Case(
        "a command that waits for a poll goes before the configuration that waits, too",
        ("64", "25"),
        (
            *here(RESTARTABLE),
            Say(beat(RESTARTABLE)),
            Hear(only=[]),
            Restart(),
            Only(Via.WEBSOCKET, (Hear(only=["command"]),)),
            Publish("b"),
            Only(Via.HTTP, (Say(beat(RESTARTABLE)), Hear(only=["command"]))),
            Told(Hear(config=B, lacks=["command"]), poll=beat(RESTARTABLE)),
        ),
    ),
)


@in_code("an agent that does not accept the restart command is not sent one", "64", "36")
async def no_restart(scene: Scene) -> None:
    for step in (*here(SUPERVISED), Say(beat()), Hear(only=[])):
        await step.play(scene)
    with pytest.raises(Conflict, match="AcceptsRestartCommand"):
        scene.command_restart("a")
    for step in (Quiet(), Say(beat()), Hear(only=[])):
        await step.play(scene)


class Echo:
    """An extension that says back what it is told, and does not know the type `what?`."""

    capability = "org.example.echo"

    def started(self, sender: object) -> None:
        """Nothing to prepare."""

    def connected(self, agent: Agent) -> None:
        """Nobody is greeted."""

    def gone(self, agent: Agent) -> None:
        """Nobody is missed."""

    def received(self, agent: Agent, type: str, data: bytes) -> Iterable[tuple[str, bytes]] | None:  # noqa: A002
        return None if type == "what?" else [(type, data[::-1])]


def custom(capability: str, kind: str, data: bytes) -> pb.AgentToServer:
    """A custom message of an agent."""
    return message(custom_message=pb.CustomMessage(capability=capability, type=kind, data=data))


_LISTED = pb.CustomCapabilities(capabilities=[Echo.capability])
CUSTOM = (
    Case(
        "a custom message reaches who serves its capability, and is answered",
        ("65",),
        (
            Say(full(custom_capabilities=_LISTED)),
            Hear(that=lambda heard: Echo.capability in heard.custom_capabilities.capabilities),
            Settle(),
            Say(beat()),
            Hear(only=[]),
            Say(custom(Echo.capability, "t", b"abc")),
            Hear(
                only=["custom_message"],
                that=lambda heard: (
                    (heard.custom_message.capability, heard.custom_message.type, heard.custom_message.data)
                    == (Echo.capability, "t", b"cba")
                ),
            ),
            Say(custom(Echo.capability, "what?", b"")),
            Hear(only=[]),
        ),
        server={"extensions": [Echo]},
    ),
    Case(
        "an agent that does not list a capability is sent no message of it",
        ("65", "36"),
        (
            Say(full()),
            Hear(),
            Settle(),
            Say(custom(Echo.capability, "t", b"abc")),
            Hear(only=[]),
            Say(full(custom_capabilities=_LISTED)),
            Hear(),
            Say(full(custom_capabilities=pb.CustomCapabilities())),
            Hear(),
            Say(custom(Echo.capability, "t", b"abc")),
            Hear(only=[]),
        ),
        server={"extensions": [Echo]},
    ),
)

OVERLOAD = (
    Case(
        "who says too much on a WebSocket is told UNAVAILABLE and a time of 30 s or more",
        ("71",),
        (
            *(step for _ in range(10) for step in (Say(full()), Hear())),
            Say(beat()),
            Hear(error=UNAVAILABLE, that=lambda heard: _waits(heard) >= 30),
        ),
        over=WEBSOCKET,
        server={"agents": {"message_rate": 1.0}},
    ),
    Case(
        "an agent that goes leaves nothing behind that would be sent to the next one of its connection",
        ("71", "67"),
        (*APPLIED_A, Say(GOODBYE), Hear(), Publish("b"), Say(full(), by="b"), Hear(to="b", config=b""), Quiet()),
    ),
)


def _waits(heard: pb.ServerToAgent) -> float:
    return float(heard.error_response.retry_info.retry_after_nanoseconds) / 1e9


@in_code(
    "over the rate of new connections the server says 503 and a time of 30 s or more",
    "72",
    listener={"connect_rate": 1.0, "connect_burst": 2},
)
async def crowd(scene: Scene) -> None:
    for step in JOINED:
        await step.play(scene)
    await Say(full(), by="b", on="second").play(scene)
    await Hear(to="b", on="second").play(scene)
    peer = await scene.peer("third", Via.HTTP)
    peer.write(upgrade() if scene.via is Via.WEBSOCKET else post(scene.agent("c").sign(full())))
    response = await peer.raw.response()
    assert response.status == 503
    assert int(response.headers["retry-after"]) >= 30
    await Say(beat()).play(scene)
    await Hear(only=[]).play(scene)


CASES = (
    *CONNECTION,
    *COMMANDS,
    *CUSTOM,
    *OVERLOAD,
    other_settings,
    no_restart,
    crowd,
)
