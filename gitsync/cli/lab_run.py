"""How `gitsync lab` runs: its parts are started in order, and stopped in the other order, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import typer
from rich.console import Console
from rich.live import Live

from gitsync.cli.failure import ExitCode, TimedOutError
from gitsync.cli.lab import Plan
from gitsync.cli.options import Format
from gitsync.cli.serve import only_cause
from gitsync.cli.table import show_rows
from gitsync.errors import GitsyncError, Unavailable
from gitsync.lab.collector import HOW_TO_GET, RealAgent, find_programs, real_agent
from gitsync.lab.fleet import SimulatedFleet
from gitsync.lab.measurement import Measurement, Stopwatch
from gitsync.lab.picture import Watcher
from gitsync.lab.repository import editable_files, make_repository
from gitsync.lab.rest import ServerView
from gitsync.lab.server import ServerProcess, last_lines, server_process

INTERRUPTED = 130
"""What shells say about a program that ended by Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that runs.

    Attributes:
        repository: None when the server is not ours.
        started: when its server was told to start.
    """

    plan: Plan
    server: ServerProcess
    view: ServerView
    repository: Path | None
    real: RealAgent | None
    started: datetime
    stop: asyncio.Event


def run_lab(plan: Plan) -> int:
    """Runs the lab in a place of its own, which is removed unless something went wrong; the exit code.

    Raises:
        GitsyncError: it could not run, or the time was over.
    """
    # With all links resolved: this is the path that people are shown and that the server watches.
    place = Path(tempfile.mkdtemp(prefix="gitsync-lab-")).resolve()
    try:
        code = _loop_run(plan, place)
    except BaseExceptionGroup as group:
        known = only_cause(group)
        if known is None:
            raise
        _keep(place)
        raise known from None
    except GitsyncError:
        _keep(place)
        raise
    except asyncio.CancelledError:
        code = INTERRUPTED
    shutil.rmtree(place, ignore_errors=True)
    return code


def _keep(place: Path) -> None:
    typer.echo(f"the lab's files are in {place}", err=True)


def _loop_run(plan: Plan, place: Path) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_main(plan, place))
    return uvloop.run(_main(plan, place))


def _on_signals(call: Callable[[], object]) -> None:
    """What Ctrl-C, a closed terminal and `kill` do from now on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, call)


async def _main(plan: Plan, place: Path) -> int:
    stop = asyncio.Event()
    itself = asyncio.current_task()
    assert itself is not None
    _on_signals(itself.cancel)  # while nothing runs yet that wants to end in order
    async with _opened(plan, place, stop) as running, asyncio.TaskGroup() as tasks:
        _on_signals(stop.set)
        fleet = SimulatedFleet(plan.profiles, running.server.opamp_url, seed=plan.seed)
        agents = tasks.create_task(fleet.run(stop), name="lab-fleet")
        guard = tasks.create_task(_guard(running), name="lab-server-guard")
        try:
            return await (_measure(running, fleet) if plan.once else _show(running))
        finally:
            stop.set()
            guard.cancel()
            await asyncio.wait([agents])


@asynccontextmanager
async def _opened(plan: Plan, place: Path, stop: asyncio.Event) -> AsyncIterator[Lab]:
    """Server, repository and real Collector, made or found."""
    started = _now()
    async with AsyncExitStack() as stack:
        repository, real = None, None
        if plan.opamp is not None:
            assert plan.server is not None
            server = ServerProcess(plan.opamp, plan.server.rstrip("/"))
        else:
            repository = make_repository(plan.directory or place / "config-repo")
            data = (plan.data_dir or place / "data").absolute()
            server = await stack.enter_async_context(server_process(repository, data, place))
            programs = None if plan.once else find_programs(os.environ)
            if programs is not None:
                agent = real_agent(programs, _as_socket(server.opamp_url), place / "collector", Random())  # noqa: S311
                real = await stack.enter_async_context(agent)
        view = await stack.enter_async_context(ServerView(server.http_url))
        yield Lab(plan, server, view, repository, real, started, stop)


def _as_socket(url: str) -> str:
    return "ws" + url.removeprefix("http") if url.startswith("http") else url


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the lab compares its own times with those of its server


async def _guard(running: Lab) -> None:
    """Ends the lab when its server ends.

    Raises:
        Unavailable: it did; the text has the end of its log.
    """
    process, log_file = running.server.process, running.server.log_file
    if process is None or log_file is None:
        return
    code = await process.wait()
    if not running.stop.is_set():
        raise Unavailable(
            f"the server ended with exit code {code}", code="lab.server", hint=f"{log_file}: {last_lines(log_file)}"
        )


async def _measure(running: Lab, fleet: SimulatedFleet) -> int:
    """Measures, and prints what came of it; the exit code."""
    assert running.repository is not None
    patience, loop = running.plan.timeout, asyncio.get_running_loop()
    stopwatch = Stopwatch(running.view, fleet, running.repository, _now)
    try:
        async with asyncio.timeout(patience.total_seconds()) as limit:

            def end_now() -> None:
                running.stop.set()
                limit.reschedule(loop.time())

            _on_signals(end_now)
            measured = await stopwatch.measure(running.started)
    except TimeoutError:
        if running.stop.is_set():
            return INTERRUPTED
        raise TimedOutError(
            f"not all agents had APPLIED within {patience.total_seconds():g} s",
            code="lab.timeout",
            hint=f"{fleet.connected()} of {len(fleet.agents)} connected; --timeout gives it more time",
        ) from None
    if running.plan.output is Format.JSON:
        typer.echo(json.dumps(measured.as_json(), indent=2))
    else:
        _print_measurement(measured)
    return ExitCode.FINE


def _print_measurement(measured: Measurement) -> None:
    typer.echo(
        f"{measured.agents} agents, {measured.able} able to apply, {measured.without_target} without a target;"
        f" connected in {measured.connect_seconds:g} s"
    )
    header = ["STEP", "COMMIT", "REVISION", "AGENTS", "PUBLISHED", "ALL APPLIED", "P50", "P99"]
    rows = [
        [one.name, one.commit[:10], str(one.revision), str(one.agents)]
        + [f"{each:.3f} s" for each in (one.commit_to_published, one.release_to_applied, one.p50, one.p99)]
        for one in measured.steps
    ]
    show_rows(header, rows)


async def _show(running: Lab) -> int:
    """The live table on a terminal, a line at each change elsewhere, until it is told to stop."""
    for line in _hints(running):
        typer.echo(line)
    watcher = Watcher(running.view, None if running.real is None else running.real.uid)
    last = ""
    console = Console(no_color=True if os.environ.get("NO_COLOR") else None)
    if not sys.stdout.isatty():
        async for picture in watcher.pictures():
            if picture.line() != last:
                last = picture.line()
                typer.echo(last)
            if running.stop.is_set():
                return ExitCode.FINE
    with Live(console=console, auto_refresh=False) as live:
        async for picture in watcher.pictures():
            live.update(picture.table(), refresh=True)
            if running.stop.is_set():
                break
    return ExitCode.FINE


def _hints(running: Lab) -> list[str]:
    """Where everything is, and what to try next."""
    server = running.server
    lines = [
        f"agents      {len(running.plan.profiles)} simulated, on {server.opamp_url}",
        f"REST, docs  {server.http_url}/docs",
    ]
    if running.repository is None:
        return [*lines, "Ctrl-C stops", ""]
    kept = "kept" if running.plan.directory else "removed at the end; --directory DIR keeps it"
    if running.real is None:
        lines.append(HOW_TO_GET)
    else:
        lines.append(f"Collector   {running.real.programs.collector}, a real one; log: {running.real.log_file}")
    files = editable_files(running.repository)
    name = str(files[0].relative_to(running.repository)) if files else "FILE"
    return [
        *lines,
        f"server log  {server.log_file}",
        f"repository  {running.repository} ({kept})",
        "",
        "Try next, in another terminal:",
        *path_hint(),
        f"  export GITSYNC_SERVER={server.http_url} GITSYNC_TOKEN_FILE={server.token_file}",
        f"  cd {running.repository}",
        f"  $EDITOR {name} && git commit -am 'a change'      # and watch it arrive below",
        "  git revert --no-edit HEAD                        # the old configuration is back",
        f"  echo 'receivers: [' >> {name} && git commit -am 'broken'",
        "  gitsync describe commit $(git rev-parse HEAD)    # nothing was published; this says why",
        "  git revert --no-edit HEAD",
        "  gitsync get agents",
        "Ctrl-C stops everything.",
        "",
    ]


def path_hint() -> list[str]:
    """A line that puts this `gitsync` on the PATH of another terminal; none when a shell finds it already."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("gitsync")
    if here.name != "gitsync" or (found is not None and Path(found).resolve() == here.resolve()):
        return []
    return [f'  export PATH="{here.parent}:$PATH"']
