"""The language of the conformance suite: rules, cases, and the steps of a conversation as data.

A case is a conversation between one or several agents (`a` unless said otherwise) and a server that is whole: the real
listener, the real `Agents`, a real store. A newcomer reads it from the top:

    Case(
        "a gap in the numbers is answered with a question for everything",
        rules=("31",),
        talk=(Say(full()), Hear(), Say(beat(), seq=7), Hear(flags=FULL_STATE)),
    )

Every case runs over WebSocket and over plain HTTP unless `over` says otherwise. `Hear` reads the next message of the
server: the next frame, or the answer to the POST. It always checks the transport too: a binary message with header 0,
or status 200 with exactly the media type of OpAMP; and that the answer carries the agent's instance uid.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.connections import stored_form

if TYPE_CHECKING:
    from tests.support.conformance_scene import Scene


class Force(enum.StrEnum):
    """How binding the specification makes a rule."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Via(enum.StrEnum):
    """A transport of OpAMP."""

    WEBSOCKET = "websocket"
    HTTP = "http"


BOTH = (Via.WEBSOCKET, Via.HTTP)
WEBSOCKET = (Via.WEBSOCKET,)
HTTP = (Via.HTTP,)


@dataclass(frozen=True)
class Rule:
    """One duty.

    Attributes:
        number: `1` to `74` of the server, `A1` to `A15` of the agent.
        section: of the specification, in a few words.
        text: what it says, in our words.
        beyond: what this server does that the reference server does not; "" when both do the same.
        elsewhere: tests that show it outside of this suite, as `path::name`.
        in_part: what of it does not hold yet; "" otherwise.
        not_yet: why it does not apply yet; "" otherwise.
    """

    number: str
    force: Force
    section: str
    text: str
    beyond: str = ""
    elsewhere: tuple[str, ...] = ()
    in_part: str = ""
    not_yet: str = ""


class Step(Protocol):
    """One thing that happens in a conversation."""

    async def play(self, scene: Scene) -> None:
        """Does it; AssertionError when the server does not keep the rule."""


Code = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One conversation that shows one or more rules.

    Attributes:
        name: a sentence.
        talk: the steps; empty when `code` says it.
        server: options of the server that differ from the usual ones, see `conformance_scene.open_scene`.
        missing: the behaviour that is not there yet, so that the case must fail; "" otherwise.
    """

    name: str
    rules: tuple[str, ...]
    talk: tuple[Step, ...] = ()
    over: tuple[Via, ...] = BOTH
    server: Mapping[str, Any] = field(default_factory=dict)
    code: Code | None = None
    missing: str = ""

    async def play(self, scene: Scene) -> None:
        """The whole conversation."""
        for step in self.talk:
            await step.play(scene)
        if self.code is not None:
            await self.code(scene)


def in_code(
    name: str, *rules: str, over: tuple[Via, ...] = BOTH, missing: str = "", **server: Any
) -> Callable[[Code], Case]:
    """A decorator: the case is the function, for what steps cannot say."""
    return lambda code: Case(name, rules, over=over, server=server, code=code, missing=missing)


# ── Messages of agents ──────────────────────────────────────────────────────────────────────────────────────────────

SUPERVISED = int(
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_HEALTH
    | Capability.REPORTS_REMOTE_CONFIG
)
"""What most agents of the suite declare."""
APPLIED, APPLYING, FAILED = 1, 2, 3
FULL_STATE, COMPONENTS = 1, 2
BAD_REQUEST, UNAVAILABLE = 1, 2


def message(capabilities: int = SUPERVISED, **fields: Any) -> pb.AgentToServer:
    """A message; the sender's instance uid and number are filled in when it is said."""
    return pb.AgentToServer(capabilities=capabilities, **fields)


def beat(capabilities: int = SUPERVISED) -> pb.AgentToServer:
    """A heartbeat: nothing but who and what the agent is."""
    return message(capabilities)


def described(**attributes: str) -> pb.AgentDescription:
    """A description with these non-identifying attributes (`_` stands for a dot)."""
    return pb.AgentDescription(
        identifying_attributes=[_text("service.name", "otelcol")],
        non_identifying_attributes=[_text(name.replace("_", "."), value) for name, value in attributes.items()],
    )


def _text(key: str, value: str) -> anyvalue.KeyValue:
    return anyvalue.KeyValue(key=key, value=anyvalue.AnyValue(string_value=value))


def full(capabilities: int = SUPERVISED, **fields: Any) -> pb.AgentToServer:
    """A full status report: all that these capabilities promise. A field that is None is left out."""
    promised: dict[str, Any] = {"agent_description": described(host_name="alpha")}
    if capabilities & Capability.REPORTS_HEALTH:
        promised["health"] = pb.ComponentHealth(healthy=True)
    if capabilities & Capability.REPORTS_EFFECTIVE_CONFIG:
        promised["effective_config"] = running(b"")
    if capabilities & Capability.REPORTS_REMOTE_CONFIG:
        promised["remote_config_status"] = pb.RemoteConfigStatus()
    if capabilities & Capability.REPORTS_AVAILABLE_COMPONENTS:
        promised["available_components"] = pb.AvailableComponents(hash=b"build-1")
    promised |= fields
    return message(capabilities, **{name: value for name, value in promised.items() if value is not None})


def status(config_hash: bytes, state: int, error: str = "") -> pb.RemoteConfigStatus:
    """What became of a configuration."""
    return pb.RemoteConfigStatus(last_remote_config_hash=config_hash, status=state, error_message=error)  # type: ignore[arg-type]  # a number of the wire


def running(body: bytes) -> pb.EffectiveConfig:
    """The configuration that runs."""
    entry = pb.AgentConfigObject(body=body, content_type="text/yaml")
    return pb.EffectiveConfig(config_map=pb.AgentConfigMap(config_map={"": entry}))


# ── Steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Say:
    """An agent says something.

    Attributes:
        what: a message, or bytes in the place of one.
        by: the agent.
        on: the connection; each name is a socket of its own.
        seq: the number of the message; None: one more than before.
        uid: instead of the agent's own.
        headers: of the POST, beyond the usual ones.
        via: the transport, when it is not that of the run.
    """

    what: pb.AgentToServer | bytes
    by: str = "a"
    on: str = "main"
    seq: int | None = None
    uid: bytes | None = None
    headers: Sequence[str] = ()
    via: Via | None = None

    async def play(self, scene: Scene) -> None:
        body = self.what
        if isinstance(body, pb.AgentToServer):
            body = scene.agent(self.by).sign(body, self.seq, self.uid)
        await (await scene.peer(self.on, self.via)).say(body, self.headers)


@dataclass(frozen=True)
class Hear:
    """The next message of the server.

    Attributes:
        to: the agent whose instance uid it must carry, or that uid; "" for none.
        only: exactly these fields are set, beside the instance uid.
        has, lacks: fields that are set, and fields that are not.
        flags: all flags.
        error: type of the error; the message then has nothing else, and words for people.
        config: hash of the configuration that is offered; `b""` for none at all.
        says: all of these words are in the error.
        that: whatever else must hold of the message.
    """

    to: str | bytes = "a"
    on: str = "main"
    only: Iterable[str] | None = None
    has: Iterable[str] = ()
    lacks: Iterable[str] = ()
    flags: int | None = None
    error: int | None = None
    config: bytes | None = None
    says: Iterable[str] = ()
    that: Callable[[pb.ServerToAgent], object] | None = None
    via: Via | None = None

    async def play(self, scene: Scene) -> None:
        heard = await (await scene.peer(self.on, self.via)).hear()
        scene.heard.append(heard)
        self.check(heard, scene.uid(self.to))

    def check(self, heard: pb.ServerToAgent, uid: bytes) -> None:
        """Raises AssertionError when the message is not as it must be."""
        fields = {one.name for one, _ in heard.ListFields()} - {"instance_uid"}
        assert heard.instance_uid == uid, f"for {heard.instance_uid.hex()}, not {uid.hex()}: {heard}"
        if self.only is not None:
            assert fields == set(self.only), heard
        assert fields >= set(self.has), heard
        assert not fields & set(self.lacks), heard
        if self.flags is not None:
            assert heard.flags == self.flags, heard
        if self.error is None:
            assert "error_response" not in fields, heard
        else:
            assert fields == {"error_response"}, heard
            assert heard.error_response.type == self.error, heard
            assert len(heard.error_response.error_message) > 10, heard
            assert all(one in heard.error_response.error_message for one in self.says), heard
        if self.config is not None:
            assert heard.remote_config.config_hash == self.config, heard
            assert heard.HasField("remote_config") == bool(self.config), heard
        if self.that is not None:
            assert self.that(heard), heard


@dataclass(frozen=True)
class Told:
    """What the server wants to say by itself: on a WebSocket it comes, over HTTP it is the answer to the next poll."""

    expected: Hear
    poll: pb.AgentToServer = field(default_factory=beat)

    async def play(self, scene: Scene) -> None:
        if scene.via is Via.HTTP:
            await scene.settle()
            await Say(self.poll, by=str(self.expected.to), on=self.expected.on).play(scene)
        await self.expected.play(scene)


@dataclass(frozen=True)
class Only:
    """Steps for one transport alone."""

    via: Via
    talk: tuple[Step, ...]

    async def play(self, scene: Scene) -> None:
        if scene.via is self.via:
            for step in self.talk:
                await step.play(scene)


@dataclass(frozen=True)
class Restart:
    """Somebody tells an agent to restart."""

    of: str = "a"

    async def play(self, scene: Scene) -> None:
        scene.command_restart(self.of)


@dataclass(frozen=True)
class Quiet:
    """Nothing more has come: on a WebSocket a ping is answered next, over HTTP no answer is left."""

    on: str = "main"

    async def play(self, scene: Scene) -> None:
        await scene.settle()
        await (await scene.peer(self.on)).nothing_waits()


@dataclass(frozen=True)
class Settle:
    """The server does what it has queued: it loads what is stored of the agents and decides about them."""

    async def play(self, scene: Scene) -> None:
        await scene.settle()


@dataclass(frozen=True)
class Publish:
    """A configuration for every agent; its text stands for it. None: for nobody.

    Attributes:
        connection: what a target.yaml says below that key; "" for nothing.
    """

    text: str | None = "a"
    connection: str = ""

    async def play(self, scene: Scene) -> None:
        if self.connection:
            scene.publish(self.text, connection=stored_form(self.connection))
        else:
            scene.publish(self.text)


@dataclass(frozen=True)
class Later:
    """Time passes, and the server looks for agents that are silent."""

    seconds: float

    async def play(self, scene: Scene) -> None:
        scene.advance(self.seconds)


@dataclass(frozen=True)
class Drop:
    """The agent's connection breaks, without a goodbye; what it says next is on a new one."""

    on: str = "main"

    async def play(self, scene: Scene) -> None:
        await scene.drop(self.on)


@dataclass(frozen=True)
class Forget:
    """The server ends and another one takes its place, with the same database; agents connect again."""

    async def play(self, scene: Scene) -> None:
        await scene.restart()


@dataclass(frozen=True)
class Known:
    """What the server knows of an agent: a path of attributes below its `ConnectedAgent`, and the value there."""

    path: str
    value: object
    of: str = "a"

    async def play(self, scene: Scene) -> None:
        await scene.settle()
        found = scene.known(self.of, self.path)
        assert found == self.value, f"{self.path} is {found!r}, not {self.value!r}"


@dataclass(frozen=True)
class Counted:
    """The server recorded a fault of this code, once."""

    code: str

    async def play(self, scene: Scene) -> None:
        assert scene.faults() == {self.code: 1}, scene.faults()


# ── Steps for raw bytes ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Write:
    """Raw bytes on the socket; on a WebSocket after its opening, which happens by itself."""

    data: bytes
    on: str = "main"

    async def play(self, scene: Scene) -> None:
        (await scene.peer(self.on)).write(self.data)


@dataclass(frozen=True)
class WriteRequest:
    """Raw bytes in the place of a request, on a socket that was not used yet."""

    data: bytes
    on: str = "main"

    async def play(self, scene: Scene) -> None:
        (await scene.peer(self.on, Via.HTTP)).write(self.data)


@dataclass(frozen=True)
class Post:
    """A POST of a signed message, its body and headers changed on the way."""

    what: pb.AgentToServer
    headers: Sequence[str] = ()
    encode: Callable[[bytes], bytes] = bytes
    content_type: str = "application/x-protobuf"

    async def play(self, scene: Scene) -> None:
        body = self.encode(scene.agent("a").sign(self.what))
        (await scene.peer("main", Via.HTTP)).post(body, self.headers, self.content_type)


@dataclass(frozen=True)
class Status:
    """The next response has this status, these headers, and these words in its body."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    absent: Iterable[str] = ()
    words: str = ""
    on: str = "main"

    async def play(self, scene: Scene) -> None:
        response = await (await scene.peer(self.on, Via.HTTP)).response()
        assert response.status == self.code, (response.status, response.body)
        for name, value in self.headers.items():
            assert response.headers.get(name) == value, response.headers
        assert not set(self.absent) & set(response.headers), response.headers
        assert self.words in response.body.decode("utf-8", "replace"), response.body


@dataclass(frozen=True)
class Closes:
    """The server closes the WebSocket with this code, and the socket."""

    code: int
    on: str = "main"

    async def play(self, scene: Scene) -> None:
        assert await (await scene.peer(self.on)).close_code() == self.code


@dataclass(frozen=True)
class Frame:
    """The next frame is this one, byte for byte."""

    first: int
    payload: bytes

    async def play(self, scene: Scene) -> None:
        assert await (await scene.peer("main")).frame() == (self.first, self.payload)
