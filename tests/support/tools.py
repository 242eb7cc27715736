"""The real agents that the interop tests drive: built or installed once per machine, then found again.

`python -m tests.support.tools` (called by `make test`) makes what is missing: two versions of the supervisor
and of a small Collector and an agent of the OpAMP reference client library from the Go modules in
`tests/interop/agents`, a virtual environment with the Python client from `requirements/interop.txt`, and the
Node.js client from its lock. All of it is pinned by checksums that are in the repository. Without Go or Node.js,
or without the network, it says so loudly and ends well: the tests then skip with that reason, or fail when the
environment variable CI is set.

Each tool has a directory of its own, named by a digest of all that decides what is built. A lock file next to
it lets several runs start at once, and a mark is written last, so that what an interrupted run left does not
count. The directories lie in `~/.cache/gitsync-tools`, or where `GITSYNC_TOOL_CACHE` says, or in
`.cache/interop` of the checkout when the home directory cannot be written.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
AGENTS = CHECKOUT / "tests" / "interop" / "agents"
REQUIREMENTS = CHECKOUT / "requirements" / "interop.txt"

#: Part of every digest: raise it when the way of building changes.
RECIPE = "1"
COMMAND_SECONDS = 1800.0
PROGRESS_SECONDS = 30.0
OUTPUT_LINES = 12
READY = ".ready"
HOW = "run `make test` or `python -m tests.support.tools`"
NO_GO = "there is no `go` on the path, and the real agents are built from their source with Go 1.25 or newer"
NO_NODE = "there is no `node` with `npm` on the path, and the Node.js client needs Node.js 18.19 or newer"


class ToolMissing(Exception):
    """A tool is not there; the text says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class GoTool:
    """A Go program pinned in `tests/interop/agents/<module>` by `modfile` and the `.sum` file next to it.

    Another `directory` may hold the Go module; `packages` are then the folders in it that the program is made of, and
    it is compiled as `go build` does there by default, so that the compiled packages are shared with other programs.
    """

    module: str
    version: str
    package: str
    modfile: str
    directory: Path | None = None
    packages: tuple[str, ...] = (".",)

    @property
    def name(self) -> str:
        """Name and version, for messages and for the cache."""
        return f"{self.module}-{self.version}"

    def key(self) -> str:
        """Directory in the cache, as a pattern: without Go any build of these sources is as good."""
        module = self.directory or AGENTS / self.module
        pins = module / self.modfile
        sources = [pins, pins.with_suffix(".sum")]
        for package in self.packages:
            sources += sorted((module / package).glob("*.go"))
        return f"{self.name}-{_digest(sources)}-{go_version() or '*'}"

    def obstacle(self) -> str:
        """Why it cannot be made here; empty when it can."""
        return NO_GO if go_version() is None else ""

    def artifact(self, home: Path) -> Path:
        """The program in the tool's directory."""
        return home / self.module

    def make(self, home: Path) -> None:
        """Builds the program into `home`.

        Raises:
            ToolMissing: the build failed.
        """
        nice = ["nice", "-n", "10"] if shutil.which("nice") else []
        trimmed = [] if self.directory else ["-trimpath"]
        pinned = [f"-modfile={self.modfile}", "-mod=readonly", *trimmed, "-ldflags=-s -w"]
        _run(
            self.name,
            [*nice, "go", "build", *pinned, "-o", str(self.artifact(home)), self.package],
            directory=self.directory or AGENTS / self.module,
            environment={
                **os.environ,
                **({} if self.directory else {"CGO_ENABLED": "0"}),
                "GOFLAGS": "-buildvcs=false",
                "GOTOOLCHAIN": "local",
                "GOWORK": "off",
            },
        )


@dataclass(frozen=True, slots=True)
class PythonTool:
    """A virtual environment that holds exactly the packages of one locked requirements file."""

    module: str
    version: str
    requirements: Path

    @property
    def name(self) -> str:
        """Name and version, for messages and for the cache."""
        return f"{self.module}-{self.version}"

    def key(self) -> str:
        """Directory in the cache; each Python has its own, as an environment points to its Python."""
        base = hashlib.sha256(sys.base_prefix.encode()).hexdigest()[:8]
        return f"{self.name}-{_digest([self.requirements])}-py{platform.python_version()}-{base}"

    def obstacle(self) -> str:
        """Why it cannot be made here; empty: this very Python makes it."""
        return ""

    def artifact(self, home: Path) -> Path:
        """The interpreter of the environment in the tool's directory."""
        return home / "bin" / "python"

    def make(self, home: Path) -> None:
        """Makes the environment in `home` with uv, or with venv and pip where there is no uv.

        Raises:
            ToolMissing: a package cannot be had, or it is not the one that was locked.
        """
        beside = Path(sys.executable).with_name("uv")
        uv = str(beside) if beside.exists() else shutil.which("uv")
        python = str(self.artifact(home))
        locked = ["--require-hashes", "-r", str(self.requirements)]
        if uv:
            create = [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(home)]
            install = [uv, "pip", "install", "-q", "--python", python, *locked]
        else:
            create = [sys.executable, "-m", "venv", str(home)]
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *locked]
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        for command in (create, install):
            _run(self.name, command, directory=CHECKOUT, environment=environment)


@dataclass(frozen=True, slots=True)
class NodeTool:
    """A Node.js program next to exactly the packages that its lock names, all copied from `directory`."""

    module: str
    version: str
    directory: Path

    #: What decides what is installed, and the program, which finds its packages beside itself.
    SOURCES: ClassVar[tuple[str, ...]] = ("package.json", "package-lock.json", ".npmrc", "agent.mjs")

    @property
    def name(self) -> str:
        """Name and version, for messages and for the cache."""
        return f"{self.module}-{self.version}"

    def key(self) -> str:
        """Directory in the cache; the packages hold nothing that depends on the machine."""
        return f"{self.name}-{_digest([self.directory / name for name in self.SOURCES])}"

    def obstacle(self) -> str:
        """Why it cannot be made here; empty when it can."""
        return "" if shutil.which("node") and shutil.which("npm") else NO_NODE

    def artifact(self, home: Path) -> Path:
        """The program in the tool's directory, for `node`."""
        return home / "agent.mjs"

    def make(self, home: Path) -> None:
        """Installs the packages into `home`; none of their scripts runs.

        Raises:
            ToolMissing: a package cannot be had, or it is not the one that was locked.
        """
        for name in self.SOURCES:
            shutil.copy(self.directory / name, home / name)
        _run(self.name, ["npm", "ci", "--ignore-scripts", "--loglevel=error"], directory=home, environment=os.environ)


Tool = GoTool | PythonTool | NodeTool

_SUPERVISOR_PACKAGE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/opampsupervisor"
PYTHON_CLIENT = PythonTool("python-client", "0.5b0", REQUIREMENTS)
NODE_CLIENT = NodeTool("node-client", "0.5.0", AGENTS / "node")
#: The newest version whose client can be built: v0.24.0 needs a module that not every proxy serves.
GO_CLIENT = GoTool("goclient", "v0.23.0", ".", "go.mod")
SUPERVISOR = GoTool("supervisor", "v0.158.0", _SUPERVISOR_PACKAGE, "go.mod")
COLLECTOR = GoTool("collector", "v0.158.0", ".", "go.mod")
#: The pair that many fleets still run: it has no automatic rollback, and other quirks.
OLD_SUPERVISOR = GoTool("supervisor", "v0.149.0", _SUPERVISOR_PACKAGE, "v0.149.mod")
OLD_COLLECTOR = GoTool("collector", "v0.149.0", ".", "v0.149.mod")
TOOLS: tuple[Tool, ...] = (
    PYTHON_CLIENT,
    NODE_CLIENT,
    GO_CLIENT,
    SUPERVISOR,
    COLLECTOR,
    OLD_SUPERVISOR,
    OLD_COLLECTOR,
)


def supervisor_binary() -> Path:
    """Path of the OpAMP supervisor. Raises `ToolMissing`."""
    return find(SUPERVISOR)


def collector_binary() -> Path:
    """Path of the small Collector. Raises `ToolMissing`."""
    return find(COLLECTOR)


def old_supervisor_binary() -> Path:
    """Path of the older OpAMP supervisor. Raises `ToolMissing`."""
    return find(OLD_SUPERVISOR)


def old_collector_binary() -> Path:
    """Path of the Collector that goes with the older supervisor. Raises `ToolMissing`."""
    return find(OLD_COLLECTOR)


def python_client() -> Path:
    """The interpreter whose environment holds the Python OpAMP client. Raises `ToolMissing`."""
    return find(PYTHON_CLIENT)


def node_client() -> Path:
    """The program to run with `node`; its packages lie beside it. Raises `ToolMissing`."""
    if shutil.which("node") is None:
        raise ToolMissing(f"{NODE_CLIENT.name} is missing: {NO_NODE}")
    return find(NODE_CLIENT)


def go_client() -> Path:
    """Path of the agent made of the OpAMP reference client library. Raises `ToolMissing`."""
    return find(GO_CLIENT)


def require(tool: Callable[[], Path]) -> Path:
    """What `tool` finds, for fixtures: `require(supervisor_binary)`.

    When it is missing the test is skipped with the reason; with CI in the environment it fails instead.
    """
    try:
        return tool()
    except ToolMissing as missing:
        reason = str(missing)
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def find(tool: Tool) -> Path:
    """The tool's program, when it has been made before.

    Raises:
        ToolMissing: it was not made, or making it failed; the text has the reason.
    """
    key = tool.key()
    for place in _places():
        for mark in sorted(place.glob(f"{key}/{READY}")):
            program = tool.artifact(mark.parent)
            if program.exists():  # false for an environment whose Python is gone
                return program
    for place in _places():
        note = place / f"{key}.failed"
        if note.exists():
            raise ToolMissing(f"{tool.name} is missing: {note.read_text()}")
    raise ToolMissing(f"{tool.name} is missing: {tool.obstacle() or HOW}")


def provide(tool: Tool) -> Path:
    """The tool's program, made now when it is not there. Safe while others do the same.

    Raises:
        ToolMissing: it cannot be made.
    """
    try:
        return find(tool)
    except ToolMissing:
        if tool.obstacle():
            raise
    place = _writable_place()
    home = place / tool.key()
    with _locked(home.with_name(f"{home.name}.lock"), tool.name):
        try:
            return find(tool)  # another run has made it meanwhile
        except ToolMissing:
            return _make(tool, home)


def _make(tool: Tool, home: Path) -> Path:
    note = home.with_name(f"{home.name}.failed")
    note.unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _say(f"making {tool.name} in {home} (once; a cold Go build takes minutes)")
    started = time.monotonic()
    try:
        tool.make(home)
    except ToolMissing as missing:
        shutil.rmtree(home, ignore_errors=True)
        note.write_text(str(missing))
        raise ToolMissing(f"{tool.name} is missing: {missing}") from None
    (home / READY).touch()
    _say(f"{tool.name} is ready after {time.monotonic() - started:.0f} s")
    return tool.artifact(home)


@functools.cache
def go_version() -> str | None:
    """Version and platform of the Go on the path, such as `go1.26.8-linux-amd64`; None without Go."""
    go = shutil.which("go")
    if go is None:
        return None
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    asked = subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"],
        cwd=AGENTS,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return "-".join(asked.stdout.split()) if asked.returncode == 0 else None


def _places() -> list[Path]:
    """Where tools may lie, best first."""
    named = os.environ.get("GITSYNC_TOOL_CACHE")
    if named:
        return [Path(named).expanduser().resolve()]
    return [Path("~/.cache/gitsync-tools").expanduser(), CHECKOUT / ".cache" / "interop"]


def _writable_place() -> Path:
    refusals: list[str] = []
    for place in _places():
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as refusal:
            refusals.append(str(refusal))
            continue
        if os.access(place, os.W_OK):
            return place
        refusals.append(f"{place} cannot be written")
    raise ToolMissing(f"no place to keep the tools in: {'; '.join(refusals)}; set GITSYNC_TOOL_CACHE")


@contextmanager
def _locked(file: Path, name: str) -> Iterator[None]:
    """Holds the lock file; the system releases it also when the holder is killed."""
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another run that is making {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(name: str, command: Sequence[str], *, directory: Path, environment: Mapping[str, str]) -> None:
    """Runs one command to its end, with a line of progress now and then.

    Raises:
        ToolMissing: it cannot be started, fails, or takes too long; the text has the end of its output.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as refusal:
        raise ToolMissing(f"{command[0]} does not start: {refusal}") from None
    with process:
        try:
            while True:
                try:
                    output, _ = process.communicate(timeout=PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if elapsed > COMMAND_SECONDS:
                        raise ToolMissing(f"`{' '.join(command)}` took longer than {elapsed:.0f} s") from None
                    _say(f"still making {name}, {elapsed:.0f} s so far")
        finally:
            process.kill()
    if process.returncode:
        end = "\n".join(output.strip().splitlines()[-OUTPUT_LINES:])
        raise ToolMissing(f"`{' '.join(command)}` ended with {process.returncode}:\n{end}")


def _digest(files: Sequence[Path]) -> str:
    total = hashlib.sha256(RECIPE.encode())
    for file in files:
        total.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]


def _say(text: str) -> None:
    print(f"tools: {text}", flush=True)


def main(names: Sequence[str]) -> int:
    """Makes all tools, or those whose names begin with one of `names`; 0 also when some cannot be made.

    The tests that need them say so themselves, so that one missing tool does not hide the other results.
    """
    for tool in TOOLS:
        if names and not tool.name.startswith(tuple(names)):
            continue
        try:
            provide(tool)
        except ToolMissing as missing:
            frame = "=" * 78
            _say(f"\n{frame}\n{missing}\ntests that need it will not run\n{frame}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
