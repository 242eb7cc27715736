from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from gitsync.control.records import SourceRecord
from gitsync.control.service import SourceStatus, SyncResult
from gitsync.errors import Unavailable
from gitsync.ids import DEFAULT_SOURCE, SourceName
from tests.support.webservice import BAD, GOOD, REVISION
from tests.unit.cli.conftest import Running

REJECTED = """\
commit da4b9237ba was rejected, 1 error; revision 1763000001 keeps serving
  agents/collector.yaml:7:18: error GS2101: pipeline refers to exporter otpl (did you mean otlp?)
  agents/collector.yaml:3: warning GS2901: nothing uses this receiver"""


@pytest.mark.parametrize(
    ("result", "code", "text"),
    [
        (SyncResult("noop", GOOD.id, REVISION), 0, "nothing new at commit 356a192b79, revision 1763000001"),
        (SyncResult("published", GOOD.id, REVISION), 0, "published commit 356a192b79 as revision 1763000001"),
        (
            SyncResult("rejected", BAD.id, REVISION, "", 1),
            1,
            REJECTED,
        ),
        (
            SyncResult("refused", GOOD.id, None, "the history was rewritten"),
            1,
            "commit 356a192b79 was refused: the history was rewritten; revision 1763000001 keeps serving",
        ),
        (SyncResult("error", None, None, "cannot reach the host"), 2, "the sync failed: cannot reach the host"),
    ],
    ids=["noop", "published", "rejected", "refused", "error"],
)
async def test_what_came_of_it_is_said_and_told_to_the_shell(
    running: Running, result: SyncResult, code: int, text: str
) -> None:
    running.service.result = result
    done = await running.gitsync("sync")
    assert (done.code, done.out, done.err) == (code, f"source default: {text}\n", "")
    ((source, actor, waited),) = running.service.synced
    assert (source, waited) == (DEFAULT_SOURCE, True)
    assert actor.startswith("token:")


async def test_a_first_commit_that_is_bad_leaves_nothing_serving(running: Running) -> None:
    running.service.statuses = [replace(running.service.statuses[0], revision=None, published=None)]
    running.service.result = SyncResult("rejected", BAD.id, None, "", 1)
    assert "1 error; nothing was published before\n" in (await running.gitsync("sync")).out


async def test_without_waiting_it_is_only_started(running: Running) -> None:
    done = await running.gitsync("sync", "default", "--no-wait")
    assert (done.code, done.out) == (0, "source default: sync started\n")


async def test_it_can_be_a_document(running: Running) -> None:
    running.service.result = replace(running.service.result, outcome="rejected", errors=2)
    done = await running.gitsync("sync", "-o", "json")
    assert (done.code, json.loads(done.out)["errors"]) == (1, 2)


async def test_waiting_too_long_is_exit_code_3(running: Running) -> None:
    running.service.hang = asyncio.Event()
    done = await running.gitsync("sync", "--timeout", "200ms")
    running.service.hang.set()
    assert done.code == 3
    assert "did not answer within 0.2 s" in done.err


@pytest.mark.parametrize("timeout", ["0s", "soon", "-1s", "5"])
async def test_a_timeout_that_is_none_is_refused_before_anything_is_sent(running: Running, timeout: str) -> None:
    done = await running.gitsync("sync", f"--timeout={timeout}")
    assert done.code == 2
    assert running.service.synced == []


async def test_a_server_that_cannot_do_it_now_says_so(running: Running) -> None:
    running.service.failure = Unavailable("this server is not the leader now", hint="try again in a moment")
    done = await running.gitsync("sync")
    assert (done.code, done.err) == (
        2,
        "error: this server is not the leader now\nhint: try again in a moment\n",
    )


async def test_with_several_sources_it_asks_which(running: Running) -> None:
    names = [SourceName("a"), SourceName("b")]
    running.service.statuses = [SourceStatus(SourceRecord(name, "https://git.example.com", "main")) for name in names]
    done = await running.gitsync("sync")
    assert (done.code, done.err) == (2, "error: say which source\nhint: gitsync sync a|b\n")
    assert (await running.gitsync("sync", "b")).code == 0
    assert running.service.synced[0][0] == "b"


async def test_without_a_token_it_says_where_one_is_looked_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    (running.directory / "admin.token").unlink()
    done = await running.gitsync("sync")
    assert (done.code, running.service.synced) == (2, [])
    assert done.err.startswith("error: this call needs a token\nhint: set GITSYNC_TOKEN or GITSYNC_TOKEN_FILE")
