"""gitsync's judgement next to `otelcol validate`: per file, per statement, and for a whole repository."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime as moment
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

from bench.programs import CACHE, HERE, Talking
from bench.repository import TARGETS, write_repository
from tests.agreement.cases import ConfigCase, hand_written_configs, hand_written_texts
from tests.agreement.verdicts import load
from tests.support.oracle import ORACLE, oracle_binary
from tests.support.tools import go_version

GATEWAY = HERE / "gateway.yaml"
VERSION = "0.159.0"
BOTH = ("0.149.0", VERSION)
VARIABLES = {"BACKEND_PASSWORD": "secret"}
"""What `gateway.yaml` names; the real Collector needs it."""
FILES = 30
PACKAGES = ("google-re2", "pyyaml", "typer", "pydantic")
CYCLES = 5
REPEATS = 20
"""In-process judgements of a file in each turn: one is too short to be timed alone."""
LONG = 200
"""Judgements of the large file, for a P99."""


def measure_validation(*, quick: bool) -> dict[str, Any]:
    """Everything; both sides in turns."""
    from gitsync.worker.schemas import load_catalog

    at = moment.now(UTC)  # noqa: TID251 - results say when they were measured
    began, before = time.monotonic(), os.getloadavg()[0]
    cycles = 1 if quick else CYCLES
    builds = {"one": load_catalog().build("contrib", [VERSION]), "two": load_catalog().build("contrib", BOTH)}
    with tempfile.TemporaryDirectory() as directory, _collector() as collector:
        files = _files(Path(directory), builds["two"])
        print(f"validate: {len(files)} files, {cycles} turns", flush=True)
        part = {
            "files": _measure_files(files, collector, builds, cycles),
            "long": {name: _long(build) for name, build in builds.items()},
            "statements": _measure_statements(collector, builds["one"].newest.ottl, cycles),
        }
        print(f"validate: {TARGETS} targets, {cycles} turns", flush=True)
        part["repository"] = {
            name: _measure_repository(Path(directory) / name, versions, cycles)
            for name, versions in (("one", (VERSION,)), ("two", BOTH))
        }
    part["machine"] = _machine_lines()
    part["load"] = [before, os.getloadavg()[0]]
    part["began"] = at.strftime("%Y-%m-%d %H:%M UTC")
    part["cycles"] = cycles
    part["seconds"] = time.monotonic() - began
    return part


def _machine_lines() -> list[str]:
    packages = ", ".join(f"{one} {version(one)}" for one in PACKAGES)
    kind = f"{platform.system()} {platform.release()} {platform.machine()}"
    return [
        f"- machine: {os.cpu_count()} cores, {kind}, shared and noisy",
        f"- gitsync: Python {platform.python_version()}, {packages}",
        f"- Collector {ORACLE.version}, {go_version()}",
    ]


@contextmanager
def _collector() -> Iterator[Talking]:
    """The real Collector that answers one case after the other, without a start for each."""
    talking = Talking([str(oracle_binary()), "batch"])
    try:
        yield talking
    finally:
        talking.stop()


def _files(directory: Path, build: Any) -> list[Path]:
    """Valid configurations of the corpus, from the smallest to the largest in even steps, and the realistic one."""
    from gitsync.collector.judge import judge_files

    verdicts = load()
    cases = [
        one
        for one in hand_written_configs()
        if one.id in verdicts and verdicts[one.id].valid and len(one.files) == 1 and not one.env and _stands_alone(one)
    ]
    cases = [one for one in cases if judge_files([("a.yaml", one.files[0].encode())], build).valid]
    cases.sort(key=lambda one: (len(one.files[0]), one.id))
    chosen = [cases[number * (len(cases) - 1) // (FILES - 1)] for number in range(FILES)]
    paths = []
    for number, case in enumerate(chosen):
        paths.append(directory / f"{number:02d}.yaml")
        paths[-1].write_text(case.files[0])
    return [*paths, GATEWAY]


def _stands_alone(case: ConfigCase) -> bool:
    """Whether it reads nothing from around it, and is the text that a file would hold."""
    return "${" not in case.files[0] and case.files[0].isascii()


def _measure_files(files: Sequence[Path], collector: Talking, builds: Any, cycles: int) -> list[dict[str, Any]]:
    from gitsync.collector.judge import judge_files

    command = str(oracle_binary())
    found = []
    for path in files:
        data = path.read_bytes()
        case = {"id": path.name, "configs": [data.decode()], "env": VARIABLES}
        one: dict[str, Any] = {"lines": data.count(b"\n"), "real": [], "batch": [], "ours": [], "both": [], "cli": []}
        _expect_valid(collector.ask("judge", **case)["valid"], judge_files([(path.name, data)], builds["two"]).valid)
        for _ in range(cycles):
            one["real"].append(_process([command, "validate", "--config", str(path)], files[0].parent)["wall_s"] * 1e3)
            one["batch"].append(_timed(lambda case=case: collector.ask("judge", **case), 1))
            for name, build in (("ours", builds["one"]), ("both", builds["two"])):
                one[name].append(_timed(lambda data=data, build=build: judge_files([("a.yaml", data)], build), REPEATS))
            one["cli"].append(_process(_gitsync("validate", "--collector", str(path)), files[0].parent)["wall_s"] * 1e3)
        found.append(one)
    return found


def _expect_valid(*verdicts: bool) -> None:
    if not all(verdicts):
        raise RuntimeError("both sides are compared by what they take: a valid configuration was refused")


def _long(build: Any) -> dict[str, float]:
    """Milliseconds for the realistic file."""
    from gitsync.collector.judge import judge_files

    data = GATEWAY.read_bytes()
    times = sorted(_timed(lambda: judge_files([("a.yaml", data)], build), 1) for _ in range(LONG))
    return {"lines": data.count(b"\n"), "p50": statistics.median(times), "p99": times[LONG * 99 // 100 - 1]}


def _measure_statements(collector: Talking, tables: Any, cycles: int) -> dict[str, Any]:
    """Microseconds for each valid text of the corpus, all of them one after the other."""
    from gitsync.ottl.judge import judge_text

    verdicts = load()
    texts = [one for one in hand_written_texts() if one.id in verdicts and verdicts[one.id].valid]
    lines = "".join(
        json.dumps({"id": one.id, "context": one.context, "kind": one.kind, "text": one.text}) + "\n" for one in texts
    )

    def ours() -> None:
        for one in texts:
            judge_text(one.text, one.kind, one.context, tables)

    def single() -> list[float]:
        return [
            _timed(lambda one=one: judge_text(one.text, one.kind, one.context, tables), REPEATS) * 1e3 for one in texts
        ]

    ours()
    runs: dict[str, Any] = {"count": len(texts), "real": [], "ours": []}
    for _ in range(cycles):
        runs["real"].append(_timed(lambda: _pour(collector, lines, len(texts)), 1) * 1e3 / len(texts))
        runs["ours"].append(_timed(ours, 1) * 1e3 / len(texts))
    each = sorted(single())
    runs |= {"p50": statistics.median(each), "p99": each[len(each) * 99 // 100 - 1], "most": each[-1]}
    return runs


def _pour(collector: Talking, lines: str, count: int) -> None:
    """Sends all cases without waiting for an answer in between."""
    sender = Thread(target=collector.send, args=(lines,))
    sender.start()
    for _ in range(count):
        collector.read()
    sender.join()


def _measure_repository(root: Path, versions: Sequence[str], cycles: int) -> dict[str, Any]:
    """A repository in a new process, and again in one that has it all loaded."""
    write_repository(root, versions)
    cold = [_process(_gitsync("validate", str(root), "-o", "json"), root) for _ in range(cycles + 1)][1:]
    done = subprocess.run(
        [sys.executable, "-c", _WARM, str(root)], env=_environment(), capture_output=True, text=True, check=True
    )
    return {"cold": cold, **json.loads(done.stdout)}


_WARM = """
import json, os, sys, time
from pathlib import Path
from bench.process import memory_kib
from gitsync.bundle.compile import compile_bundle
from gitsync.cli.worktree import read_tree
from gitsync.worker.schemas import load_catalog

catalog = load_catalog()
tree = read_tree(Path(sys.argv[1]))
before = memory_kib(os.getpid())
times = []
for _ in range(6):
    at = time.perf_counter()
    assert compile_bundle(tree, catalog).bundle is not None
    times.append((time.perf_counter() - at) * 1e3)
after = memory_kib(os.getpid())
print(json.dumps({"first": times[0], "warm": times[1:], "before_kib": before, "after_kib": after}))
"""


def _gitsync(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gitsync", *arguments]


def _environment() -> dict[str, str]:
    """An installed package has its bytecode, so ours gets it too, wherever this checkout lies."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **VARIABLES, "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"), "PYTHONPATH": str(HERE.parent)}


def _process(command: Sequence[str], cwd: Path) -> dict[str, float]:
    """Runs a command that must succeed: seconds from start to end, and CPU seconds."""
    began = time.perf_counter()
    child = subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime}


def _timed(call: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) * 1e3 / repeats
