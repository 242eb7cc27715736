"""`python -m bench`: measures the story of a commit, and writes bench/RESULTS.md."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.collector import collector_story

RESULTS = Path(__file__).with_name("RESULTS.md")
LAB_RUNS = 3
AGENTS = 1_000


def lab_story(agents: int) -> dict[str, object]:
    """One run of the lab, with a server of its own."""
    command = [sys.executable, "-m", "gitsync", "lab", "--agents", str(agents), "--once", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def median_and_range(values: Sequence[float]) -> str:
    """`median [least-most]`, in seconds."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


def lab_table(runs: Sequence[dict[str, object]]) -> list[str]:
    """Rows of the lab's steps over all runs."""
    lines = ["| step | commit to published, s | release to all APPLIED, s | per agent P50, s | per agent P99, s |"]
    lines.append("|---|---|---|---|---|")
    for number, name in enumerate(("first", "change", "revert")):
        steps = [run["steps"][number] for run in runs]  # type: ignore[index]
        cells = [
            median_and_range([step[key] for step in steps])
            for key in ("commitToPublishedSeconds", "releaseToAllAppliedSeconds", "p50Seconds", "p99Seconds")
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def versions(run: dict[str, object]) -> str:
    """The programs that were measured."""
    found = run["versions"]
    assert isinstance(found, dict)
    return ", ".join(f"{name} {version}" for name, version in found.items() if name != "python")


async def main() -> None:
    """Measures and writes."""
    began = time.monotonic()
    print(f"lab: {LAB_RUNS} runs of {AGENTS} agents", flush=True)
    runs = [lab_story(AGENTS) for _ in range(LAB_RUNS)]
    print("collector: commits to a real Collector under the OpAMP supervisor", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        pushes = await collector_story(Path(directory))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    text = [
        "# Results",
        "",
        "Written by `make bench`. Seconds, as median [least-most] over all runs; the machine is shared and noisy.",
        "",
        f"- machine: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {load} at the end",
        f"- versions: Python {platform.python_version()}, " + versions(runs[0]),
        f"- the whole took {time.monotonic() - began:.0f} s",
        "",
        "## The story of a commit, simulated agents",
        f"`gitsync lab --agents {AGENTS} --once -o json`, {LAB_RUNS} runs: server and agents on this machine,",
        "80 % on WebSocket, 20 % by HTTP polling each second (which bounds their part below). `first` has the start of",
        "the server and the connecting of all agents in it.",
        "",
        *lab_table(runs),
        "",
        "Wanted: 1,000 agents all APPLIED within 2 s of the release on 2 cores.",
        "",
        "## The story of a commit, a real Collector",
        "Collector and supervisor v0.158.0 on WebSocket. From the webhook's delivery, with the commit already pushed:",
        "",
        "| until | s |",
        "|---|---|",
        *(f"| {name} | {median_and_range(values)} |" for name, values in pushes.items()),
        "",
        "Wanted: healthy within 2 s of the webhook. APPLIED comes when the supervisor's own `config_apply_timeout` has",
        "run out (1 s here, 5 s by default).",
        "",
    ]
    RESULTS.write_text("\n".join(text))
    print(f"wrote {RESULTS.name}")


asyncio.run(main())
