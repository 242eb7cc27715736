"""Commits and their verdicts, releases, and what happened to targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime

from gitsync.control.records import CommitRecord, ReleaseRecord
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.ids import CommitId
from gitsync.server.api.context import Context, Ctx
from gitsync.server.api.paging import Limit, link_next
from gitsync.server.api.problem import NotFoundError
from gitsync.server.api.views import (
    CommitDetail,
    CommitList,
    CommitView,
    DiagnosticView,
    FileView,
    ReleaseList,
    ReleaseView,
)

router = APIRouter(tags=["commits and releases"])
SourceParam = Annotated[str | None, Query(description="name of the source; not needed when there is one")]
CommitPrefix = Annotated[str, Path(pattern="^[0-9a-fA-F]{4,64}$", description="at least 4 digits of the id")]


def _fields(record: CommitRecord, in_effect: CommitId | None) -> dict[str, Any]:
    severities = Counter(one.severity for one in record.diagnostics)
    commit = record.commit
    return {
        "source": record.source,
        "id": commit.id,
        "tree": commit.tree,
        "parents": commit.parents,
        "author": commit.author,
        "authored_at": commit.authored_at,
        "subject": commit.subject,
        "signer": commit.signer,
        "verdict": str(record.verdict),
        "error": record.error,
        "errors": severities[Severity.ERROR],
        "warnings": severities[Severity.WARNING],
        "seen_at": record.seen_at,
        "in_effect": commit.id == in_effect,
    }


def file_verdicts(files: Sequence[str], diagnostics: Sequence[Diagnostic]) -> list[FileView]:
    """The verdict on every file, in path order; files that only a diagnostic names are there, too."""
    found: Counter[tuple[str, Severity]] = Counter((one.path, one.severity) for one in diagnostics)
    paths = {*files, *(one.path for one in diagnostics if one.path)}
    views = []
    for path in sorted(paths):
        errors, warnings = found[path, Severity.ERROR], found[path, Severity.WARNING]
        verdict = "error" if errors else "warning" if warnings else "ok"
        views.append(
            FileView.model_validate({"path": path, "verdict": verdict, "errors": errors, "warnings": warnings})
        )
    return views


@router.get("/commits")
async def list_commits(
    ctx: Ctx,
    request: Request,
    response: Response,
    source: SourceParam = None,
    limit: Limit = 50,
    before: Annotated[AwareDatetime | None, Query(description="only commits first seen before this time")] = None,
) -> CommitList:
    """Judged commits, newest first."""
    status = ctx.source(source)
    at: datetime | None = before
    records = await ctx.service.store.list_commits(status.record.name, limit, at)
    page = CommitList(items=[CommitView(**_fields(one, status.published)) for one in records])
    if len(records) == limit:
        following = link_next(request, response, before=records[-1].seen_at.isoformat())
        page = page.model_copy(update={"next": following})
    return page


@router.get("/commits/{commit_id}")
async def get_commit(commit_id: CommitPrefix, ctx: Ctx, source: SourceParam = None) -> CommitDetail:
    """One commit: its verdict, every file's verdict, and all diagnostics. A prefix of the id is enough."""
    for name in ctx.names(source):
        record = await ctx.service.store.load_commit(name, commit_id.lower())
        if record is not None:
            return CommitDetail(
                **_fields(record, ctx.source(name).published),
                files=file_verdicts(record.files, record.diagnostics),
                diagnostics=[DiagnosticView(**one.as_json()) for one in record.diagnostics],
            )
    raise NotFoundError(
        f"no judged commit begins with {commit_id}",
        code="commit.unknown",
        hint="a commit is judged when a sync sees it as the newest one of its branch",
    )


async def _show_releases(ctx: Context, records: Sequence[ReleaseRecord]) -> list[ReleaseView]:
    commits: dict[tuple[str, str], CommitRecord | None] = {}
    for one in records:
        if (one.source, one.head) not in commits:
            commits[one.source, one.head] = await ctx.service.store.load_commit(one.source, one.head)
    revisions: Mapping[str, int | None] = {each.record.name: each.revision for each in ctx.service.sources()}
    views = []
    for one in records:
        record = commits[one.source, one.head]
        views.append(
            ReleaseView(
                source=one.source,
                revision=one.revision,
                cause=str(one.kind),
                commit=one.head,
                author=record.commit.author if record else None,
                authored_at=record.commit.authored_at if record else None,
                subject=record.commit.subject if record else None,
                created_at=one.created_at,
                restores=one.restores,
                in_effect=one.revision == revisions.get(one.source),
            )
        )
    return views


@router.get("/releases")
async def list_releases(
    ctx: Ctx,
    request: Request,
    response: Response,
    source: SourceParam = None,
    limit: Limit = 50,
    before: Annotated[int | None, Query(description="only revisions below this one")] = None,
) -> ReleaseList:
    """Publications, newest first."""
    name = ctx.source(source).record.name
    records = await ctx.service.store.list_releases(name, limit, before)
    page = ReleaseList(items=await _show_releases(ctx, records))
    if len(records) == limit:
        page = page.model_copy(update={"next": link_next(request, response, before=records[-1].revision)})
    return page


@router.get("/releases/{revision}")
async def get_release(
    revision: Annotated[int, Path(ge=1, lt=2**62)], ctx: Ctx, source: SourceParam = None
) -> ReleaseView:
    """One publication."""
    for name in ctx.names(source):
        records = await ctx.service.store.list_releases(name, 1, revision + 1)
        if records and records[0].revision == revision:
            return (await _show_releases(ctx, records))[0]
    raise NotFoundError(
        f"there is no revision {revision}", code="release.unknown", hint="retention may have dropped it"
    )
