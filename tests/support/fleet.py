"""`Agents` on a real store, with links that record what is written; no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gitsync.bundle.version import Payload, TargetVersion
from gitsync.control.agents import AgentOptions, Agents
from gitsync.control.connected import ConnectedAgent
from gitsync.control.extensions import Extension, Extensions
from gitsync.control.meters import Meters
from gitsync.control.ports import Random, Secrets
from gitsync.control.published import Published
from gitsync.opamp.client import ClientState, ClientStep, ReceivedConfig
from gitsync.opamp.messages import ComponentHealth, ConfigStatus, EffectiveObject
from gitsync.store import Journal, JournalLimits, SqlStore, StoreOptions
from tests.support.builders import SUPERVISOR, a_desired, a_payload, a_uid
from tests.support.clock import FixedRandom, ManualClock


class RecordingLink:
    """One socket (or one POST) that keeps what was written to it."""

    def __init__(self, transport: str = "websocket", remote_addr: str = "127.0.0.1:5000") -> None:
        self.transport = transport
        self.remote_addr = remote_addr
        self.is_open = transport == "websocket"
        self.sent: list[bytes] = []
        self.closed_with: int | None = None
        self.pings = 0
        self.paused_for: list[float] = []

    def send(self, parts: Sequence[bytes], *, is_config: bool = False) -> None:
        self.sent.append(b"".join(parts))

    def ping(self) -> None:
        self.pings += 1

    def pause(self, seconds: float) -> None:
        self.paused_for.append(seconds)

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code
        self.is_open = False


class TestAgent:
    """The agent's side of one conversation."""

    __test__ = False

    def __init__(
        self,
        fleet: FleetUnderTest,
        labels: Mapping[str, str] | None = None,
        *,
        number: int = 1,
        transport: str = "websocket",
        service: str = "otelcol",
        capabilities: int = int(SUPERVISOR),
        custom: Sequence[str] = (),
    ) -> None:
        self._fleet = fleet
        self.uid = a_uid(number)
        self.transport = transport
        self.address = "127.0.0.1:5000"
        self.link = RecordingLink(transport)
        self.steps: list[ClientStep] = []
        self.client = ClientState(
            self.uid,
            {"service.name": service},
            labels or {},
            capabilities,
            custom_capabilities=custom,
            health=ComponentHealth(healthy=True),
        )

    @property
    def live(self) -> ConnectedAgent:
        """What the server knows."""
        one = self._fleet.agents.get(self.uid)
        assert one is not None
        return one

    @property
    def configs(self) -> list[ReceivedConfig]:
        """Every configuration that it was offered."""
        return [one.config for one in self.steps if one.config is not None]

    def connect(self) -> TestAgent:
        """A new link and the first message on it."""
        self.link = RecordingLink(self.transport, self.address)
        self._fleet.agents.opened(self.link)
        self.say(self.client.first_message())
        return self

    def say(self, message: bytes) -> None:
        """One message and its answer; then whatever the server pushed."""
        if not message:
            return
        if self.transport == "http":
            self.link = RecordingLink("http", self.address)
            self._fleet.agents.opened(self.link)
        answer = b"".join(self._fleet.agents.receive(self.link, message))
        if self.transport == "http":
            self._fleet.agents.closed(self.link)
        if answer:
            self._take(answer)
        self.hear()

    def hear(self) -> None:
        """Takes what the server has pushed since."""
        sent, self.link.sent = self.link.sent, []
        for data in sent:
            self._take(data)

    def _take(self, data: bytes) -> None:
        step = self.client.receive(data, 0.0)
        self.steps.append(step)
        for message in step.outgoing:
            self.say(message)

    def beat(self) -> None:
        """A heartbeat, or a poll."""
        self.say(self.client.heartbeat())

    def apply(self) -> None:
        """Applies the newest configuration as a healthy supervisor does."""
        config = self.configs[-1]
        self.say(self.client.report_status(config.config_hash, ConfigStatus.APPLYING))
        bodies = {"": EffectiveObject(next(iter(config.objects.values())).body)}
        self.say(self.client.report_effective(bodies))
        self.say(self.client.report_status(config.config_hash, ConfigStatus.APPLIED))

    def fail(self, error: str = "exit code 1") -> None:
        """Fails on the newest configuration."""
        self.say(self.client.report_status(self.configs[-1].config_hash, ConfigStatus.FAILED, error))


class FleetUnderTest:
    """`Agents` with everything around it."""

    def __init__(self, agents: Agents, store: SqlStore, journal: Journal, clock: ManualClock, meters: Meters) -> None:
        self.agents = agents
        self.store = store
        self.journal = journal
        self.clock = clock
        self.meters = meters

    def publish(self, *versions: TargetVersion, texts: Sequence[str] = ()) -> None:
        """Puts these versions in effect; `texts` are payloads' texts beyond `a` and `b`."""
        payloads: dict[bytes, Payload] = {}
        for text in ("a", "b", "c", *texts):
            payload = a_payload(text)
            payloads[payload.digest] = payload
        needed = {digest for one in versions for digest in one.slots.values()}
        kept = {digest: one for digest, one in payloads.items() if digest in needed}
        self.agents.set_published(Published(a_desired(*versions), kept))  # type: ignore[arg-type]

    async def read_secrets(self) -> None:
        """Reads the secrets of connection settings now, instead of at the next turn."""
        await self.agents._connections.refresh()

    async def settle(self) -> None:
        """Lets the tasks do all that is queued."""
        for _ in range(3):
            await until_idle(self.agents)
            await asyncio.sleep(0)


def connected_count(agents: Agents) -> int:
    """Agents that are connected to this process now."""
    return sum(agents.counts().values())


async def until_idle(agents: Agents) -> None:
    """Waits until nothing is queued by uid."""
    async with asyncio.timeout(10):
        while not agents.idle:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.005)


@asynccontextmanager
async def a_fleet(
    path: Path,
    clock: ManualClock | None = None,
    *,
    options: AgentOptions | None = None,
    secrets: Secrets | None = None,
    extensions: Sequence[Extension] = (),
    random: Random | None = None,
    limits: JournalLimits | None = None,
) -> AsyncIterator[FleetUnderTest]:
    """A fleet on a SQLite store at `path`, with its tasks running."""
    clock = clock or ManualClock()
    meters = Meters()
    async with await SqlStore.open(StoreOptions(f"sqlite:///{path}")) as store:
        journal = Journal(store, clock.now, limits)
        served = Extensions(extensions, meters, clock)
        made = options or AgentOptions("replica-1")
        agents = Agents(made, store, journal, meters, clock, random or FixedRandom(), secrets, served)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(agents.run(), name="agents")
            try:
                yield FleetUnderTest(agents, store, journal, clock, meters)
            finally:
                running.cancel()
        await journal.flush()
