"""The audit log; reading it needs a token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from gitsync.ids import show_uid
from gitsync.server.api.context import Ctx, caller
from gitsync.server.api.paging import Limit, link_next
from gitsync.server.api.views import AuditList, AuditView

router = APIRouter(tags=["audit"])


@router.get("/audit", dependencies=[Depends(caller)])
async def list_audit(
    ctx: Ctx,
    request: Request,
    response: Response,
    limit: Limit = 100,
    before: Annotated[int | None, Query(description="only lines with a lower number")] = None,
) -> AuditList:
    """Who did what, newest first. Needs a token."""
    lines = await ctx.service.store.list_audit(limit, before)
    items = [
        AuditView(
            seq=number,
            timestamp=one.at,
            agent_uid=None if one.agent_uid is None else show_uid(one.agent_uid),
            action=one.action,
            resource=one.object,
            result=one.outcome,
            user_id=one.actor,
            remote_addr=one.remote_addr,
            reason=one.reason,
            details=dict(one.details),
        )
        for number, one in lines
    ]
    page = AuditList(items=items)
    if len(lines) == limit:
        page = page.model_copy(update={"next": link_next(request, response, before=lines[-1][0])})
    return page
