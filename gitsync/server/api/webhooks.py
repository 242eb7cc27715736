"""Webhooks: a doorbell, nothing more.

Checks, in this order:
1. The provider is known, the source too.
2. At most 1 MiB is read, in at most ten seconds.
3. The signature over the raw bytes holds for a known secret, before anything is parsed.
4. The announced ref, if any, is the one that is followed; the announced commit is only a hint.

The handler is total: whatever the body is, the answer is 2xx or 4xx.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from gitsync.control.service import SourceStatus
from gitsync.control.webhook import MAX_BODY_BYTES, PROVIDERS, Delivery, verify_delivery
from gitsync.errors import ProtocolError
from gitsync.server.api.commits import SourceParam
from gitsync.server.api.context import Context, Ctx, read_body, remote_addr
from gitsync.server.api.problem import NotFoundError, UnauthorizedError
from gitsync.server.api.views import DeliveryView

log = logging.getLogger("gitsync.webhooks")
router = APIRouter(tags=["webhooks"])
READ_TIMEOUT = timedelta(seconds=10)


@router.post("/webhooks/{provider}", status_code=202)
async def receive_delivery(provider: str, ctx: Ctx, request: Request, source: SourceParam = None) -> DeliveryView:
    """A delivery for all sources that follow the announced ref, or for `?source=` alone."""
    return await _receive(provider, ctx, request, source)


@router.post("/webhooks/{provider}/{source}", status_code=202)
async def receive_delivery_for(provider: str, source: str, ctx: Ctx, request: Request) -> DeliveryView:
    """A delivery for one source."""
    return await _receive(provider, ctx, request, source)


async def _receive(provider: str, ctx: Context, request: Request, source: str | None) -> DeliveryView:
    counted = ctx.service.meters.webhooks
    if provider not in PROVIDERS:
        # Nothing that the caller chose may become a label.
        counted["unknown", "unknown-provider"] += 1
        known = ", ".join(sorted(PROVIDERS))
        raise NotFoundError(f"unknown provider {provider!r}", code="webhook.provider", hint=f"known are: {known}")
    sources = [ctx.source(source)] if source is not None else list(ctx.service.sources())
    try:
        async with asyncio.timeout(READ_TIMEOUT.total_seconds()):
            body = await read_body(request, MAX_BODY_BYTES)
    except ProtocolError:
        counted[provider, "too-large"] += 1
        raise
    except (TimeoutError, ClientDisconnect) as error:
        counted[provider, "incomplete"] += 1
        raise ProtocolError("the body did not arrive", code="webhook.incomplete", status=408) from error
    delivery = _verify(provider, ctx, request, body)
    rung = [one.record.name for one in sources if _is_followed(delivery, one)]
    for name in rung:
        ctx.service.ring(name, delivery.announced)
    counted[provider, "accepted" if rung else "ignored"] += 1
    log.info("webhook from %s for sources %s: commit %s", provider, rung, delivery.announced or "(none)")
    return DeliveryView(result="accepted" if rung else "ignored", sources=rung, announced=delivery.announced)


def _verify(provider: str, ctx: Context, request: Request, body: bytes) -> Delivery:
    """What the delivery says, once its signature was found good.

    Raises:
        UnauthorizedError: `webhook.<reason>`.
    """
    secrets = ctx.webhooks.load()
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = verify_delivery(provider, headers, body, secrets)
    if delivery.accepted:
        return delivery
    reason = delivery.reason if secrets else "no-secret"
    ctx.service.meters.webhooks[provider, reason] += 1
    log.warning("refused a webhook from %s at %s: %s", provider, remote_addr(request), reason)
    hint = "sender and server must share a secret: webhooks.secret_file in the settings"
    raise UnauthorizedError("the delivery is not signed by a known secret", code=f"webhook.{reason}", hint=hint)


def _is_followed(delivery: Delivery, status: SourceStatus) -> bool:
    """Whether it is about the ref that the source follows; a delivery that names none may be."""
    ref = status.record.ref
    return delivery.ref in ("", ref, f"refs/heads/{ref}")
