"""Agents: list them, look at one, ask why it has what it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gitsync.control.records import AgentFilter, AgentRecord, AttemptRecord, SyncState
from gitsync.control.service import Explanation
from gitsync.errors import InvalidConfig
from gitsync.fleet.agent import Agent, Reported, Restart
from gitsync.fleet.connection import AgentConnection
from gitsync.fleet.health import config_status, metrics, recent_errors, status_of
from gitsync.ids import AgentUid, TargetId, parse_uid, show_digest, show_uid
from gitsync.labels import Rank, Selector, parse_selector
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus, PackagesReported
from gitsync.server.api.commits import SourceParam
from gitsync.server.api.components import load_components, summarize
from gitsync.server.api.context import Caller, Context, Ctx, remote_addr, small_body
from gitsync.server.api.paging import Limit, link_next
from gitsync.server.api.problem import NotFoundError
from gitsync.server.api.targets import target_filter, text_or_base64
from gitsync.server.api.views import (
    AgentConnectionView,
    AgentDetail,
    AgentList,
    AgentView,
    AttemptView,
    BuildView,
    CommandView,
    ComponentHealthView,
    ComponentsView,
    ComponentView,
    ConfigStatusView,
    EffectiveView,
    HealthSummary,
    HealthView,
    PackagesView,
    PackageView,
    RecentErrorView,
    ReportedView,
    RestartView,
    WhyView,
)

router = APIRouter(tags=["agents"])
Uid = Annotated[str, Path(max_length=64, description="instance uid, as a UUID")]
ATTEMPTS = 20


def read_uid(text: str) -> AgentUid:
    """The uid of a path or query.

    Raises:
        InvalidConfig: `uid.invalid`.
    """
    try:
        return parse_uid(text)
    except ValueError as error:
        raise InvalidConfig(f"{text!r} is no instance uid", code="uid.invalid", hint="give it as a UUID") from error


def read_selector(text: str | None) -> Selector | None:
    """The selector of a query; None without one.

    Raises:
        InvalidConfig: `selector.invalid`.
    """
    if text is None or not text.strip():
        return None
    try:
        return parse_selector(text)
    except ValueError as error:
        raise InvalidConfig(str(error), code="selector.invalid") from error


async def _load(ctx: Context, uid: str) -> AgentRecord:
    key = read_uid(uid)
    found = (await ctx.service.store.load_agents([key])).get(key)
    if found is None:
        raise NotFoundError(f"no agent {uid} is known", code="agent.unknown", hint="list them at /api/v1/agents")
    return found


def _digest(value: bytes | None) -> str | None:
    return show_digest(value) if value else None


def _runs(reported: Reported | None) -> str | None:
    """What the agent says it runs; a FAILED offer is not that."""
    return _digest(reported.digest) if reported is not None and reported.status is ConfigStatus.APPLIED else None


def _where(target: TargetId | None) -> dict[str, str | None]:
    return {"source": target.source if target else None, "target": target.path if target else None}


def _fields(record: AgentRecord, why: Explanation) -> dict[str, Any]:
    agent = record.agent
    return {
        **_where(why.target),
        "uid": show_uid(agent.uid),
        "name": agent.name,
        "commit": why.commit,
        "revision": why.revision,
        "config_hash": _digest(why.wanted),
        "runs": _runs(agent.reported),
        "state": str(why.state or record.state),
        "reason": why.reason,
        "reason_text": why.text,
        "flag": agent.flag,
        "healthy": record.healthy,
        "health": _summary(agent),
        "error": record.error,
        "connected": record.connected,
        "connected_at": record.connected_at,
        "last_seen_at": why.last_seen or record.last_seen_at,
        "changed_at": record.changed_at,
        "transport": record.transport,
        "remote_addr": record.remote_addr,
        "service_version": agent.labels.reported.get("service.version"),
        "labels": dict(sorted(agent.labels.effective().items())),
    }


def _summary(agent: Agent) -> HealthSummary | None:
    found = status_of(agent)
    return None if found is None else HealthSummary(status=found.word.value, reason=found.reason)


def _show_health(agent: Agent) -> HealthView | None:
    found, health = status_of(agent), agent.health
    if found is None or health is None:
        return None
    return HealthView(
        status=found.word.value,
        reason=found.reason,
        healthy=health.healthy,
        reported_status=health.status,
        last_error=health.last_error,
        started_at=_instant(health.start_time_unix_nano),
        metrics=dict(metrics(health)),
        recent_errors=[
            RecentErrorView(timestamp=one.timestamp, message=one.message, count=one.count)
            for one in recent_errors(health)
        ],
        components=_show_components(health.components),
    )


def _show_components(components: Mapping[str, ComponentHealth]) -> dict[str, ComponentHealthView]:
    return {
        name: ComponentHealthView(
            healthy=one.healthy,
            status=one.status,
            last_error=one.last_error,
            components=_show_components(one.components),
        )
        for name, one in sorted(components.items())
    }


def _show_config_status(agent: Agent, attempts: Sequence[AttemptRecord]) -> ConfigStatusView:
    found = config_status(agent, (one.attempt for one in attempts))
    return ConfigStatusView(hash=_digest(found.hash), last_applied=found.last_applied, status=found.status.name)


def _show_packages(reported: PackagesReported | None) -> PackagesView | None:
    if reported is None:
        return None
    items = [
        PackageView(
            name=name,
            version=one.version,
            hash=one.hash.hex(),
            offered_version=one.offered_version,
            status=one.status.name,
            error=one.error,
            download_percent=one.download_percent,
        )
        for name, one in sorted(reported.packages.items())
    ]
    return PackagesView(offered=False, error=reported.error, items=items)


def _instant(nanoseconds: int) -> datetime | None:
    """The agent's own clock; None for 0 and for what no calendar has."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None
    except (OverflowError, ValueError, OSError):
        return None


def _show_attempt(record: AttemptRecord) -> AttemptView:
    one = record.attempt
    return AttemptView(
        config_hash=show_digest(one.digest),
        revision=one.revision,
        state=str(one.state),
        tries=one.tries,
        error=one.error,
        offered_at=one.offered_at,
        applying_at=one.applying_at,
        applied_at=one.applied_at,
        healthy_at=one.healthy_at,
        failed_at=one.failed_at,
        changed_at=one.changed_at,
    )


def _show_restart(one: Restart) -> RestartView:
    return RestartView(state=one.state.value, requested_at=one.requested_at, changed_at=one.changed_at, sign=one.sign)


def _show_connection(one: AgentConnection | None) -> AgentConnectionView | None:
    if one is None:
        return None
    return AgentConnectionView(
        state=one.state.value,
        sections={name: section.state.value for name, section in sorted(one.sections.items())},
        offered_at=one.offered_at,
        changed_at=one.changed_at,
        heartbeat_seconds=one.heartbeat_seconds or None,
        error=one.error,
    )


async def _load_build(ctx: Context, components_hash: bytes) -> BuildView | None:
    found = await load_components(ctx.service.store, components_hash)
    return None if found is None else _show_build(components_hash, found)


def _show_build(components_hash: bytes, components: Mapping[str, ComponentView]) -> BuildView:
    counts, versions = summarize(components)
    return BuildView(hash=components_hash.hex(), counts=counts, versions=versions)


def _show_reported(reported: Reported | None) -> ReportedView | None:
    if reported is None:
        return None
    digest = show_digest(reported.digest) if reported.digest else ""
    return ReportedView(config_hash=digest, status=reported.status.name, error=reported.error)


def _ranks(agent: Agent) -> Mapping[str, Mapping[str, str]]:
    return {rank.name.lower(): dict(sorted(agent.labels.of_rank(rank).items())) for rank in Rank}


def _capabilities(bits: int) -> list[str]:
    known = [one.name or "" for one in Capability if bits & one]
    rest = bits & ~sum(Capability)
    return [*known, hex(rest)] if rest else known


@router.get("/agents")
async def list_agents(
    ctx: Ctx,
    request: Request,
    response: Response,
    source: SourceParam = None,
    target: Annotated[str | None, Query(description="path of a target, or source:path")] = None,
    state: Annotated[SyncState | None, Query(description="how far it is with what is wanted now")] = None,
    connected: bool | None = None,
    selector: Annotated[str | None, Query(max_length=4096, description="`k=v,k2!=v2,k3 in (a,b),!k4`")] = None,
    limit: Limit = 500,
    after: Annotated[str | None, Query(description="uid of the last agent of the page before")] = None,
) -> AgentList:
    """Agents by uid, filtered; `Link: rel="next"` leads to the next page."""
    query = AgentFilter(
        target=target_filter(ctx, target, source),
        state=state,
        connected=connected,
        selector=read_selector(selector),
        aliases=ctx.service.aliases(),
        limit=limit,
        after=None if after is None else read_uid(after),
    )
    records = await ctx.service.store.list_agents(query)
    page = AgentList(items=[AgentView(**_fields(one, ctx.service.explain(one.agent.uid, one))) for one in records])
    if len(records) == limit:
        page = page.model_copy(update={"next": link_next(request, response, after=show_uid(records[-1].agent.uid))})
    return page


@router.get("/agents/{uid}")
async def get_agent(uid: Uid, ctx: Ctx) -> AgentDetail:
    """Everything that is known of one agent."""
    record = await _load(ctx, uid)
    agent = record.agent
    why = ctx.service.explain(agent.uid, record)
    attempts = await ctx.service.store.list_attempts(agent.uid, ATTEMPTS)
    return AgentDetail(
        **{**_fields(record, why), "health": _show_health(agent)},
        labels_by_rank=_ranks(agent),
        identifying=dict(agent.identifying),
        non_identifying=dict(agent.non_identifying),
        capabilities=_capabilities(agent.capabilities),
        config_status=_show_config_status(agent, attempts),
        packages=_show_packages(agent.packages),
        connection_settings=_show_connection(agent.connection),
        restart=None if agent.restart is None else _show_restart(agent.restart),
        duplicate=None if agent.twin is None else show_uid(agent.twin),
        build=None if agent.components is None else await _load_build(ctx, agent.components),
        reported=_show_reported(agent.reported),
        effective_config_hash=_digest(agent.effective),
        contains_what_was_sent=agent.contained,
        last_good=_digest(agent.last_good),
        failed=[show_digest(one) for one in agent.failed],
        started_at=agent.started_at,
        replica=record.replica_id,
        steps=why.steps,
        attempts=[_show_attempt(one) for one in attempts],
    )


@router.get("/agents/{uid}/why")
async def explain_agent(uid: Uid, ctx: Ctx) -> WhyView:
    """Why the agent has what it has, step by step."""
    record = await _load(ctx, uid)
    why = ctx.service.explain(record.agent.uid, record)
    return WhyView(
        **_where(why.target),
        uid=show_uid(record.agent.uid),
        reason=why.reason,
        text=why.text,
        steps=why.steps,
        config_hash=_digest(why.wanted),
        commit=why.commit,
        revision=why.revision,
    )


@router.get("/agents/{uid}/effective")
async def get_effective(uid: Uid, ctx: Ctx) -> EffectiveView:
    """The newest effective configuration that the agent reported, as it reported it."""
    record = await _load(ctx, uid)
    digest = record.agent.effective
    body = None if digest is None else await ctx.service.store.load_blob(digest)
    if digest is None or body is None:
        raise NotFoundError(
            "the agent has not reported its effective configuration",
            code="effective.unknown",
            hint="agents report it when they declare ReportsEffectiveConfig",
        )
    text, encoded = text_or_base64(body)
    return EffectiveView(
        uid=show_uid(record.agent.uid), digest=show_digest(digest), size=len(body), text=text, base64=encoded
    )


@router.get("/agents/{uid}/components")
async def get_components(uid: Uid, ctx: Ctx) -> ComponentsView:
    """The components that the agent's build contains, with the versions of their modules."""
    record = await _load(ctx, uid)
    digest = record.agent.components
    found = None if digest is None else await load_components(ctx.service.store, digest)
    if digest is None or found is None:
        raise NotFoundError(
            "the components of the agent are not known",
            code="components.unknown",
            hint="agents report them when they declare ReportsAvailableComponents",
        )
    return ComponentsView(uid=show_uid(record.agent.uid), build=_show_build(digest, found), items=found)


@router.post("/agents/{uid}/restart", status_code=202, dependencies=[Depends(small_body)])
async def restart_agent(uid: Uid, ctx: Ctx, identity: Caller, request: Request) -> CommandView:
    """Tells the agent to restart. What became of it is inferred, and shown with the agent. Needs a token."""
    key = read_uid(uid)
    try:
        restart = await ctx.service.restart(key, actor=identity.actor, remote_addr=remote_addr(request))
    except KeyError:
        raise NotFoundError(
            f"no agent {uid} is known", code="agent.unknown", hint="list them at /api/v1/agents"
        ) from None
    return CommandView(uid=show_uid(key), restart=_show_restart(restart))
