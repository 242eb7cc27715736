from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gitsync.errors import Unavailable
from gitsync.server import WebhookSecrets, create_app
from gitsync.server.api.auth import Auth, make_token, record_of
from tests.support.webservice import SteppingClock, WebService, open_service

SECRET = b"a shared secret"


class AwayStore:
    """The port `Store` while the database is away: every method raises Unavailable."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def away(*_: object) -> None:
            raise Unavailable("the database does not answer", code="store.away", retry_after=timedelta(seconds=2))

        return away


@dataclass
class Site:
    """An application with its parts, and clients with and without the token."""

    service: WebService
    clock: SteppingClock
    token: str
    client: httpx.AsyncClient
    trusted: httpx.AsyncClient

    @asynccontextmanager
    async def store_away(self) -> AsyncIterator[None]:
        """A time in which the database does not answer."""
        kept, self.service.store = self.service.store, AwayStore()  # type: ignore[assignment]  # answers nothing
        try:
            yield
        finally:
            self.service.store = kept


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    service, clock, token = await open_service(tmp_path), SteppingClock(), make_token()
    secret = tmp_path / "webhook.secret"
    secret.write_bytes(b"the old secret\n" + SECRET + b"\n")
    app = create_app(service, Auth([record_of(token)]), WebhookSecrets(secret), clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.9", 5555))
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://gitsync.test") as client,
        httpx.AsyncClient(transport=transport, base_url="http://gitsync.test", headers=headers) as trusted,
    ):
        yield Site(service, clock, token, client, trusted)
    await service.store.close()
