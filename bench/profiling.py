"""Where the server's time goes: py-spy samples `gitsync serve` during each phase of a run."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.contenders import Gitsync
from bench.sides import Numbers, Plan, Side

SAMPLES_PER_SECOND = 250
START_SECONDS = 1.5
SHOWN = 24
LEAST_SHARE = 0.02
_LINE = re.compile(r":\d+\)")
_OURS = re.compile(r"\((gitsync|aiosqlite|sqlalchemy|json|logging)/")
_OUTER = ("gitsync/cli/", "gitsync/app.py", "gitsync/__main__.py")


@dataclass
class Profile:
    """Samples of one phase: with a function on the stack, in it itself, and all."""

    below: Counter[str] = field(default_factory=Counter)
    itself: Counter[str] = field(default_factory=Counter)
    total: int = 0


class ProfiledSide(Side):
    """A side whose phases are sampled."""

    def __init__(self, server: Gitsync, plan: Plan, directory: Path, sampler: str) -> None:
        self._sampler, self._directory = sampler, directory
        self.found: dict[str, tuple[Profile, float]] = {}
        super().__init__(server, plan, directory)

    def _sampled(self, phase: str, call: Callable[[], Numbers], cost: Callable[[Numbers], float]) -> Numbers:
        raw = self._directory / f"{phase}.raw"
        sampler = subprocess.Popen(
            [
                *(self._sampler, "record", "--nonblocking", "--rate", str(SAMPLES_PER_SECOND), "--duration", "300"),
                *("--pid", str(self.pid), "--format", "raw", "--output", str(raw)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(START_SECONDS)
        try:
            found = call()
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.wait()
        self.found[phase] = (_read(raw), cost(found))
        return found

    def _connect(self, count: int) -> Numbers:
        return self._sampled("connect", lambda: super(ProfiledSide, self)._connect(count), lambda one: one["cpu_us"])

    def _beats(self, rate: float, seconds: float) -> Numbers:
        return self._sampled(
            "heartbeat", lambda: super(ProfiledSide, self)._beats(rate, seconds), lambda one: one["cpu_us"]
        )

    def _push(self, kib: int) -> Numbers:
        if self._agents < 2:
            return super()._push(kib)
        return self._sampled(
            f"push-{kib}",
            lambda: super(ProfiledSide, self)._push(kib),
            lambda one: one["cpu_s"] / self._agents * 1e6,
        )

    def _storm(self) -> Numbers:
        return self._sampled("storm", super()._storm, lambda one: one["cpu_us"])


def _read(raw: Path) -> Profile:
    """Counts the samples of one phase."""
    found = Profile()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit():  # a name that was read while the process changed it: samples do not stop the server
            continue
        frames = [_LINE.sub(")", one) for one in stack.split(";")]
        found.total += int(count)
        found.itself[frames[-1]] += int(count)
        for frame in set(frames):
            found.below[frame] += int(count)
    return found


def profile_lines(plan: Plan) -> list[str]:
    """Tables of where the CPU goes, by phase; one line that says so when py-spy is not there."""
    sampler = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if sampler is None:
        return ["py-spy is not installed: `make bench` installs it."]
    print("profile: gitsync once more, sampled", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        side = ProfiledSide(Gitsync(), replace(plan, sizes_kib=(16,), pushes=1), Path(directory), sampler)
        try:
            side.run()
        finally:
            side.stop()
    lines = ["A run apart, sampled by py-spy. `us`: the function with all that it calls."]
    for phase, (found, cost) in side.found.items():
        lines += ["", f"**{phase}**: {cost:.0f} us for each agent or message, sampling included", ""]
        lines += ["| us | us itself | share | function |", "|---|---|---|---|", *_rows(found, cost)]
    return lines


def _rows(found: Profile, cost: float) -> list[str]:
    """The functions that matter; one that only calls the next is left out."""
    each = cost / max(found.total, 1)
    rows: list[str] = []
    before = 0
    for frame, count in found.below.most_common():
        own = found.itself[frame]
        passes_on = own < 0.2 * count and count > 0.96 * before
        if count < LEAST_SHARE * found.total or len(rows) == SHOWN:
            break
        if _OURS.search(frame) and not any(one in frame for one in _OUTER) and not passes_on:
            rows.append(f"| {count * each:.1f} | {own * each:.1f} | {count / found.total:.0%} | {frame} |")
            before = count
    return rows
