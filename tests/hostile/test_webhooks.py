"""Whatever arrives at the webhook address, the server answers 2xx or 4xx and goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.control.webhook import MAX_BODY_BYTES, PROVIDERS
from gitsync.ids import DEFAULT_SOURCE
from gitsync.server import WebhookSecrets, create_app
from gitsync.server.api.auth import Auth
from tests.support.delivery import sign_delivery
from tests.support.webservice import GOOD, SteppingClock, WebService, open_service

SECRET = b"correct horse"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
PUSH_KEYS = st.sampled_from(["ref", "after", "checkout_sha", "commit", "repository", "push", "changes", "commits"])


@asynccontextmanager
async def receiver(directory: Path) -> AsyncIterator[tuple[httpx.AsyncClient, WebService]]:
    service = await open_service(directory)
    secret = directory / "secret"
    secret.write_bytes(SECRET)
    app = create_app(service, Auth([]), WebhookSecrets(secret), SteppingClock())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gitsync.test/api/v1/webhooks") as client:
        yield client, service
    await service.store.close()


@contextmanager
def blocking(directory: Path) -> Iterator[Any]:
    """A way to post from code that is not async (hypothesis runs the body many times): one loop for all of them."""
    with asyncio.Runner() as runner:
        opened = receiver(directory)
        client, service = runner.run(opened.__aenter__())
        try:
            yield lambda path, **call: runner.run(client.post(path, **call)), service
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_no_signed_json_makes_the_server_fail(provider: str, tmp_path: Path) -> None:
    with blocking(tmp_path) as (post, _):

        @settings(max_examples=60, deadline=None)
        @given(st.dictionaries(PUSH_KEYS | st.text(max_size=8), JSON, max_size=6) | JSON)
        def deliver(body: Any) -> None:
            raw = json.dumps(body).encode()
            answer = post(f"/{provider}", content=raw, headers=sign_delivery(provider, raw, SECRET))
            assert answer.status_code == 202
            assert answer.json()["announced"] is None or len(answer.json()["announced"]) in (40, 64)

        deliver()


def test_no_signed_bytes_make_the_server_fail(tmp_path: Path) -> None:
    with blocking(tmp_path) as (post, service):

        @settings(max_examples=100, deadline=None)
        @given(st.binary(max_size=2_000))
        def deliver(raw: bytes) -> None:
            answer = post("/github", content=raw, headers=sign_delivery("github", raw, SECRET))
            assert answer.status_code == 202

        deliver()
        assert service.rung


def test_no_unsigned_bytes_and_no_header_ring_the_bell(tmp_path: Path) -> None:
    header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90)
    with blocking(tmp_path) as (post, service):

        @settings(max_examples=100, deadline=None)
        @given(st.sampled_from(sorted(PROVIDERS)), st.binary(max_size=200), header)
        def deliver(provider: str, raw: bytes, proof: str) -> None:
            answer = post(f"/{provider}", content=raw, headers={PROVIDERS[provider].signature_header: proof.strip()})
            assert answer.status_code == 401

        deliver()
        assert service.rung == []


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"ref":' + b"9" * 5_000 + b"}",
        b'{"after":NaN,"ref":Infinity}',
        b"\xff\xfe{\x00}\x00",
        b'{"ref":"\\ud800"}',
        b"payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D",
    ],
    ids=["deep-lists", "deep-objects", "huge-number", "not-numbers", "utf-16", "lone-surrogate", "form"],
)
def test_what_json_readers_choke_on_is_only_a_doorbell_without_a_hint(raw: bytes, tmp_path: Path) -> None:
    with blocking(tmp_path) as (post, _):
        answer = post("/github", content=raw, headers=sign_delivery("github", raw, SECRET))
        assert answer.status_code == 202
        assert answer.json()["announced"] is None


async def test_a_body_without_an_end_is_cut_off_at_one_mebibyte(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    async with receiver(tmp_path) as (client, service):
        answer = await client.post("/github", content=endless())
        assert answer.status_code == 413
        assert sent <= MAX_BODY_BYTES + 2 * 65_536
        assert service.meters.webhooks["github", "too-large"] == 1


@pytest.mark.parametrize("length", ["-1", "1e9", "²", "99999999999999999999999"])
async def test_a_false_content_length_is_no_way_around_the_limit(length: str, tmp_path: Path) -> None:
    async with receiver(tmp_path) as (client, _):
        headers = {"Content-Length": length.encode()}
        answer = await client.post("/github", content=b"x" * (MAX_BODY_BYTES + 1), headers=headers)
        assert answer.status_code == 413


async def test_nothing_that_a_caller_chooses_becomes_a_label_of_a_metric(tmp_path: Path) -> None:
    async with receiver(tmp_path) as (client, service):
        for name in ("azure", "a" * 500, "%00", "..%2f..%2fetc", "GitHub"):
            assert (await client.post(f"/{name}", content=b"{}")).status_code == 404
        assert set(service.meters.webhooks) <= {("unknown", "unknown-provider")}


async def test_a_signature_for_one_body_does_not_fit_another(tmp_path: Path) -> None:
    async with receiver(tmp_path) as (client, service):
        headers = sign_delivery("github", b'{"ref":"refs/heads/main"}', SECRET)
        answer = await client.post("/github", content=b'{"ref":"refs/heads/main" }', headers=headers)
        assert answer.status_code == 401
        raw = json.dumps({"ref": "refs/heads/main", "after": GOOD.id}).encode()
        answer = await client.post("/github", content=raw, headers=sign_delivery("github", raw, SECRET))
        assert answer.status_code == 202
        assert service.rung == [(DEFAULT_SOURCE, GOOD.id)]
