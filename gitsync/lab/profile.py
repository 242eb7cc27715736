"""What kinds of agents the lab simulates: labels, transport and fault of each, reproducible from a seed."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from gitsync.ids import AgentUid
from gitsync.opamp.messages import Capability

SUPERVISED = (
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_HEALTH
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_HEARTBEAT
    | Capability.ACCEPTS_RESTART_COMMAND
)
"""What a supervisor with remote configuration switched on declares."""
SDK = Capability.REPORTS_STATUS | Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG


class Transport(enum.StrEnum):
    """How an agent talks."""

    WEBSOCKET = "websocket"
    HTTP = "http"


class Fault(enum.StrEnum):
    """What is wrong with an agent.

    none: nothing. slow: applies after three seconds. fails: every configuration after its first one fails. silent:
    never answers an offer. flaps: drops its connection every few seconds. read-only: remote configuration is off.
    degraded: it runs everything that it is given, and its exporter reaches nobody. pretends: it says that it applied
    everything, and goes on running what it ran.

    Quirks of real clients, which a server must bear. repeats-numbers: it says each number three times, and then
    jumps. skips-numbers: every other number is missing. no-goodbye: it goes without a word. double-goodbye: on a
    WebSocket it says goodbye twice. keeps-uid: asks for an instance uid and ignores the one it gets. no-header: its
    WebSocket messages have no header, as before 2023. reconnects: connects anew on each offer of connection settings.
    overwrites: pretends with the first offer on each connection, as a supervisor that is still starting may do.
    """

    NONE = "none"
    SLOW = "slow"
    FAILS = "fails"
    SILENT = "silent"
    FLAPS = "flaps"
    READ_ONLY = "read-only"
    DEGRADED = "degraded"
    PRETENDS = "pretends"
    REPEATS_NUMBERS = "repeats-numbers"
    SKIPS_NUMBERS = "skips-numbers"
    NO_GOODBYE = "no-goodbye"
    DOUBLE_GOODBYE = "double-goodbye"
    KEEPS_UID = "keeps-uid"
    NO_HEADER = "no-header"
    RECONNECTS = "reconnects"
    OVERWRITES = "overwrites"


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """One simulated agent.

    Attributes:
        build: types of components that its build contains, by section; empty: it does not tell.
    """

    uid: AgentUid
    name: str
    service: str
    labels: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = Transport.WEBSOCKET
    fault: Fault = Fault.NONE
    build: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def capabilities(self) -> int:
        """What it declares."""
        bits = SUPERVISED if self.service.startswith("otelcol") else SDK
        if self.fault is Fault.READ_ONLY:
            bits &= ~Capability.ACCEPTS_REMOTE_CONFIG
        elif self.fault is Fault.RECONNECTS:
            bits |= Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | Capability.REPORTS_CONNECTION_SETTINGS_STATUS
        if self.build:
            bits |= Capability.REPORTS_AVAILABLE_COMPONENTS
        return int(bits)


LABEL_SETS: Sequence[tuple[str, Mapping[str, str], int]] = (
    (
        "otelcol-agent",
        {"role": "agent", "deployment.environment.name": "prod", "cloud.region": "eu-west-1"},
        4,
    ),
    (
        "otelcol-agent",
        {"role": "agent", "deployment.environment.name": "prod", "cloud.region": "us-east-1"},
        4,
    ),
    (
        "otelcol-agent",
        {"role": "agent", "deployment.environment.name": "dev", "cloud.region": "eu-west-1"},
        3,
    ),
    ("otelcol-agent", {"role": "agent", "deployment.environment.name": "staging"}, 2),
    ("otelcol-gateway", {"role": "gateway", "deployment.environment.name": "prod"}, 1),
    ("checkout", {"telemetry.sdk.language": "python", "deployment.environment.name": "prod"}, 1),
)
"""Service name, labels and share: what `examples/config-repo` has targets for."""


def make_profiles(
    count: int, *, seed: int = 1, http_share: float = 0.2, faults: Mapping[Fault, int] | None = None
) -> list[AgentProfile]:
    """That many agents, the same ones for the same seed.

    Args:
        http_share: of the agents, 0 to 1, that poll by plain HTTP.
        faults: how many agents have which fault; the rest has none.

    Raises:
        ValueError: more faults than agents, or no share.
    """
    if not 0 <= http_share <= 1:
        raise ValueError(f"a share is from 0 to 1, not {http_share}")
    random = Random(seed)  # noqa: S311 - simulated agents need no secrets
    wanted = [fault for fault, number in (faults or {}).items() for _ in range(number)]
    if len(wanted) > count:
        raise ValueError(f"{len(wanted)} faults for {count} agents")
    kinds = random.choices(LABEL_SETS, weights=[share for _, _, share in LABEL_SETS], k=count)
    kinds[: len(LABEL_SETS)] = LABEL_SETS[:count]  # each kind is there when there is room
    # Faults go to the kind that most commits change, the last ones first.
    order = sorted(range(count), key=lambda number: (kinds[number][1].get("role") != "agent", -number))
    faulty = dict(zip(order, wanted, strict=False))
    profiles: list[AgentProfile] = []
    for number, (service, labels, _) in enumerate(kinds):
        bits = random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (7 << 76) | (2 << 62)
        profiles.append(
            AgentProfile(
                uid=AgentUid(uuid.UUID(int=bits).bytes),
                name=f"lab-{number:05d}",
                service=service,
                labels=labels,
                transport=_transport(number, http_share),
                fault=faulty.get(number, Fault.NONE),
            )
        )
    return profiles


def _transport(number: int, http_share: float) -> Transport:
    """Spread evenly: each run of agents has the share of HTTP ones, as far as whole agents can have it."""
    polls = int((number + 1) * http_share + 1e-9) > int(number * http_share + 1e-9)
    return Transport.HTTP if polls else Transport.WEBSOCKET
