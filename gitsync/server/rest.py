"""`create_app`: the web side of the server, put together.

Rules
1. Reads are open; every call that changes something, and the audit log, needs a token.
2. Nothing is loaded from another host, nothing is allowed to other origins, no page has scripts.
3. Every body has a limit before it is read; every error is a problem document.
"""

from __future__ import annotations

from email.utils import formatdate
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitsync.control.ports import Clock
from gitsync.control.service import Service
from gitsync.server.api import agents, audit, commits, health, page, problem, sources, targets, webhooks
from gitsync.server.api.auth import Auth
from gitsync.server.api.context import Context, Denials
from gitsync.server.api.shared_secret import WebhookSecrets

PREFIX = "/api/v1"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
)


def create_app(service: Service, auth: Auth, webhook_secrets: WebhookSecrets, clock: Clock) -> FastAPI:
    """The application: REST, webhooks, health, metrics and the pages about them.

    Args:
        service: what is shown and asked.
        auth: the tokens that are accepted.
        webhook_secrets: what senders of webhooks sign with.
        clock: for the audit log.
    """
    app = FastAPI(
        title="gitsync",
        version=version("gitsync-opamp"),
        description="A Git repository as the control plane of a fleet of OpenTelemetry agents.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = Context(service, auth, webhook_secrets, clock, Denials(clock))
    problem.install(app)
    for module in (sources, commits, targets, agents, audit, webhooks):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(health.router)
    _add_pages(app)
    app.add_middleware(SecurityHeaders)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return app.openapi()

    @app.get("/", include_in_schema=False)
    async def start() -> RedirectResponse:
        return RedirectResponse("/docs", 307)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.render(app.openapi()))

    @app.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(page.STYLE, media_type="text/css")


class SecurityHeaders:
    """Puts the date and the same protective headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on, and adds to the head of its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message = {**message, "headers": [*message.get("headers", ()), date, *_HEADERS]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
