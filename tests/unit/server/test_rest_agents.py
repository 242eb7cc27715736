"""Restart commands, duplicates and components over REST."""

from __future__ import annotations

from dataclasses import replace

from gitsync.control.connected import components_body
from gitsync.control.inventory import stored_key
from gitsync.errors import Conflict
from gitsync.fleet.connection import AgentConnection, OfferState, SectionOffer
from gitsync.ids import show_uid
from gitsync.opamp.messages import Component
from tests.support.builders import NOW, a_uid, later
from tests.unit.server.conftest import Site

UID = show_uid(a_uid(1))
COLLECTOR = {
    "receivers": Component(
        members={
            "otlp": Component({"code.namespace": "go.example.com/otlpreceiver v0.149.0"}),
            "nop": Component({"code.namespace": "go.example.com/nopreceiver v0.149.0"}),
        }
    ),
    "processors": Component(members={"batch": Component({"code.namespace": "go.example.com/batch v0.148.0"})}),
}


async def test_a_restart_is_accepted_and_says_how_far_it_is(site: Site) -> None:
    answer = await site.trusted.post(f"/api/v1/agents/{UID}/restart")
    assert answer.status_code == 202
    document = answer.json()
    assert (document["kind"], document["uid"], document["command"]) == ("Command", UID, "restart")
    assert document["restart"]["state"] == "sent"
    shown = (await site.client.get(f"/api/v1/agents/{UID}")).json()
    assert shown["restart"] == document["restart"]


async def test_a_restart_needs_a_token(site: Site) -> None:
    assert (await site.client.post(f"/api/v1/agents/{UID}/restart")).status_code == 401
    assert site.service.restarted == []


async def test_an_unknown_agent_cannot_be_restarted(site: Site) -> None:
    answer = await site.trusted.post(f"/api/v1/agents/{show_uid(a_uid(99))}/restart")
    assert (answer.status_code, answer.json()["code"]) == (404, "agent.unknown")


async def test_a_refusal_says_what_is_in_the_way(site: Site) -> None:
    site.service.cannot_restart[a_uid(1)] = Conflict(
        "the agent is connected to another server, replica-2", code="agent.elsewhere"
    )
    answer = await site.trusted.post(f"/api/v1/agents/{UID}/restart")
    assert (answer.status_code, answer.json()["code"]) == (409, "agent.elsewhere")
    assert "replica-2" in answer.json()["detail"]


async def test_an_agent_with_a_twin_names_it(site: Site) -> None:
    store = site.service.store
    (record,) = (await store.load_agents([a_uid(1)])).values()
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["duplicate"] is None
    await store.save_agents([replace(record, agent=replace(record.agent, twin=a_uid(7)))], [])
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["duplicate"] == show_uid(a_uid(7))


async def test_components_are_shown_whole_and_in_short(site: Site) -> None:
    store = site.service.store
    (record,) = (await store.load_agents([a_uid(1)])).values()
    await store.save_agents([replace(record, agent=replace(record.agent, components=b"build"))], [])
    missing = await site.client.get(f"/api/v1/agents/{UID}/components")
    assert (missing.status_code, missing.json()["code"]) == (404, "components.unknown")
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["build"] is None
    await store.keep_blob(stored_key(b"build"), "components", components_body(COLLECTOR), NOW)
    document = (await site.client.get(f"/api/v1/agents/{UID}/components")).json()
    build = {
        "hash": b"build".hex(),
        "counts": {"processors": 1, "receivers": 2},
        "versions": ["v0.148.0", "v0.149.0"],
    }
    assert (document["kind"], document["build"]) == ("Components", build)
    assert document["items"]["receivers"]["members"]["otlp"]["metadata"] == {
        "code.namespace": "go.example.com/otlpreceiver v0.149.0"
    }
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["build"] == build


async def test_an_agent_that_reports_no_components_has_none(site: Site) -> None:
    answer = await site.client.get(f"/api/v1/agents/{show_uid(a_uid(3))}/components")
    assert (answer.status_code, answer.json()["code"]) == (404, "components.unknown")


async def test_an_agent_shows_what_became_of_its_connection_settings(site: Site) -> None:
    store = site.service.store
    (record,) = (await store.load_agents([a_uid(1)])).values()
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["connectionSettings"] is None
    known = AgentConnection(b"12", {"opamp": SectionOffer(b"1", OfferState.DONE)}, NOW, later(3), heartbeat_seconds=20)
    await store.save_agents([replace(record, agent=replace(record.agent, connection=known))], [])
    assert (await site.client.get(f"/api/v1/agents/{UID}")).json()["connectionSettings"] == {
        "state": "done",
        "sections": {"opamp": "done"},
        "offeredAt": "2026-11-21T12:00:00.000Z",
        "changedAt": "2026-11-21T12:00:03.000Z",
        "heartbeatSeconds": 20,
        "error": "",
    }
