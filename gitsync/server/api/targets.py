"""Targets, their history, and the payloads and statements that they give."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from gitsync.bundle.tree import Commit
from gitsync.bundle.version import ConfigObject, Payload
from gitsync.control.records import TransitionRecord
from gitsync.control.service import TargetStatus
from gitsync.errors import InvalidConfig
from gitsync.ids import ConfigHash, SourceName, TargetId, VersionDigest, parse_digest, show_digest
from gitsync.server.api.commits import SourceParam
from gitsync.server.api.context import Context, Ctx
from gitsync.server.api.paging import Limit
from gitsync.server.api.problem import NotFoundError
from gitsync.server.api.views import (
    ConnectionView,
    CountsView,
    ObjectView,
    OriginView,
    PayloadView,
    StatementList,
    TargetDetail,
    TargetList,
    TargetView,
    TransitionList,
    TransitionView,
    VersionView,
)

router = APIRouter(tags=["targets"])
HISTORY = 50
Commits = Mapping[tuple[str, VersionDigest], Commit]


def read_target(text: str, source: str | None) -> tuple[str | None, str]:
    """Source and path of a target: `path`, or `source:path`; `source` is the one given elsewhere."""
    name, colon, path = text.partition(":")
    if colon and "/" not in name:
        return name, path.strip("/")
    return source, text.strip("/")


def find_target(ctx: Context, text: str, source: str | None) -> TargetStatus:
    """The target of this name.

    Raises:
        NotFoundError: `target.unknown`.
    """
    name, path = read_target(text, source)
    targets = ctx.service.targets()
    for one in targets:
        if one.id.path == path and name in (None, one.id.source):
            return one
    known = ", ".join(str(one.id) for one in targets[:10])
    raise NotFoundError(f"there is no target {text!r}", code="target.unknown", hint=f"known are: {known or '(none)'}")


def _fields(one: TargetStatus) -> dict[str, Any]:
    return {
        "source": one.id.source,
        "path": one.id.path,
        "selector": one.selector,
        "agent_type": one.agent_type,
        "priority": one.priority,
        "version": show_digest(one.version),
        "config_hash": None if one.config_hash is None else show_digest(one.config_hash),
        "commit": one.commit,
        "revision": one.revision,
        "phase": str(one.phase),
        "suspended": one.suspended,
        "connection": None if one.connection is None else ConnectionView(**asdict(one.connection)),
        "agents": CountsView(**{str(state): count for state, count in one.counts.items()}),
    }


def show_payload(payload: Payload) -> PayloadView:
    """The document of a payload."""
    return PayloadView(
        config_hash=show_digest(payload.digest),
        size=payload.size_bytes,
        objects=[_show_object(one) for one in payload.objects],
        provenance={
            key: OriginView(path=one.path, line=one.line, column=one.column)
            for key, one in sorted(payload.provenance.items())
        },
    )


def text_or_base64(body: bytes) -> tuple[str | None, str | None]:
    """The body as text when it is UTF-8, else as base64; the other one is None."""
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


def _show_object(one: ConfigObject) -> ObjectView:
    text, encoded = text_or_base64(one.body)
    return ObjectView(
        name=one.name,
        content_type=one.content_type,
        role=one.role,
        size=len(one.body),
        sha256=show_digest(hashlib.sha256(one.body).digest()),
        text=text,
        base64=encoded,
    )


async def _origins(ctx: Context, source: SourceName) -> Commits:
    """Where the versions that are still known first appeared."""
    stored = await ctx.service.store.load_published(source)
    return {} if stored is None else {(one.path, one.digest): one.origin for one in stored.versions}


def _show_version(path: str, digest: VersionDigest | None, origins: Commits) -> VersionView | None:
    if digest is None:
        return None
    commit = origins.get((path, digest))
    return VersionView(
        version=show_digest(digest),
        commit=commit.id if commit else None,
        subject=commit.subject if commit else None,
    )


async def _history(ctx: Context, source: SourceName, path: str | None, limit: int) -> list[TransitionView]:
    records: Sequence[TransitionRecord] = await ctx.service.store.list_transitions(source, path, limit)
    origins = await _origins(ctx, source) if records else {}
    return [
        TransitionView(
            seq=one.seq,
            path=one.path,
            at=one.transition.at,
            cause=one.transition.cause,
            before=_show_version(one.path, one.transition.before, origins),
            after=_show_version(one.path, one.transition.after, origins),
            reason=one.transition.reason,
            actor=one.actor,
            commit=one.commit,
            subject=one.subject,
        )
        for one in records
    ]


@router.get("/targets")
async def list_targets(ctx: Ctx, source: SourceParam = None) -> TargetList:
    """Every target that exists now, with its agents counted."""
    names = ctx.names(source)
    return TargetList(items=[TargetView(**_fields(one)) for one in ctx.service.targets() if one.id.source in names])


@router.get("/targets/{path:path}")
async def get_target(
    path: str,
    ctx: Ctx,
    source: SourceParam = None,
    payload: Annotated[bool, Query(description="also the configuration and where each value was written")] = False,
) -> TargetDetail:
    """One target, its history, and on demand the configuration that it gives."""
    found = find_target(ctx, path, source)
    body = None
    if payload and found.config_hash is not None:
        body = await ctx.service.payload(found.config_hash)
    return TargetDetail(
        **_fields(found),
        history=await _history(ctx, found.id.source, found.id.path, HISTORY),
        payload=None if body is None else show_payload(body),
    )


@router.get("/history")
async def list_history(
    ctx: Ctx,
    source: SourceParam = None,
    target: Annotated[str | None, Query(description="path of one target, also of a deleted one")] = None,
    limit: Limit = 50,
) -> TransitionList:
    """What happened to targets, newest first."""
    name, path = (source, None) if target is None else read_target(target, source)
    return TransitionList(items=await _history(ctx, ctx.source(name).record.name, path, limit))


Digest = Annotated[str, Path(max_length=100, description="`sha256:<hex>`, or the 64 hex digits")]


def read_hash(text: str) -> ConfigHash:
    """The digest of a path.

    Raises:
        InvalidConfig: `digest.invalid`.
    """
    try:
        return ConfigHash(parse_digest(text))
    except ValueError as error:
        raise InvalidConfig(f"{text!r} is no digest", code="digest.invalid", hint="sha256:<64 hex digits>") from error


@router.get("/payloads/{config_hash}")
async def get_payload(config_hash: Digest, ctx: Ctx) -> PayloadView:
    """A payload by its digest."""
    payload = await ctx.service.payload(read_hash(config_hash))
    if payload is None:
        raise NotFoundError(f"there is no payload {config_hash}", code="payload.unknown")
    return show_payload(payload)


@router.get("/statements/{config_hash}")
async def list_statements(config_hash: Digest, ctx: Ctx) -> StatementList:
    """DSSE envelopes of the newest statements about a payload; targets may share one."""
    envelopes = await ctx.service.store.load_statements(read_hash(config_hash))
    if not envelopes:
        raise NotFoundError(f"no statement is about {config_hash}", code="statement.unknown")
    return StatementList(items=[json.loads(one.as_json()) for one in envelopes])


@router.get("/root", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def get_root(ctx: Ctx) -> Response:
    """What verifiers trust: public keys and threshold. Compare it over another way before you trust it."""
    return Response(ctx.service.public_root(), media_type="application/json")


def target_filter(ctx: Context, text: str | None, source: str | None) -> TargetId | None:
    """The target that a list is limited to; None without one. It need not exist any more.

    Raises:
        NotFoundError: `source.unknown`.
    """
    if text is None:
        return None
    name, path = read_target(text, source)
    return TargetId(ctx.source(name).record.name, path)
