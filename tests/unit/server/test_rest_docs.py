from __future__ import annotations

import re
from pathlib import Path

from gitsync.control.webhook import PROVIDERS
from tests.unit.server.conftest import Site

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "rest.md"


async def test_every_route_is_documented_and_no_other(site: Site) -> None:
    schema = (await site.client.get("/openapi.json")).json()
    routes = {f"{verb.upper()} {path}" for path, verbs in schema["paths"].items() for verb in verbs}
    assert set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) [^`]+)`", DOCS.read_text(), re.MULTILINE)) == routes


async def test_every_route_says_what_it_does_and_which_ones_need_a_token(site: Site) -> None:
    schema = (await site.client.get("/openapi.json")).json()
    guarded = set()
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            assert operation.get("description"), path
            if operation.get("security"):
                guarded.add(f"{verb.upper()} {path}")
    assert guarded == {
        "POST /api/v1/sources/{name}/sync",
        "POST /api/v1/agents/{uid}/restart",
        "GET /api/v1/audit",
    }
    for line in DOCS.read_text().splitlines():
        if line.startswith("| `"):
            route = line.split("`")[1]
            assert (route in guarded) == ("Needs a token" in line), route


async def test_the_front_door_leads_to_the_list_of_calls(site: Site) -> None:
    answer = await site.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert (await site.client.get("/docs")).text.count(">token</span>") == 3
    lost = (await site.client.get("/api/v1/nothing")).json()
    assert (lost["status"], lost["hint"]) == (404, "the routes are listed at /docs")


def test_every_provider_is_documented_with_its_header() -> None:
    text = DOCS.read_text()
    for name, provider in PROVIDERS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{provider.signature_header}`" in row.lower()
