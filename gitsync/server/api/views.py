"""The JSON that the REST interface shows: one model per kind of object.

Every document has `apiVersion` and `kind`, times are RFC 3339 in UTC with a Z, digests are `sha256:<hex>`,
keys are camelCase as in the files of the config repository. What may be absent is null, never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def show_time(at: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond: `2026-11-21T05:50:47.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Time = Annotated[
    datetime,
    PlainSerializer(show_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class View(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Document(View):
    """A whole answer."""

    api_version: Literal["gitsync/v1"] = "gitsync/v1"


class SourceView(Document):
    """A source, its last sync, and what of it is in effect."""

    kind: Literal["Source"] = "Source"
    name: str
    url: str
    ref: str
    head: str | None
    fetched_at: Time | None
    error: str
    published: str | None
    revision: int | None
    last_result: str
    suspended: bool


class SourceList(Document):
    """All sources."""

    kind: Literal["SourceList"] = "SourceList"
    items: Sequence[SourceView]


class SyncView(Document):
    """What one sync did."""

    kind: Literal["SyncResult"] = "SyncResult"
    source: str
    outcome: str
    commit: str | None
    revision: int | None
    error: str
    errors: int


class DiagnosticView(View):
    """One finding in one place."""

    severity: str
    code: str
    path: str
    line: int
    column: int
    message: str
    hint: str


class FileView(View):
    """The verdict on one file of a commit."""

    path: str
    verdict: Literal["ok", "warning", "error"]
    errors: int
    warnings: int


class CommitView(Document):
    """A judged commit.

    `inEffect`: whether it is the newest published one of its source.
    """

    kind: Literal["Commit"] = "Commit"
    source: str
    id: str
    tree: str
    parents: Sequence[str]
    author: str
    authored_at: Time
    subject: str
    signer: str | None
    verdict: str
    error: str
    errors: int
    warnings: int
    seen_at: Time
    in_effect: bool


class CommitDetail(CommitView):
    """A judged commit with every file's verdict."""

    files: Sequence[FileView]
    diagnostics: Sequence[DiagnosticView]


class CommitList(Document):
    """Judged commits, newest first; `next` is the URL of the page after this one."""

    kind: Literal["CommitList"] = "CommitList"
    items: Sequence[CommitView]
    next: str | None = None


class ReleaseView(Document):
    """One publication. `cause`: publish, back, pin, unpin, resign, rotate."""

    kind: Literal["Release"] = "Release"
    source: str
    revision: int
    cause: str
    commit: str
    author: str | None
    authored_at: Time | None
    subject: str | None
    created_at: Time
    restores: int | None
    in_effect: bool


class ReleaseList(Document):
    """Publications, newest first."""

    kind: Literal["ReleaseList"] = "ReleaseList"
    items: Sequence[ReleaseView]
    next: str | None = None


class CountsView(View):
    """Agents of a target by how far they are with what it wants now."""

    pending: int = 0
    offered: int = 0
    applying: int = 0
    applied: int = 0
    failed: int = 0


class ConnectionView(View):
    """Connection settings of a target, as this server offers them.

    `problem`: why they are not offered, or not to anybody else. Agents that are told where to connect are `waiting`
    until they are `done` or `bad`; `held` ones are told after those that are waiting.
    """

    problem: str
    waiting: int
    done: int
    bad: int
    held: int


class TargetView(Document):
    """A target as it is in effect."""

    kind: Literal["Target"] = "Target"
    source: str
    path: str
    selector: str
    agent_type: str
    priority: int
    version: str
    config_hash: str | None
    commit: str
    revision: int
    phase: str
    suspended: bool
    connection: ConnectionView | None
    agents: CountsView


class TargetList(Document):
    """All targets."""

    kind: Literal["TargetList"] = "TargetList"
    items: Sequence[TargetView]


class VersionView(View):
    """A target version, and the commit where it first appeared when that is still known."""

    version: str
    commit: str | None
    subject: str | None


class TransitionView(View):
    """One thing that happened to a target; `commit`: which made it happen, and its `subject`, while they are kept."""

    seq: int
    path: str
    at: Time
    cause: str
    before: VersionView | None
    after: VersionView | None
    reason: str
    actor: str
    commit: str | None
    subject: str | None


class TransitionList(Document):
    """What happened to targets, newest first."""

    kind: Literal["TransitionList"] = "TransitionList"
    items: Sequence[TransitionView]


class ObjectView(View):
    """One object of a payload; `text` when it is UTF-8, `base64` otherwise."""

    name: str
    content_type: str
    role: str
    size: int
    sha256: str
    text: str | None
    base64: str | None


class OriginView(View):
    """Where a value of the payload was written."""

    path: str
    line: int
    column: int


class PayloadView(Document):
    """What agents get. `provenance`: `exporters::otlp::endpoint` to where that was written; may be empty."""

    kind: Literal["Payload"] = "Payload"
    config_hash: str
    size: int
    objects: Sequence[ObjectView]
    provenance: Mapping[str, OriginView]


class TargetDetail(TargetView):
    """A target with its history; `payload` when it was asked for."""

    history: Sequence[TransitionView]
    payload: PayloadView | None


class HealthSummary(View):
    """How an agent is: `Healthy`, `Degraded` or `Unhealthy`, and why."""

    status: Literal["Healthy", "Degraded", "Unhealthy"]
    reason: str


class AgentView(Document):
    """An agent.

    `commit` and `revision`: of the version that its target has in effect for it; `configHash`: what that
    version wants for it; `runs`: what the agent said last that it runs. `healthy` is the agent's own word, `health`
    counts its components, too; both are null when it does not report health.
    """

    kind: Literal["Agent"] = "Agent"
    uid: str
    name: str
    source: str | None
    target: str | None
    commit: str | None
    revision: int | None
    config_hash: str | None
    runs: str | None
    state: str
    reason: str
    reason_text: str
    flag: str | None
    healthy: bool | None
    health: HealthSummary | None
    error: str
    connected: bool
    connected_at: Time
    last_seen_at: Time
    changed_at: Time
    transport: str
    remote_addr: str
    service_version: str | None
    labels: Mapping[str, str]


class AgentList(Document):
    """Agents by uid."""

    kind: Literal["AgentList"] = "AgentList"
    items: Sequence[AgentView]
    next: str | None = None


class ComponentHealthView(View):
    """Health of one component, in the agent's words."""

    healthy: bool
    status: str
    last_error: str
    components: Mapping[str, ComponentHealthView]


class RecentErrorView(View):
    """Something that went wrong on an agent lately."""

    timestamp: Time | None
    message: str
    count: int


class HealthView(HealthSummary):
    """Health of an agent. `reportedStatus` is its own word; `metrics` are the numbers that it reported, by name."""

    healthy: bool
    reported_status: str
    last_error: str
    started_at: Time | None
    metrics: Mapping[str, float]
    recent_errors: Sequence[RecentErrorView]
    components: Mapping[str, ComponentHealthView]


class ConfigStatusView(View):
    """How an agent stands with its configuration: the one that it spoke of last, in OpAMP's word for it."""

    hash: str | None
    last_applied: Time | None
    status: str


class PackageView(View):
    """One package on an agent. `status`: INSTALLED, INSTALL_PENDING, INSTALLING, INSTALL_FAILED or DOWNLOADING."""

    name: str
    version: str
    hash: str
    offered_version: str
    status: str
    error: str
    download_percent: float | None


class PackagesView(View):
    """The packages that an agent reported. `offered`: whether this server offers any; it does not yet."""

    offered: bool
    error: str
    items: Sequence[PackageView]


class AttemptView(View):
    """One payload on its way to one agent."""

    config_hash: str
    revision: int
    state: str
    tries: int
    error: str
    offered_at: Time
    applying_at: Time | None
    applied_at: Time | None
    healthy_at: Time | None
    failed_at: Time | None
    changed_at: Time


class ReportedView(View):
    """The agent's last `remote_config_status`, in OpAMP's words."""

    config_hash: str
    status: str
    error: str


class RestartView(View):
    """The newest restart command to an agent. `state`: requested, sent, restarted or no-sign; `sign`: what shows it."""

    state: Literal["requested", "sent", "restarted", "no-sign"]
    requested_at: Time
    changed_at: Time
    sign: str


class AgentConnectionView(View):
    """Connection settings that an agent was offered, and what became of them.

    `state`: offered, reported (it said APPLIED), done, failed, or lost (it did not come back); of several sections, the
    one that people should know of first. `heartbeatSeconds`: what they put in force; null: nothing, or not yet.
    """

    state: str
    sections: Mapping[str, str]
    offered_at: Time
    changed_at: Time
    heartbeat_seconds: int | None
    error: str


class CommandView(Document):
    """A command to an agent, as far as it came."""

    kind: Literal["Command"] = "Command"
    uid: str
    command: Literal["restart"] = "restart"
    restart: RestartView


class BuildView(View):
    """What an agent's build contains, in short: how many components of each kind, and the versions among them."""

    hash: str
    counts: Mapping[str, int]
    versions: Sequence[str]


class ComponentView(View):
    """One component of a build, or a kind of component with its members."""

    metadata: Mapping[str, str]
    members: Mapping[str, ComponentView]


class ComponentsView(Document):
    """The components that an agent's build contains."""

    kind: Literal["Components"] = "Components"
    uid: str
    build: BuildView
    items: Mapping[str, ComponentView]


class AgentDetail(AgentView):
    """Everything that is known of one agent.

    `duplicate`: uid of the other agent that used the same uid at the same time; `build`: null until its components are
    known.
    """

    labels_by_rank: Mapping[str, Mapping[str, str]]
    identifying: Mapping[str, str]
    non_identifying: Mapping[str, str]
    capabilities: Sequence[str]
    health: HealthView | None
    config_status: ConfigStatusView
    packages: PackagesView | None
    connection_settings: AgentConnectionView | None
    restart: RestartView | None
    duplicate: str | None
    build: BuildView | None
    reported: ReportedView | None
    effective_config_hash: str | None
    contains_what_was_sent: bool | None
    last_good: str | None
    failed: Sequence[str]
    started_at: Time | None
    replica: str
    steps: Sequence[str]
    attempts: Sequence[AttemptView]


class WhyView(Document):
    """Why an agent has what it has."""

    kind: Literal["Explanation"] = "Explanation"
    uid: str
    source: str | None
    target: str | None
    reason: str
    text: str
    steps: Sequence[str]
    config_hash: str | None
    commit: str | None
    revision: int | None


class EffectiveView(Document):
    """The newest effective configuration that an agent reported."""

    kind: Literal["EffectiveConfig"] = "EffectiveConfig"
    uid: str
    digest: str
    size: int
    text: str | None
    base64: str | None


class StatementList(Document):
    """DSSE envelopes of the statements about one payload, of the newest revision of each source."""

    kind: Literal["StatementList"] = "StatementList"
    items: Sequence[Mapping[str, Any]]


class AuditView(View):
    """One line of the audit log."""

    seq: int
    timestamp: Time
    agent_uid: str | None
    action: str
    resource: str
    result: str
    user_id: str
    remote_addr: str
    reason: str
    details: Mapping[str, Any]


class AuditList(Document):
    """Lines of the audit log, newest first."""

    kind: Literal["AuditList"] = "AuditList"
    items: Sequence[AuditView]
    next: str | None = None


class DeliveryView(Document):
    """What became of a webhook delivery."""

    kind: Literal["Delivery"] = "Delivery"
    result: Literal["accepted", "ignored"]
    sources: Sequence[str]
    announced: str | None


class ReadinessView(Document):
    """Whether this process should get traffic."""

    kind: Literal["Readiness"] = "Readiness"
    ready: bool
    checks: Mapping[str, str]
