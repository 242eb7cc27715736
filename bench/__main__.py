"""`python -m bench`: measures gitsync next to opamp-go, and writes bench/RESULTS.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from datetime import datetime as moment
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import report
from bench.profiling import profile_lines
from bench.programs import CACHE, HERE, Talking, build
from bench.sides import Plan, run_side
from bench.story import measure_story, story_lines
from bench.validation import measure_validation
from bench.validation_page import page

PARTS = ("plain", "tls", "growth", "story")
VALIDATE = "validate"
"""A part of its own, with a page of its own: its other side is not opamp-go."""
PLANS = {
    "plain": Plan(steps=(10_000,)),
    "tls": Plan(steps=(4_000,), beats_per_second=1000, tls=True),
    "growth": Plan(steps=(1_000, 4_000, 10_000, 19_000), sizes_kib=(16,), pushes=2, beat_seconds=4, storms=0),
}
CYCLES = {"plain": 3, "tls": 2, "growth": 1}
PACKAGES = ("gitsync-opamp", "protobuf", "sqlalchemy", "uvloop", "websockets")


def plan_of(name: str, arguments: argparse.Namespace) -> tuple[Plan, int]:
    """What to do, and how often."""
    plan, cycles = PLANS[name], CYCLES[name]
    if arguments.quick:
        plan, cycles = replace(plan, sizes_kib=(16,), pushes=2, beat_seconds=2), 1
        if name == "growth":
            plan = replace(plan, steps=(1_000, 5_000, 10_000))
        elif arguments.agents is None:
            plan = replace(plan, steps=(1_000,))
    if arguments.agents is not None:
        steps = tuple(one for one in plan.steps if one < arguments.agents) if name == "growth" else ()
        plan = replace(plan, steps=(*steps, arguments.agents))
    return plan, arguments.cycles or cycles


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both servers in turns."""
    plan, cycles = plan_of(name, arguments)
    began, before = time.monotonic(), os.getloadavg()[0]
    at = moment.now(UTC)  # noqa: TID251 - results say when they were measured
    sides = []
    for cycle in range(cycles):
        for server in (report.PEER, report.OURS):
            print(f"{name}: turn {cycle + 1} of {cycles}, {server}, {max(plan.steps):,} agents", flush=True)
            sides.append(run_side(server, plan))
    part: dict[str, Any] = {
        "agents": list(plan.steps),
        "sizes_kib": list(plan.sizes_kib),
        "cycles": cycles,
        "sides": sides,
        "began": at.strftime("%Y-%m-%d %H:%M UTC"),
        "load": [before, os.getloadavg()[0]],
        "command": f"python -m bench --only {name} --cycles {cycles}",
    }
    if name == "plain" and not arguments.quick:
        part["profile"] = profile_lines(plan)
    part["seconds"] = time.monotonic() - began
    return part


def machine_lines() -> list[str]:
    """What it was measured on and with."""
    peer = Talking([str(build("peer"))])
    found = peer.read()
    peer.stop()
    packages = ", ".join(f"{one} {version(one)}" for one in PACKAGES)
    kind = f"{platform.system()} {platform.release()} {platform.machine()}"
    return [
        f"- machine: {os.cpu_count()} cores, {kind}, shared and noisy",
        f"- gitsync: Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {packages}",
        f"- opamp-go {found['opamp_go']}, {found['go']}",
        f"- limits: {_descriptors():,} open files for each process",
    ]


def _descriptors() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def show(name: str, part: dict[str, Any]) -> Sequence[str]:
    """A part for the terminal."""
    if name == "growth":
        return report.growth_lines(part)
    if name == "story":
        return story_lines(part)
    return [*report.comparison_lines(part, tls=name == "tls"), "", *report.whole_lines(part)]


def main() -> None:
    """Measures and writes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=(*PARTS, VALIDATE), help="renew one part of the results")
    parser.add_argument("--quick", action="store_true", help="few repetitions; shown, and not written")
    parser.add_argument("--agents", type=int, help="another number of agents")
    parser.add_argument("--cycles", type=int, help="another number of turns")
    arguments = parser.parse_args()
    if arguments.only == VALIDATE:
        validate(quick=arguments.quick)
        return
    kept = CACHE / "parts.json"
    parts: dict[str, Any] = json.loads(kept.read_text()) if arguments.only and kept.exists() else {}
    for name in PARTS:
        if arguments.only in (None, name):
            if arguments.quick and name == "story" and not arguments.only:
                continue
            parts[name] = asyncio.run(measure_story()) if name == "story" else measure(name, arguments)
            print("\n".join(show(name, parts[name])), flush=True)
            if not arguments.quick and not arguments.agents:
                write({one: parts[one] for one in PARTS if one in parts}, kept)


def validate(*, quick: bool) -> None:
    """Measures validation, and writes its page."""
    text = page(measure_validation(quick=quick))
    print(text, flush=True)
    if not quick:
        (HERE / "VALIDATION.md").write_text(text)
        print("wrote bench/VALIDATION.md", flush=True)


def write(parts: dict[str, Any], kept: Path) -> None:
    """Keeps what was measured so far, and writes the page and the plots from it."""
    kept.write_text(json.dumps(parts))
    if "growth" in parts:
        report.write_plots(parts["growth"], HERE / "plots")
    (HERE / "RESULTS.md").write_text(report.results(parts, machine_lines()))
    print("wrote bench/RESULTS.md", flush=True)


if __name__ == "__main__":
    main()
