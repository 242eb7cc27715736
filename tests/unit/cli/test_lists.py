from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from gitsync.ids import show_uid
from gitsync.labels import RankedLabels
from tests.support.builders import a_uid
from tests.support.webservice import BAD, GOOD, fleet
from tests.unit.cli.conftest import Running

UIDS = [show_uid(a_uid(number)) for number in (1, 2, 3)]
AGENTS = f"""\
NAME     UID                                    TARGET     COMMIT       REVISION     STATE     HEALTH      CONNECTED   \
REASON
edge-1   {UIDS[0]}   agents     356a192b79   1763000001   applied   Healthy     yes         -
edge-2   {UIDS[1]}   agents     356a192b79   1763000001   failed    Unhealthy   yes         \
everything that could be given to it has failed on it: bind: address in use
gw-1     {UIDS[2]}   gateways   356a192b79   1763000001   pending   -           no          \
it cannot take configuration: it does not declare AcceptsRemoteConfig \
(of a supervisor: accepts_remote_config is off in the supervisor's file)
"""
TARGETS = """\
TARGET     COMMIT       REVISION     PHASE       AGENTS   APPLIED   FAILED   SELECTOR
agents     356a192b79   1763000001   Succeeded   2        1         1        role=edge
gateways   356a192b79   1763000001   Succeeded   0        0         0        role=gateway
"""
COMMITS = """\
COMMIT       VERDICT    IN EFFECT   ERRORS   WARNINGS   SEEN                   AUTHOR   SUBJECT
da4b9237ba   rejected   no          1        1          2026-11-21 12:01:00Z   Ann      Break the edge
356a192b79   accepted   yes         0        0          2026-11-21 12:00:00Z   Ann      Add the edge
"""
RELEASES = """\
REVISION     COMMIT       CAUSE     IN EFFECT   CREATED                AUTHOR   SUBJECT
1763000001   356a192b79   publish   yes         2026-11-21 12:00:00Z   Ann      Add the edge
"""
SOURCES = """\
NAME      REF    HEAD         COMMIT       REVISION     LAST SYNC   FETCHED                \
URL                                 ERROR
default   main   356a192b79   356a192b79   1763000001   published   2026-11-21 12:00:00Z   \
https://git.example.com/fleet.git   -
"""
HISTORY = """\
TIME                   TARGET   CAUSE    COMMIT       FROM   TO           BY       SUBJECT
2026-11-21 12:00:00Z   agents   commit   356a192b79   -      356a192b79   system   Add the edge
"""


@pytest.mark.parametrize(
    ("command", "table"),
    [
        ("get agents", AGENTS),
        ("get agent", AGENTS),
        ("get targets", TARGETS),
        ("get commits", COMMITS),
        ("get releases", RELEASES),
        ("get sources", SOURCES),
        ("history", RELEASES),
        ("history agents", HISTORY),
    ],
)
async def test_a_list_is_a_plain_aligned_table(running: Running, command: str, table: str) -> None:
    done = await running.gitsync(*command.split())
    assert (done.code, done.err) == (0, "")
    assert done.out == table


async def test_the_header_can_be_left_out(running: Running) -> None:
    done = await running.gitsync("get", "commits", "--no-header")
    assert [line.split()[0] for line in done.out.splitlines()] == [BAD.id[:10], GOOD.id[:10]]


async def test_a_wide_table_has_more_columns_and_the_reason_stays_last(running: Running) -> None:
    header = (await running.gitsync("get", "agents", "-o", "wide")).out.splitlines()[0]
    assert header.split()[-1] == "REASON"
    for name in ("CONFIG", "RUNS", "VERSION", "TRANSPORT", "ADDRESS", "LAST SEEN", "LABELS"):
        assert name in header


async def test_names_can_be_given_to_other_commands(running: Running) -> None:
    done = await running.gitsync("get", "agents", "-o", "name", "-l", "role=gateway")
    assert done.out == f"agent/{UIDS[2]}\n"
    assert (await running.gitsync("get", "targets", "-o", "name")).out == "target/agents\ntarget/gateways\n"


async def test_json_and_yaml_are_the_document_of_the_server(running: Running) -> None:
    document = json.loads((await running.gitsync("get", "agents", "-o", "json")).out)
    assert (document["apiVersion"], document["kind"]) == ("gitsync/v1", "AgentList")
    assert [one["uid"] for one in document["items"]] == UIDS
    shown = yaml.load((await running.gitsync("get", "agents", "-o", "yaml")).out, yaml.CSafeLoader)  # noqa: TID251
    assert shown == document


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["-l", "role=edge"], 2),
        (["--selector", "role in (edge),host.name!=edge-1"], 1),
        (["--state", "failed"], 1),
        (["--target", "agents"], 2),
        (["--connected"], 2),
        (["--disconnected"], 1),
    ],
)
async def test_agents_are_filtered_by_the_server(running: Running, options: list[str], count: int) -> None:
    done = await running.gitsync("get", "agents", "--no-header", *options)
    assert len(done.out.splitlines()) == count


async def test_nothing_found_is_no_error_and_leaves_the_output_empty(running: Running) -> None:
    done = await running.gitsync("get", "agents", "-l", "role=nothing")
    assert (done.code, done.out, done.err) == (0, "", "nothing found\n")


async def test_all_pages_of_a_long_list_are_read(running: Running) -> None:
    one = fleet()[0]
    many = [replace(one, agent=replace(one.agent, uid=a_uid(number), current=None)) for number in range(10, 1_215)]
    await running.service.store.save_agents(many, [])
    done = await running.gitsync("get", "agents", "-o", "name")
    assert len(set(done.out.splitlines())) == 1_205 + 3


async def test_a_limit_is_kept(running: Running) -> None:
    assert len((await running.gitsync("get", "commits", "--limit", "1", "--no-header")).out.splitlines()) == 1
    assert (await running.gitsync("get", "commits", "--limit", "0")).code == 2


async def test_what_an_agent_says_cannot_act_on_the_terminal(running: Running) -> None:
    one = fleet()[0]
    name = "evil\x1b[2J\r\n\u202etxt.exe\x9b31m"
    labels = RankedLabels(reported={"service.name": "otelcol", "host.name": name})
    await running.service.store.save_agents([replace(one, agent=replace(one.agent, labels=labels))], [])
    for output in ("table", "wide", "json", "yaml", "name"):
        done = await running.gitsync("get", "agents", "-o", output)
        assert not set("\x1b\r\x9b") & set(done.out), output
    table = (await running.gitsync("get", "agents")).out
    assert r"evil\x1b[2J\r\n\u202etxt.exe\x9b31m" in table
    assert len(table.splitlines()) == 4
    document = json.loads((await running.gitsync("get", "agents", "-o", "json")).out)
    assert document["items"][0]["name"] == name
