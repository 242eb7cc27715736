"""Sources: list them, sync one."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from gitsync.control.service import SourceStatus
from gitsync.server.api.context import Caller, Ctx, small_body
from gitsync.server.api.views import SourceList, SourceView, SyncView

router = APIRouter(tags=["sources"])
_USERINFO = re.compile(r"(?<=://)[^/@]*@")


def show_source(status: SourceStatus) -> SourceView:
    """The document of one source; a credential in its URL (there should be none) is not shown."""
    record = status.record
    return SourceView(
        name=record.name,
        url=record.url if record.url.startswith("ssh://") else _USERINFO.sub("", record.url),
        ref=record.ref,
        head=record.head,
        fetched_at=record.fetched_at,
        error=record.error,
        published=status.published,
        revision=status.revision,
        last_result=status.last_result,
        suspended=status.suspended,
    )


@router.get("/sources")
async def list_sources(ctx: Ctx) -> SourceList:
    """All sources: what was fetched last, what is in effect, and what is wrong."""
    return SourceList(items=[show_source(one) for one in ctx.service.sources()])


@router.get("/sources/{name}")
async def get_source(name: str, ctx: Ctx) -> SourceView:
    """One source."""
    return show_source(ctx.source(name))


@router.post(
    "/sources/{name}/sync",
    response_model=SyncView,
    responses={202: {"model": SyncView, "description": "Started; nobody waited for the end."}},
    dependencies=[Depends(small_body)],
)
async def sync_source(
    name: str,
    ctx: Ctx,
    identity: Caller,
    response: Response,
    wait: Annotated[bool, Query(description="answer when the sync is done, with what came of it")] = False,
) -> SyncView:
    """Looks at the repository now, instead of at the next poll. Needs a token."""
    source = ctx.source(name).record.name
    result = await ctx.service.sync(source, actor=identity.actor, wait=wait)
    if not wait:
        response.status_code = 202
    # A sync that published nothing need not know what is in effect; the source does.
    revision = result.revision if result.revision is not None else ctx.source(source).revision
    return SyncView(
        source=source,
        outcome=result.outcome if wait else "started",
        commit=result.commit,
        revision=revision,
        error=result.error,
        errors=result.errors,
    )
