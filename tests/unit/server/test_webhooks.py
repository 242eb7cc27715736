from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.control.records import SourceRecord
from gitsync.control.service import SourceStatus
from gitsync.ids import DEFAULT_SOURCE, SourceName
from gitsync.server import WebhookSecrets
from tests.support.webservice import GOOD
from tests.unit.server.conftest import SECRET, Site

PUSH = json.dumps({"ref": "refs/heads/main", "after": GOOD.id, "repository": {"clone_url": "http://evil/"}}).encode()
DIGEST = hmac.new(SECRET, PUSH, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("github", {"X-Hub-Signature-256": f"sha256={DIGEST}", "X-GitHub-Event": "push"}),
        ("gitea", {"X-Gitea-Signature": DIGEST}),
        ("forgejo", {"X-Forgejo-Signature": DIGEST}),
        ("gitlab", {"X-Gitlab-Token": SECRET.decode()}),
        ("bitbucket", {"X-Hub-Signature": f"sha256={DIGEST}"}),
        ("generic", {"X-Gitsync-Signature": f"sha256={DIGEST.upper()}"}),
    ],
)
async def test_a_delivery_signed_as_the_provider_signs_rings_the_bell(
    site: Site, provider: str, headers: dict[str, str]
) -> None:
    answer = await site.client.post(f"/api/v1/webhooks/{provider}", content=PUSH, headers=headers)
    assert answer.status_code == 202
    assert answer.json()["result"] == "accepted"
    assert site.service.rung == [(DEFAULT_SOURCE, GOOD.id)]
    assert site.service.meters.webhooks == {(provider, "accepted"): 1}


async def ring(site: Site, path: str, body: bytes = PUSH, secret: bytes = SECRET) -> tuple[int, dict[str, object]]:
    proof = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    answer = await site.client.post(f"/api/v1/webhooks/{path}", content=body, headers={"X-Hub-Signature-256": proof})
    return answer.status_code, answer.json()


async def test_the_old_secret_counts_as_long_as_it_stands_in_the_file(site: Site) -> None:
    assert (await ring(site, "github", secret=b"the old secret"))[0] == 202
    assert (await ring(site, "github", secret=b"the oldest secret"))[0] == 401


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "webhook.no-signature"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, "webhook.bad-signature"),
        ({"X-Hub-Signature-256": DIGEST}, "webhook.bad-signature"),
        ({"X-Hub-Signature": f"sha1={DIGEST[:40]}"}, "webhook.no-signature"),
    ],
)
async def test_a_delivery_without_the_right_signature_is_refused_and_counted(
    site: Site, headers: dict[str, str], code: str
) -> None:
    answer = await site.client.post("/api/v1/webhooks/github", content=PUSH, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert site.service.rung == []
    assert site.service.meters.webhooks["github", code.removeprefix("webhook.")] == 1


async def test_a_push_to_another_branch_is_taken_and_ignored(site: Site) -> None:
    body = json.dumps({"ref": "refs/heads/feature", "after": GOOD.id}).encode()
    status, answer = await ring(site, "github", body)
    assert (status, answer["result"], answer["sources"]) == (202, "ignored", [])
    assert site.service.rung == []


async def test_a_ping_without_a_ref_rings_without_a_hint(site: Site) -> None:
    assert (await ring(site, "github", b'{"zen":"Keep it simple"}'))[0] == 202
    assert site.service.rung == [(DEFAULT_SOURCE, None)]


async def test_a_deleted_branch_announces_no_commit(site: Site) -> None:
    await ring(site, "github", json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode())
    assert site.service.rung == [(DEFAULT_SOURCE, None)]


async def test_an_unknown_provider_is_told_which_ones_there_are(site: Site) -> None:
    status, answer = await ring(site, "azure")
    assert (status, answer["code"]) == (404, "webhook.provider")
    assert "github, gitlab" in str(answer["hint"])


async def test_one_of_several_sources_is_named_by_path_or_query(site: Site) -> None:
    names = [SourceName("a"), SourceName("b")]
    site.service.statuses = [SourceStatus(SourceRecord(name, "https://git.example.com", "main")) for name in names]
    for path, rung in (("github/b", ["b"]), ("github?source=a", ["a"]), ("github", ["a", "b"])):
        site.service.rung.clear()
        status, answer = await ring(site, path)
        assert (status, answer["sources"]) == (202, rung)
        assert [name for name, _ in site.service.rung] == rung
    assert (await ring(site, "github/c"))[0] == 404


async def test_a_source_that_follows_a_full_ref_name_is_rung_by_it(site: Site) -> None:
    record = replace(site.service.statuses[0].record, ref="refs/heads/main")
    site.service.statuses = [replace(site.service.statuses[0], record=record)]
    assert (await ring(site, "github"))[1]["result"] == "accepted"


async def test_without_a_secret_no_delivery_is_taken(site: Site, tmp_path: Path) -> None:
    (tmp_path / "webhook.secret").write_bytes(b"\n \n")
    status, answer = await ring(site, "github", secret=b"")
    assert (status, answer["code"]) == (401, "webhook.no-secret")


def test_a_renewed_secret_file_is_read_at_once_and_a_missing_one_takes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    secrets = WebhookSecrets(file)
    assert secrets.load() == ()
    file.write_bytes(b" one \r\ntwo\n")
    assert secrets.load() == (b"one", b"two")
    file.write_bytes(b"three")
    assert secrets.load() == (b"three",)
    assert WebhookSecrets().load() == ()
