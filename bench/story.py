"""The story of a commit: how long it takes to reach simulated agents, and a real Collector."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.collector import collector_story
from bench.figures import median_and_range

LAB_RUNS = 3
AGENTS = 1_000


def lab_story(agents: int) -> dict[str, Any]:
    """One run of the lab, with a server of its own."""
    command = [sys.executable, "-m", "gitsync", "lab", "--agents", str(agents), "--once", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def lab_table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Rows of the lab's steps over all runs."""
    lines = ["| step | commit to published, s | release to all APPLIED, s | per agent P50, s | per agent P99, s |"]
    lines.append("|---|---|---|---|---|")
    for number, name in enumerate(("first", "change", "revert")):
        steps = [run["steps"][number] for run in runs]
        cells = [
            median_and_range([step[key] for step in steps], 2)
            for key in ("commitToPublishedSeconds", "releaseToAllAppliedSeconds", "p50Seconds", "p99Seconds")
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


async def measure_story() -> dict[str, Any]:
    """Both stories."""
    print(f"lab: {LAB_RUNS} runs of {AGENTS} agents", flush=True)
    runs = [lab_story(AGENTS) for _ in range(LAB_RUNS)]
    print("collector: commits to a real Collector under the OpAMP supervisor", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        pushes = await collector_story(Path(directory))
    return {"lab": runs, "collector": pushes}


def story_lines(measured: dict[str, Any]) -> list[str]:
    """The two sections of the results."""
    return [
        "## The story of a commit, simulated agents",
        f"`gitsync lab --agents {AGENTS} --once -o json`, {LAB_RUNS} runs: the server and all agents on this one",
        "machine, 80 % on WebSocket, 20 % by HTTP polling each second (which bounds their part below). `first`",
        "includes the start of the server and the connecting of all agents.",
        "",
        *lab_table(measured["lab"]),
        "",
        "Wanted: 1,000 agents all APPLIED within 2 s of the release on 2 cores.",
        "",
        "## The story of a commit, a real Collector",
        "Collector and supervisor v0.158.0 on WebSocket. From the webhook's delivery, with the commit already pushed:",
        "",
        "| until | s |",
        "|---|---|",
        *(f"| {name} | {median_and_range(values, 2)} |" for name, values in measured["collector"].items()),
        "",
        "Wanted: healthy within 2 s of the webhook. APPLIED comes when the supervisor's own `config_apply_timeout` has",
        "run out (1 s here, 5 s by default).",
        "",
    ]
