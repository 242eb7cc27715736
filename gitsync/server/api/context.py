"""What every route is given: the service, and who is calling."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from gitsync.control.ports import Clock
from gitsync.control.records import AuditEntry
from gitsync.control.service import Service, SourceStatus
from gitsync.errors import ProtocolError, Unavailable
from gitsync.ids import DEFAULT_SOURCE, SourceName
from gitsync.server.api.auth import Auth, Identity
from gitsync.server.api.problem import NotFoundError, UnauthorizedError
from gitsync.server.api.shared_secret import WebhookSecrets

log = logging.getLogger("gitsync.rest")

MAX_BODY_BYTES = 64 * 1024
"""Of calls that are no webhooks; none of them needs a body today."""
_bearer = HTTPBearer(auto_error=False, description="A token `gst_…`; reads need none.")


class Denials:
    """Which refused calls are audited: ten at once, then one a second, so nobody can fill the log."""

    def __init__(self, clock: Clock, burst: int = 10, per_second: float = 1.0) -> None:
        self._clock = clock
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._at = clock.monotonic()
        self._suppressed = 0

    def admit(self) -> int | None:
        """None: do not write this one; else how many were left out since the last one that was written."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            self._suppressed += 1
            return None
        self._left -= 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes share."""

    service: Service
    auth: Auth
    webhooks: WebhookSecrets
    clock: Clock
    denials: Denials

    def source(self, name: str | None) -> SourceStatus:
        """The named source; without a name the only one, or the one called `default`.

        Raises:
            NotFoundError: `source.unknown`.
        """
        known = self.service.sources()
        if name is None and len(known) == 1:
            return known[0]
        for one in known:
            if one.record.name == (name or DEFAULT_SOURCE):
                return one
        hint = f"known are: {', '.join(one.record.name for one in known) or '(none)'}"
        if name is None:
            raise NotFoundError("there are several sources; say which with ?source=", code="source.unknown", hint=hint)
        raise NotFoundError(f"there is no source {name!r}", code="source.unknown", hint=hint)

    def names(self, source: str | None) -> list[SourceName]:
        """The named source, or all; raises NotFoundError."""
        if source is not None:
            return [self.source(source).record.name]
        return [one.record.name for one in self.service.sources()]


def context(request: Request) -> Context:
    """The context of the application."""
    found: Context = request.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]


def remote_addr(request: Request) -> str:
    """`ip:port` of the peer; "" when the transport has none."""
    return f"{request.client.host}:{request.client.port}" if request.client else ""


async def caller(request: Request, ctx: Ctx, _scheme: Annotated[object, Depends(_bearer)]) -> Identity:
    """Who is calling; every refused call is audited as far as `Denials` lets it."""
    try:
        return ctx.auth.check(request.headers.get("authorization"))
    except UnauthorizedError as error:
        suppressed = ctx.denials.admit()
        if suppressed is not None:
            await _note_denial(request, ctx, error, suppressed)
        raise


Caller = Annotated[Identity, Depends(caller)]


async def _note_denial(request: Request, ctx: Context, error: UnauthorizedError, suppressed: int) -> None:
    entry = AuditEntry(
        at=ctx.clock.now(),
        actor="anonymous",
        action="login",
        object=f"{request.method} {request.url.path}"[:500],
        outcome="failure",
        reason=error.code,
        remote_addr=remote_addr(request),
        details={"suppressed": suppressed},
    )
    log.warning("refused %s from %s: %s", entry.object, entry.remote_addr, error.message)
    try:
        await ctx.service.store.append_audit([entry])
    except Unavailable as away:
        log.warning("the refused call could not be audited: %s", away)


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a call, read as it comes and cut off at `limit`.

    Raises:
        ProtocolError: `request.too_large` (413). What the peer still sends is not read.
    """
    too_large = ProtocolError(f"the body has more than {limit} bytes", code="request.too_large", status=413)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


async def small_body(request: Request) -> bytes:
    """The body of an ordinary call; raises ProtocolError over 64 KiB."""
    return await read_body(request, MAX_BODY_BYTES)
