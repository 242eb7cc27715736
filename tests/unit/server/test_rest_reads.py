from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gitsync.control.records import SourceRecord
from gitsync.control.service import SourceStatus
from gitsync.ids import SourceName, show_digest, show_uid
from tests.support.builders import a_uid
from tests.support.webservice import BAD, GOOD, REVISION, edge_payload
from tests.unit.server.conftest import Site

EDGE_1, EDGE_2, GATEWAY = (show_uid(a_uid(number)) for number in (1, 2, 3))
HASH = show_digest(edge_payload().digest)


async def read(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["apiVersion"] == "gitsync/v1"
    return document


async def refused(client: httpx.AsyncClient, path: str, status: int) -> Any:
    answer = await client.get(f"/api/v1{path}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "code", "detail", "hint"}
    assert body["status"] == status
    return body


async def test_a_source_shows_what_was_fetched_and_what_is_in_effect(site: Site) -> None:
    (one,) = (await read(site.client, "/sources"))["items"]
    assert one["kind"] == "Source"
    assert (one["head"], one["published"], one["revision"]) == (GOOD.id, GOOD.id, REVISION)
    assert one["fetchedAt"] == "2026-11-21T12:00:00.000Z"
    assert await read(site.client, "/sources/default") == one


async def test_a_credential_in_the_url_of_a_source_is_never_shown(site: Site) -> None:
    record = replace(site.service.statuses[0].record, url="https://user:hunter2@git.example.com/fleet.git")
    site.service.statuses = [replace(site.service.statuses[0], record=record)]
    one = await read(site.client, "/sources/default")
    assert one["url"] == "https://git.example.com/fleet.git"


async def test_commits_come_newest_first_with_their_verdicts(site: Site) -> None:
    items = (await read(site.client, "/commits"))["items"]
    assert [(one["id"], one["verdict"], one["errors"], one["inEffect"]) for one in items] == [
        (BAD.id, "rejected", 1, False),
        (GOOD.id, "accepted", 0, True),
    ]
    assert items[0]["author"] == "Ann <ann@example.com>"


async def test_a_prefix_of_four_digits_finds_a_commit_and_every_file_has_a_verdict(site: Site) -> None:
    one = await read(site.client, f"/commits/{BAD.id[:4].upper()}")
    assert one["id"] == BAD.id
    assert [(each["path"], each["verdict"]) for each in one["files"]] == [
        ("agents/collector.yaml", "error"),
        ("agents/target.yaml", "ok"),
        ("gitsync.yaml", "ok"),
    ]
    first = one["diagnostics"][0]
    assert (first["path"], first["line"], first["column"], first["code"]) == ("agents/collector.yaml", 7, 18, "GS2101")
    assert first["hint"] == "did you mean otlp?"


async def test_a_commit_that_was_never_judged_is_a_404_that_says_so(site: Site) -> None:
    body = await refused(site.client, "/commits/ffffff", 404)
    assert body["code"] == "commit.unknown"
    assert "ffffff" in body["detail"]


@pytest.mark.parametrize("prefix", ["abc", "nothex", "a" * 65, "%00000"])
async def test_what_cannot_be_the_begin_of_a_commit_id_is_refused(site: Site, prefix: str) -> None:
    assert (await refused(site.client, f"/commits/{prefix}", 422))["code"] == "request.invalid"


async def test_lists_are_paged_by_the_link_header_and_the_body(site: Site) -> None:
    answer = await site.client.get("/api/v1/commits?limit=1")
    following = answer.json()["next"]
    assert answer.headers["link"] == f'<{following}>; rel="next"'
    assert [one["id"] for one in answer.json()["items"]] == [BAD.id]
    second = (await site.client.get(following)).json()
    assert [one["id"] for one in second["items"]] == [GOOD.id]
    last = (await site.client.get(second["next"])).json()
    assert (last["items"], last["next"]) == ([], None)


async def test_agents_are_paged_by_uid_without_a_gap_or_a_repeat(site: Site) -> None:
    seen: list[str] = []
    url: str | None = "/api/v1/agents?limit=1&selector=service.name%3Dotelcol"
    while url is not None:
        page = (await site.client.get(url)).json()
        seen += [one["uid"] for one in page["items"]]
        url = page["next"]
    assert seen == [EDGE_1, EDGE_2, GATEWAY]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many"])
async def test_a_limit_outside_its_range_is_refused(site: Site, limit: str) -> None:
    await refused(site.client, f"/agents?limit={limit}", 422)


async def test_a_release_names_its_commit_author_and_subject(site: Site) -> None:
    (one,) = (await read(site.client, "/releases"))["items"]
    assert (one["revision"], one["commit"], one["cause"], one["inEffect"]) == (REVISION, GOOD.id, "publish", True)
    assert (one["author"], one["subject"]) == (GOOD.author, GOOD.subject)
    assert await read(site.client, f"/releases/{REVISION}") == one


async def test_a_revision_between_two_releases_is_not_found(site: Site) -> None:
    assert (await refused(site.client, f"/releases/{REVISION + 1}", 404))["code"] == "release.unknown"
    await refused(site.client, f"/releases/{2**62}", 422)


async def test_a_target_counts_its_agents(site: Site) -> None:
    items = {one["path"]: one for one in (await read(site.client, "/targets"))["items"]}
    assert items["agents"]["agents"] == {"pending": 0, "offered": 0, "applying": 0, "applied": 1, "failed": 1}
    assert items["agents"]["configHash"] == HASH
    assert items["gateways"]["selector"] == "role=gateway"


async def test_a_target_shows_how_far_its_connection_settings_are(site: Site) -> None:
    items = {one["path"]: one for one in (await read(site.client, "/targets"))["items"]}
    expected = {"problem": "stopped", "waiting": 1, "done": 2, "bad": 1, "held": 3}
    assert items["agents"]["connection"] == expected
    assert items["gateways"]["connection"] is None
    assert (await read(site.client, "/targets/agents"))["connection"] == expected


async def test_a_target_shows_its_configuration_and_where_each_value_was_written(site: Site) -> None:
    one = await read(site.client, "/targets/agents?payload=true")
    (body,) = one["payload"]["objects"]
    assert body["text"] == edge_payload().objects[0].body.decode()
    assert body["sha256"] == HASH
    origin = one["payload"]["provenance"]["exporters::otlp::endpoint"]
    assert origin == {"path": "agents/collector.yaml", "line": 3, "column": 15}
    assert (await read(site.client, "/targets/agents"))["payload"] is None


async def test_the_history_of_a_target_names_the_commits(site: Site) -> None:
    (one,) = (await read(site.client, "/targets/agents"))["history"]
    assert (one["cause"], one["before"], one["after"]["commit"]) == ("commit", None, GOOD.id)
    listed = (await read(site.client, "/history?target=agents"))["items"]
    assert listed == [one]
    assert len((await read(site.client, "/history"))["items"]) == 2


async def test_a_target_is_found_with_its_source_before_it(site: Site) -> None:
    assert (await read(site.client, "/targets/default:agents"))["path"] == "agents"
    body = await refused(site.client, "/targets/nowhere/env=prod", 404)
    assert body["code"] == "target.unknown"
    assert "agents" in body["hint"]


async def test_an_agent_shows_commit_and_revision_apart_and_why(site: Site) -> None:
    items = {one["name"]: one for one in (await read(site.client, "/agents"))["items"]}
    edge = items["edge-1"]
    assert (edge["commit"], edge["revision"], edge["state"], edge["healthy"]) == (GOOD.id, REVISION, "applied", True)
    assert (edge["configHash"], edge["runs"], edge["reason"]) == (HASH, HASH, "up-to-date")
    assert "accepts_remote_config" in items["gw-1"]["reasonText"]


async def test_an_offer_that_failed_is_not_shown_as_what_the_agent_runs(site: Site) -> None:
    one = await read(site.client, f"/agents/{EDGE_2}")
    assert one["runs"] is None
    assert one["reported"] == {"configHash": HASH, "status": "FAILED", "error": "bind: address in use"}
    assert one["failed"] == [HASH]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("target=agents", ["edge-1", "edge-2"]),
        ("target=default:agents", ["edge-1", "edge-2"]),
        ("target=gone/for/long", []),
        ("state=failed", ["edge-2"]),
        ("connected=false", ["gw-1"]),
        ("selector=role%3Dedge,env!%3Dtest", ["edge-1", "edge-2"]),
        ("selector=host.name+in+(edge-2,gw-1)", ["edge-2", "gw-1"]),
        ("selector=%20", ["edge-1", "edge-2", "gw-1"]),
        (f"after={EDGE_1}", ["edge-2", "gw-1"]),
    ],
)
async def test_agents_are_filtered(site: Site, query: str, names: list[str]) -> None:
    assert [one["name"] for one in (await read(site.client, f"/agents?{query}"))["items"]] == names


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("selector=a%3D%3D%3Db", 400, "selector.invalid"),
        ("state=happy", 422, "request.invalid"),
        ("after=no-uid", 400, "uid.invalid"),
        ("target=other:agents", 404, "source.unknown"),
    ],
)
async def test_a_filter_that_cannot_be_read_says_what_is_wrong(site: Site, query: str, status: int, code: str) -> None:
    assert (await refused(site.client, f"/agents?{query}", status))["code"] == code


async def test_one_agent_shows_everything_that_is_known(site: Site) -> None:
    one = await read(site.client, f"/agents/{EDGE_1.upper()}")
    assert one["labelsByRank"]["reported"]["env"] == "prod"
    assert one["labelsByRank"]["certificate"] == {}
    assert "ACCEPTS_REMOTE_CONFIG" in one["capabilities"]
    health = one["health"]
    assert (health["status"], health["reason"], health["reportedStatus"]) == ("Healthy", "", "StatusOK")
    assert health["components"]["pipeline:traces"]["healthy"] is True
    assert health["metrics"] == {"cpu_usage_percent": 12.5, "queue_size": 40.0}
    assert health["recentErrors"] == [
        {"timestamp": "2026-11-21T12:00:00.000Z", "message": "connection refused", "count": 3}
    ]
    assert one["configStatus"] == {"hash": HASH, "lastApplied": "2026-11-21T12:00:00.000Z", "status": "APPLIED"}
    assert one["packages"]["offered"] is False
    assert [(each["name"], each["version"], each["status"]) for each in one["packages"]["items"]] == [
        ("plugin", "1.2.0", "INSTALLED")
    ]
    assert [each["state"] for each in one["attempts"]] == ["proven"]
    assert one["steps"][:2] == ["type: collector", "target: agents"]


async def test_health_is_one_word_in_lists_and_null_for_agents_that_do_not_report_it(site: Site) -> None:
    items = {one["name"]: one["health"] for one in (await read(site.client, "/agents"))["items"]}
    assert items["edge-1"] == {"status": "Healthy", "reason": ""}
    assert items["edge-2"] == {"status": "Unhealthy", "reason": "bind: address in use"}
    assert items["gw-1"] is None
    one = await read(site.client, f"/agents/{GATEWAY}")
    assert (one["health"], one["packages"]) == (None, None)
    assert one["configStatus"] == {"hash": None, "lastApplied": None, "status": "UNSET"}


async def test_why_is_told_step_by_step(site: Site) -> None:
    why = await read(site.client, f"/agents/{EDGE_2}/why")
    assert why["reason"] == "all-failed"
    assert "bind: address in use" in " ".join([why["text"], *why["steps"]])
    assert any("role=edge" in step for step in why["steps"])


async def test_the_effective_configuration_is_given_as_it_was_reported(site: Site) -> None:
    one = await read(site.client, f"/agents/{EDGE_1}/effective")
    assert (one["text"], one["base64"], one["size"]) == ("exporters: {}\n", None, 14)
    assert (await refused(site.client, f"/agents/{EDGE_2}/effective", 404))["code"] == "effective.unknown"


async def test_an_unknown_agent_and_a_name_that_is_no_uid_are_told_apart(site: Site) -> None:
    assert (await refused(site.client, f"/agents/{show_uid(a_uid(99))}", 404))["code"] == "agent.unknown"
    assert (await refused(site.client, "/agents/edge-1", 400))["code"] == "uid.invalid"


async def test_a_payload_and_its_statements_are_found_by_hash(site: Site) -> None:
    assert (await read(site.client, f"/payloads/{HASH}"))["configHash"] == HASH
    (envelope,) = (await read(site.client, f"/statements/{HASH.removeprefix('sha256:')}"))["items"]
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    unknown = "0" * 64
    assert (await refused(site.client, f"/payloads/{unknown}", 404))["code"] == "payload.unknown"
    assert (await refused(site.client, f"/statements/{unknown}", 404))["code"] == "statement.unknown"
    assert (await refused(site.client, "/payloads/sha256:12", 400))["code"] == "digest.invalid"


async def test_an_object_that_is_no_text_travels_as_base64(site: Site) -> None:
    from gitsync.bundle.version import ConfigObject, Payload

    payload = Payload.of([ConfigObject("blob", "application/octet-stream", "", b"\xff\x00")])
    site.service.payloads[payload.digest] = payload
    (one,) = (await read(site.client, f"/payloads/{show_digest(payload.digest)}"))["objects"]
    assert (one["text"], one["base64"]) == (None, "/wA=")


async def test_with_several_sources_a_call_says_which(site: Site) -> None:
    site.service.statuses = [
        SourceStatus(SourceRecord(SourceName(name), f"https://git.example.com/{name}", "main")) for name in ("a", "b")
    ]
    body = await refused(site.client, "/commits", 404)
    assert (body["code"], body["hint"]) == ("source.unknown", "known are: a, b")
    assert (await read(site.client, "/commits?source=b"))["items"] == []
    assert (await refused(site.client, "/commits?source=c", 404))["code"] == "source.unknown"
    assert (await refused(site.client, f"/commits/{GOOD.id}", 404))["code"] == "commit.unknown"


async def test_the_root_is_given_as_the_signer_wrote_it(site: Site) -> None:
    site.service.root = b'{"threshold":1}'
    answer = await site.client.get("/api/v1/root")
    assert json.loads(answer.content) == {"threshold": 1}
    assert answer.headers["content-type"] == "application/json"


async def test_every_answer_forbids_sniffing_framing_and_other_origins(site: Site) -> None:
    for path in ("/healthz", "/docs", "/api/v1/agents", "/api/v1/nothing"):
        headers = (await site.client.get(path, headers={"Origin": "https://evil.example"})).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(site: Site) -> None:
    assert (await refused(site.client, "/nothing", 404))["code"] == "http.not-found"
    answer = await site.client.delete("/api/v1/agents")
    assert (answer.status_code, answer.json()["code"]) == (405, "http.method-not-allowed")


async def test_the_docs_page_lists_every_route_and_loads_nothing_from_elsewhere(site: Site) -> None:
    page = (await site.client.get("/docs")).text
    schema = (await site.client.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.")
    for path in schema["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://gitsync.test", "")
    assert (await site.client.get("/docs/style.css")).headers["content-type"].startswith("text/css")
