"""Health, readiness and metrics: for probes and scrapers, outside the versioned prefix."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from gitsync.server.api.context import Ctx
from gitsync.server.api.views import ReadinessView
from gitsync.server.metrics import CONTENT_TYPE, scrape

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """Alive: the process answers. Nothing else is looked at, so a database that is away restarts nobody."""
    return "ok\n"


@router.get("/readyz", responses={503: {"model": ReadinessView}})
async def readyz(ctx: Ctx, response: Response) -> ReadinessView:
    """Ready for traffic, and every check by name; 503 when not."""
    readiness = ctx.service.readiness()
    if not readiness.ready:
        response.status_code = 503
    return ReadinessView(ready=readiness.ready, checks=dict(readiness.checks))


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(ctx: Ctx) -> Response:
    """Everything that is counted, in Prometheus' text format."""
    return Response(await scrape(ctx.service), media_type=CONTENT_TYPE)
