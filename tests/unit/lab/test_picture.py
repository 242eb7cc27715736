"""What the lab shows: a table and a line, from what a server says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from gitsync.errors import Unavailable
from gitsync.lab.measurement import percentile
from gitsync.lab.picture import Picture, Watcher
from gitsync.lab.rest import AgentRow, CommitRow, ServerView, TargetRow

GOOD = CommitRow("a" * 40, "all good", "accepted", 0)
BAD = CommitRow("b" * 40, "oh no", "rejected", 2)
UID = "018f6c3e-7a1b-7c2d-9e4f-000000000001"


def target(**changes: Any) -> TargetRow:
    counts = {"pending": 1, "offered": 1, "applying": 1, "applied": 4, "failed": 0}
    return TargetRow(
        **{"path": "agents/env=prod", "commit": "a" * 40, "revision": 7, "config_hash": None, **counts, **changes}
    )


def shown(picture: Picture) -> str:
    console = Console(width=120, color_system=None, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(picture.table())
    return capture.get()


def test_the_table_has_a_row_for_each_target() -> None:
    picture = Picture((target(), target(path="gateways", applied=7)), Counter({"agents/env=prod": 5}), 9, 2, GOOD)

    lines = shown(picture).splitlines()

    assert lines[0].split() == ["TARGET", "COMMIT", "REVISION", "AGENTS", "OFFERED", "APPLIED", "FAILED", "HEALTHY"]
    assert lines[1].split() == ["agents/env=prod", "aaaaaaaaaa", "7", "7", "2", "4", "0", "5"]
    assert lines[2].split()[0] == "gateways"
    assert "9 agents connected, 2 without a target" in lines
    assert "last commit aaaaaaaaaa accepted: all good" in lines


def test_a_rejected_commit_is_said_with_its_errors() -> None:
    assert "last commit bbbbbbbbbb rejected, 2 errors" in shown(Picture(commit=BAD))
    assert "last commit bbbbbbbbbb rejected, 2 errors" in Picture(commit=BAD).line()
    assert Picture(commit=replace(BAD, errors=1)).line().endswith("rejected, 1 error")


def test_the_line_has_everything_of_the_table() -> None:
    real = AgentRow(UID, "host", "agents/env=prod", "applied", True, True)

    line = Picture((target(failed=1),), connected=8, commit=GOOD, real=real, trouble="no route").line()

    assert line == (
        "8 connected; last commit aaaaaaaaaa accepted: all good; agents/env=prod: 4/8 applied, 1 failed;"
        " real Collector: applied, target agents/env=prod; trouble: no route"
    )


def test_a_real_collector_is_in_the_table() -> None:
    real = AgentRow(UID, "host", None, "pending", True, None)

    assert "real Collector: pending, target (none)" in shown(Picture(real=real))


def test_a_subject_cannot_move_the_cursor() -> None:
    commit = CommitRow("a" * 40, "\x1b[2J\nnew line", "accepted", 0)

    assert "\x1b" not in Picture(commit=commit).line()
    assert "\n" not in Picture(commit=commit).line()


def test_markup_in_names_is_only_text() -> None:
    assert "[red]x[/red]" in shown(Picture((target(path="[red]x[/red]"),)))


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, 0.0),
        ([1.0], 0.99, 1.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0], 0.99, 2.0),
        (list(range(1, 101)), 0.99, 99),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


# ── Looking at a server ─────────────────────────────────────────────────────────────────────────────────────


def agent(number: int, *, connected: bool = True, healthy: bool | None = True, of: str | None = "a") -> dict[str, Any]:
    uid = f"018f6c3e-7a1b-7c2d-9e4f-{number:012d}"
    return {
        "uid": uid,
        "name": f"n{number}",
        "target": of,
        "state": "applied",
        "connected": connected,
        "healthy": healthy,
    }


ANSWERS: Mapping[str, list[Any]] = {
    "/api/v1/targets": [
        {
            "path": "a",
            "commit": "c" * 40,
            "revision": 3,
            "configHash": "sha256:" + "0" * 64,
            "agents": {"pending": 0, "offered": 0, "applying": 0, "applied": 2, "failed": 0},
        }
    ],
    "/api/v1/commits": [{"id": "c" * 40, "subject": "s", "verdict": "accepted", "errors": 0}],
    "/api/v1/sources": [{"error": ""}, {"error": "no\x1broute"}],
    "/api/v1/agents": [
        agent(1),
        agent(2, healthy=None),
        agent(3, healthy=False),
        agent(4, connected=False),
        agent(5, of=None),
    ],
}


@asynccontextmanager
async def server(answers: Mapping[str, list[Any]]) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().partition("?")[0]
        body = json.dumps({"items": answers[path]}).encode() if path in answers else b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"


async def test_a_look_counts_healthy_agents_and_finds_the_real_one() -> None:
    async with server(ANSWERS) as url, ServerView(url) as view:
        picture = await Watcher(view, real_uid=UID).look()

    assert picture.connected == 4
    assert picture.others == 1
    assert picture.healthy == {"a": 2, None: 1}
    assert picture.real is not None
    assert picture.real.name == "n1"
    assert picture.trouble == "no?route"
    assert picture.targets[0].config_hash == bytes(32)


async def test_a_server_that_does_not_answer_leaves_the_last_picture_with_the_reason() -> None:
    async with ServerView("http://127.0.0.1:1") as view:
        pictures = Watcher(view).pictures()
        picture = await anext(pictures)
        await pictures.aclose()

    assert "the server does not answer /agents" in picture.line()


async def test_an_answer_of_another_shape_is_no_answer() -> None:
    async with server({}) as url, ServerView(url) as view:
        with pytest.raises(Unavailable, match="does not answer /targets"):
            await view.targets()
