from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import text

from gitsync.cli.describe import write_number
from gitsync.cli.history import what_happened
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.connection import AgentConnection, OfferState, SectionOffer
from gitsync.ids import show_uid
from tests.support.builders import NOW, a_uid, later
from tests.support.webservice import BAD, GOOD
from tests.unit.cli.conftest import Running

COMMIT = f"""\
Commit:     {BAD.id}
Source:     default
Author:     Ann <ann@example.com>
Date:       2026-11-21 12:00:00Z
Subject:    Break the edge
Signed by:  -
Seen:       2026-11-21 12:01:00Z
Verdict:    rejected
In effect:  no

Files:
  error    agents/collector.yaml  (1 error, 1 warning)
  ok       2 files (-o wide names them)

Diagnostics:
  agents/collector.yaml:7:18: error GS2101: pipeline refers to exporter otpl
      hint: did you mean otlp?
  agents/collector.yaml:3: warning GS2901: nothing uses this receiver
"""


async def test_a_commit_shows_every_file_and_every_finding(running: Running) -> None:
    done = await running.gitsync("describe", "commit", BAD.id[:8])
    assert (done.code, done.out) == (0, COMMIT)
    wide = (await running.gitsync("describe", "commit", BAD.id[:8], "-o", "wide")).out
    assert "  ok       agents/target.yaml\n  ok       gitsync.yaml\n" in wide


async def test_what_is_no_commit_id_is_said_to_be_none(running: Running) -> None:
    done = await running.gitsync("describe", "commit", "main")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: 'main' is no commit id\nhint: give at least four")


async def test_names_of_one_thing_are_not_for_asking(running: Running) -> None:
    done = await running.gitsync("describe", "commit", BAD.id[:8], "-o", "name")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: -o name is for lists\nhint: table, wide, json or yaml\n"


@pytest.mark.parametrize("name", [show_uid(a_uid(1)), show_uid(a_uid(1)).upper(), "edge-1"])
async def test_an_agent_is_found_by_uid_and_by_name(running: Running, name: str) -> None:
    done = await running.gitsync("describe", "agent", name)
    assert done.code == 0
    assert f"UID:                     {show_uid(a_uid(1))}" in done.out
    assert "selector: role=edge (the agent has role=edge)" in done.out
    assert "Health:                  Healthy\n" in done.out
    assert "Config status:           APPLIED\nLast applied:            2026-11-21 12:00:00Z\n" in done.out
    assert "Packages:                1 reported; gitsync does not offer packages yet\n" in done.out
    assert "Health:\n  agent: healthy (StatusOK)\n    pipeline:traces: healthy\n\n" in done.out
    assert "Health metrics:\n  cpu_usage_percent=12.5\n  queue_size=40\n\n" in done.out
    assert "Recent errors:\n  2026-11-21 12:00:00Z  connection refused (3 times)\n" in done.out
    assert "  PACKAGE   VERSION   STATUS      ERROR\n  plugin    1.2.0     INSTALLED   -\n" in done.out
    assert "2026-11-21 12:00:00Z   sha256:ecc370df4504   1763000001   proven   1       -" in done.out


@pytest.mark.parametrize("name", ["nobody", "a,b", "x in (y)", "!z"])
async def test_an_agent_that_nobody_knows_is_said_to_be_unknown(running: Running, name: str) -> None:
    done = await running.gitsync("describe", "agent", name)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: no agent is called {name!r}\n")


async def test_a_name_that_several_agents_have_is_not_guessed(running: Running) -> None:
    done = await running.gitsync("describe", "agent", "otelcol")
    assert done.code == 2
    assert "several agents have service.name=otelcol" in done.err
    assert show_uid(a_uid(2)) in done.err


async def test_of_agents_with_one_name_the_only_connected_one_is_meant(running: Running) -> None:
    store = running.service.store
    records = (await store.load_agents([a_uid(1), a_uid(2), a_uid(3)])).values()
    await store.save_agents([replace(one, connected=one.agent.uid == a_uid(2)) for one in records], [])
    done = await running.gitsync("describe", "agent", "otelcol")
    assert done.code == 0
    assert f"UID:                     {show_uid(a_uid(2))}" in done.out


def test_history_tells_the_reason_when_the_commit_is_not_kept_any_more() -> None:
    happened = {"reason": "other connection settings; the configuration stays", "subject": "Move the edge"}
    assert what_happened(happened) == "Move the edge"
    assert what_happened({**happened, "subject": None}) == "other connection settings; the configuration stays"


async def test_a_line_of_the_history_without_its_publication_is_shown_all_the_same(running: Running) -> None:
    async with running.service.store._db.write() as connection:
        await connection.execute(text("UPDATE transition SET seq = 0"))
    described = (await running.gitsync("describe", "target", "agents")).out
    assert "commit      -           new version  by system" in described
    (line,) = (await running.gitsync("history", "agents", "--no-header")).out.splitlines()
    assert line.split()[3:6] == ["commit", "-", "-"]
    (shown,) = json.loads((await running.gitsync("history", "agents", "-o", "json")).out)["items"]
    assert (shown["commit"], shown["subject"]) == (None, None)


async def test_explain_tells_why(running: Running) -> None:
    done = await running.gitsync("explain", "agent", "gw-1")
    assert done.out.startswith("it cannot take configuration: it does not declare AcceptsRemoteConfig")
    assert "  target: gateways\n" in done.out
    document = json.loads((await running.gitsync("explain", "agent", "gw-1", "-o", "json")).out)
    assert document["reason"] == "cannot-take-config"


async def test_an_agent_that_is_not_well_says_why(running: Running) -> None:
    done = await running.gitsync("describe", "agent", "edge-2")
    assert "Health:                  Unhealthy (bind: address in use)\n" in done.out
    done = await running.gitsync("describe", "agent", "gw-1")
    assert "Health:                  -\n" in done.out
    assert "Packages:                -\n" in done.out


async def test_a_target_shows_its_configuration_with_the_file_and_line_of_each_value(running: Running) -> None:
    done = await running.gitsync("describe", "target", "agents", "--config")
    assert "Agents:      1 applied, 1 failed\n" in done.out
    assert f"2026-11-21 12:00:00Z  commit      {GOOD.id[:10]}  Add the edge  by system" in done.out
    assert "exporters:\n  otlp:\n    endpoint: backend:4317\n" in done.out
    assert "exporters::otlp::endpoint   agents/collector.yaml:3\n" in done.out
    assert "endpoint" not in (await running.gitsync("describe", "target", "agents")).out


async def test_a_target_shows_how_far_its_connection_settings_are(running: Running) -> None:
    done = await running.gitsync("describe", "target", "agents")
    assert "Connection:  stopped; 2 done, 1 on the way, 3 to follow, 1 failed\n" in done.out
    assert "Connection:  -\n" in (await running.gitsync("describe", "target", "gateways")).out
    header, first, *_ = (await running.gitsync("get", "targets", "-o", "wide")).out.splitlines()
    assert "CONNECTION" in header
    assert "stopped; 2 done" in first


async def test_a_target_that_does_not_exist_is_answered_with_those_that_do(running: Running) -> None:
    done = await running.gitsync("describe", "target", "nowhere")
    assert (done.code, done.err) == (2, "error: there is no target 'nowhere'\nhint: known are: agents, gateways\n")


@pytest.mark.parametrize("what", ["agent edge-1", f"commit {GOOD.id}", "target agents"])
async def test_each_description_is_also_a_document(running: Running, what: str) -> None:
    done = await running.gitsync("describe", *what.split(), "-o", "json")
    assert json.loads(done.out)["kind"].lower() == what.split(maxsplit=1)[0]


async def test_an_agent_shows_its_connection_settings_and_whose_uid_it_had(running: Running) -> None:
    store = running.service.store
    (record,) = (await store.load_agents([a_uid(1)])).values()
    sections = {"opamp": SectionOffer(b"1", OfferState.LOST), "telemetry": SectionOffer(b"2", OfferState.OFFERED)}
    known = AgentConnection(b"12", sections, NOW, later(120), heartbeat_seconds=45, error="no route to host")
    await store.save_agents([replace(record, agent=replace(record.agent, connection=known, twin=a_uid(7)))], [])
    lines = (await running.gitsync("describe", "agent", "edge-1")).out.splitlines()
    facts = dict(line.split(":", 1) for line in lines[: lines.index("")])
    assert facts["Flag"].strip() == f"duplicate-uid (of {show_uid(a_uid(7))})"
    assert facts["Connection settings"].strip() == (
        "opamp lost, telemetry offered: no route to host, 2026-11-21 12:02:00Z; heartbeat every 45 s"
    )


async def test_an_agent_that_does_not_run_what_it_says_is_flagged_and_its_reason_is_shown(
    running: Running,
) -> None:
    store = running.service.store
    (record,) = (await store.load_agents([a_uid(1)])).values()
    assert record.agent.current is not None
    attempt = replace(record.agent.current, state=AttemptState.APPLIED, tries=2, repeated=True, is_due=True)
    agent = replace(record.agent, current=attempt, contained=False, flag="not-in-effect")
    await store.save_agents([replace(record, agent=agent)], [])
    reason = "it says that it applied the configuration, but the one that it reports to run lacks it"
    described = (await running.gitsync("describe", "agent", "edge-1")).out
    facts = dict(line.split(":", 1) for line in described.splitlines() if ": " in line)
    assert (facts["Flag"].strip(), facts["Reason"].strip()) == ("not-in-effect", "not-in-effect")
    assert facts["State"].strip() == "applied"
    explained = (await running.gitsync("explain", "agent", "edge-1")).out
    assert explained.startswith(reason)
    assert "lacks the last offer, though it was offered it once more" in explained
    assert reason in (await running.gitsync("get", "agents")).out
    document = json.loads((await running.gitsync("describe", "agent", "edge-1", "-o", "json")).out)
    assert (document["flag"], document["reason"], document["reasonText"]) == ("not-in-effect", "not-in-effect", reason)


@pytest.mark.parametrize(("number", "text"), [(68_719_476_736.0, "68719476736"), (0.125, "0.125"), (12.0, "12")])
def test_numbers_of_large_hosts_are_written_out(number: float, text: str) -> None:
    assert write_number(number) == text
