"""`Agent`: everything that is known of one agent and decides what it gets."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar, cast

from gitsync.fleet.connection import AgentConnection
from gitsync.ids import AgentUid, ConfigHash, TargetId
from gitsync.labels import RankedLabels
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus, PackagesReported

STOP = ConfigHash(hashlib.sha256(b"gitsync.stop.v1\0").digest())
"""Stands for the empty configuration, which stops a Collector; sent only to free a stuck supervisor."""
FAILED_KEPT = 20
"""How many failed payloads an agent remembers, newest first."""


class AttemptState(enum.StrEnum):
    """How far one offer came on one agent."""

    OFFERED = "offered"
    APPLYING = "applying"
    APPLIED = "applied"
    PROVEN = "proven"
    FAILED = "failed"
    NO_ANSWER = "no_answer"

    @property
    def is_open(self) -> bool:
        """Whether an answer may still come."""
        return self in (AttemptState.OFFERED, AttemptState.APPLYING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One payload on its way to one agent.

    Attributes:
        revision: publication that the offer was made from.
        tries: how often it was put on the wire.
        repeated: the agent had said that it applied it, did not run it, and was offered it once more.
        is_due: it has waited long enough: to be tried once more, or to be given up when it was `repeated`.
    """

    digest: ConfigHash
    revision: int
    state: AttemptState
    offered_at: datetime
    changed_at: datetime
    error: str = ""
    tries: int = 1
    applying_at: datetime | None = None
    applied_at: datetime | None = None
    healthy_at: datetime | None = None
    failed_at: datetime | None = None
    repeated: bool = False
    is_due: bool = False


class CommandState(enum.StrEnum):
    """How far a command to an agent came; OpAMP has no result, so the last two are inferred."""

    REQUESTED = "requested"
    SENT = "sent"
    RESTARTED = "restarted"
    NO_SIGN = "no-sign"

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it."""
        return self in (CommandState.REQUESTED, CommandState.SENT)


@dataclass(frozen=True, slots=True)
class Restart:
    """The newest restart command to one agent.

    Attributes:
        sign: what shows that it restarted, or why nothing was sent; may be empty.
        reconnected: it has opened a new connection since the command was sent, and said nothing of itself there yet.
    """

    state: CommandState
    requested_at: datetime
    changed_at: datetime
    sign: str = ""
    reconnected: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """The last `remote_config_status` of an agent."""

    digest: ConfigHash
    status: ConfigStatus
    error: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. Replaced on changes of state only; when it was last seen is not part of it.

    Attributes:
        identifying_keys: which of the attributes in `labels.reported` name the agent; the others say where it runs.
        current: newest attempt.
        last_good: newest payload that was proven on it; belongs to `target` and is forgotten with it.
        failed: payloads that failed on it while on trial, newest first.
        error: the agent's words about the newest failure of what is wanted; "" when there is none.
        stuck: it refuses even its last good payload, because its own validation fails on what it runs.
        freed: an empty configuration freed it, and nothing was proven since; that is done once.
        wanted: payload that its target's version wanted for it last.
        effective: digest of the newest effective configuration it reported.
        contained: whether that one contains what `current` sent; None: not judged yet.
        lacking_since: since when it lacks that, as far as this connection knows; None: it does not. Not stored.
        health: what `health.keep` keeps of its newest report.
        components: hash of its available components.
        packages: what it reported of its packages; None when it has none.
        connection: what it was offered to connect to; None: nothing yet.
        flag: what people should look at; a stable word, or None.
        restart: the newest restart command; None: there never was one.
        twin: instance uid of the other agent that used the same one at the same time; None: there is none.
    """

    uid: AgentUid
    labels: RankedLabels = field(default_factory=RankedLabels)
    identifying_keys: tuple[str, ...] = ()
    capabilities: int = 0
    reported: Reported | None = None
    current: Attempt | None = None
    last_good: ConfigHash | None = None
    failed: tuple[ConfigHash, ...] = ()
    error: str = ""
    stuck: bool = False
    freed: bool = False
    target: TargetId | None = None
    wanted: ConfigHash | None = None
    health: ComponentHealth | None = None
    effective: bytes | None = None
    contained: bool | None = None
    lacking_since: datetime | None = field(default=None, compare=False)
    components: bytes | None = None
    packages: PackagesReported | None = None
    started_at: datetime | None = None
    connection: AgentConnection | None = None
    flag: str | None = None
    restart: Restart | None = None
    twin: AgentUid | None = None

    def can(self, capability: Capability) -> bool:
        """Whether the agent declares this capability."""
        # On plain integers: the operators of flag enums take ten times as long, and this is asked for every status.
        return int.__and__(self.capabilities, capability) != 0

    @property
    def identifying(self) -> Mapping[str, str]:
        """The attributes that name it. Not kept a second time: there are tens of thousands of agents."""
        reported = self.labels.reported
        return {key: reported[key] for key in self.identifying_keys if key in reported}

    @property
    def non_identifying(self) -> Mapping[str, str]:
        """The attributes of where it runs; without one that names it, too."""
        return {key: value for key, value in self.labels.reported.items() if key not in self.identifying_keys}

    @property
    def name(self) -> str:
        """What people call it: service.instance.id, host.name or service.name, whichever is there; else ""."""
        labels = self.labels.reported
        return labels.get("host.name") or labels.get("service.instance.id") or labels.get("service.name") or ""

    @property
    def healthy(self) -> bool | None:
        """Its own word; None when it does not report health."""
        return None if self.health is None or not self.can(Capability.REPORTS_HEALTH) else self.health.healthy


_Value = TypeVar("_Value", Agent, Attempt)


def _draft(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], Callable[..., Any]]:
    """How to read all fields of such a value, and a class with the same slots that can be written to."""
    names = tuple(each.name for each in fields(kind))
    return attrgetter(*names), make_dataclass(f"{kind.__name__}Draft", names, slots=True)


_DRAFTS = {one: _draft(one) for one in (Agent, Attempt)}


def changed(value: _Value, **changes: Any) -> _Value:
    """As `dataclasses.replace`, in a third of the time: thousands of statuses come in after every publication.

    A frozen class sets each field by a slow call. A draft has the same slots and is not frozen, so it is filled fast,
    and then becomes a value of the frozen class.
    """
    read, draft = _DRAFTS[type(value)]
    new = draft(*read(value))
    for name, one in changes.items():
        setattr(new, name, one)
    new.__class__ = type(value)
    return cast("_Value", new)
