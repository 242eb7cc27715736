from __future__ import annotations

from datetime import timedelta

import pytest

from gitsync.control.service import Readiness, SyncResult
from gitsync.errors import (
    Conflict,
    GitsyncError,
    InvalidConfig,
    ProtocolError,
    SettingsError,
    TrustError,
    Unavailable,
)
from gitsync.ids import DEFAULT_SOURCE
from gitsync.server.api.problem import status_of
from tests.support.webservice import GOOD, REVISION
from tests.unit.server.conftest import Site

SYNC = "/api/v1/sources/default/sync"


async def test_a_sync_is_started_and_audited_under_the_token_that_asked(site: Site) -> None:
    answer = await site.trusted.post(SYNC)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "started")
    assert site.service.synced == [(DEFAULT_SOURCE, f"token:{site.token[4:16]}", False)]


async def test_a_sync_that_is_waited_for_says_what_came_of_it(site: Site) -> None:
    site.service.result = SyncResult("rejected", GOOD.id, REVISION, "the commit has errors", 3)
    answer = await site.trusted.post(SYNC + "?wait=true")
    assert answer.status_code == 200
    assert answer.json() == {
        "apiVersion": "gitsync/v1",
        "kind": "SyncResult",
        "source": "default",
        "outcome": "rejected",
        "commit": GOOD.id,
        "revision": REVISION,
        "error": "the commit has errors",
        "errors": 3,
    }


async def test_a_sync_of_an_unknown_source_is_a_404_and_starts_nothing(site: Site) -> None:
    answer = await site.trusted.post("/api/v1/sources/other/sync")
    assert (answer.status_code, answer.json()["code"]) == (404, "source.unknown")
    assert site.service.synced == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidConfig("x"), 400),
        (SettingsError("x"), 500),
        (ProtocolError("x", status=413), 413),
        (ProtocolError("x", status=1009), 400),
        (TrustError("x"), 403),
        (Unavailable("x"), 503),
        (Conflict("x"), 409),
        (GitsyncError("x"), 500),
    ],
)
async def test_each_family_of_errors_has_its_status(site: Site, error: GitsyncError, status: int) -> None:
    assert status_of(error) == status
    error.code, error.hint = "some.code", "do this"
    site.service.failure = error
    answer = await site.trusted.post(SYNC + "?wait=true")
    assert answer.status_code == status
    body = answer.json()
    assert (body["code"], body["detail"], body["hint"]) == ("some.code", "x", "do this")
    assert body["type"] == "urn:gitsync:problem:some.code"


@pytest.mark.parametrize(
    ("wait", "header"), [(None, "5"), (timedelta(milliseconds=10), "1"), (timedelta(seconds=7.2), "8")]
)
async def test_what_is_away_says_when_to_come_back(site: Site, wait: timedelta | None, header: str) -> None:
    site.service.failure = Unavailable("the leader is another server", retry_after=wait)
    assert (await site.trusted.post(SYNC)).headers["retry-after"] == header


async def test_a_bug_tells_the_caller_nothing_of_the_inside(site: Site) -> None:
    site.service.failure = ZeroDivisionError("secret inner text")  # type: ignore[assignment]  # a bug has no family
    answer = await site.trusted.post(SYNC)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret inner text" not in answer.text


async def test_every_call_that_changes_something_has_a_limit_of_its_body(site: Site) -> None:
    posts = [
        path.format(name="default", provider="github", source="default", uid="0" * 32)
        for path, verbs in (await site.client.get("/openapi.json")).json()["paths"].items()
        if "post" in verbs
    ]
    assert len(posts) == 4
    for path in posts:
        answer = await site.trusted.post(path, content=b"x" * (1024 * 1024 + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large"), path
    assert site.service.synced == []
    assert site.service.restarted == []


async def test_readiness_names_every_check(site: Site) -> None:
    answer = await site.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"store": "ok", "leader": "this server"}
    site.service.ready = Readiness(False, {"desired-state": "nothing loaded yet"})
    answer = await site.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["checks"] == {"desired-state": "nothing loaded yet"}


async def test_a_store_that_is_away_is_a_503_for_reads(site: Site) -> None:
    async with site.store_away():
        answer = await site.client.get("/api/v1/commits")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "store.away", "2")


async def test_health_is_open_and_looks_at_nothing(site: Site) -> None:
    async with site.store_away():
        answer = await site.client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
