"""The Go programs: the load generator and the peer, built when their sources changed, and how to talk to them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache" / "bench"
ANSWER_SECONDS = 300.0


def build(name: str) -> Path:
    """The program `bench/<name>`, built with pinned modules.

    Raises:
        RuntimeError: there is no Go, or the build failed.
    """
    directory = HERE / name
    sources = sorted([*directory.glob("*.go"), *directory.glob("go.*")])
    digest = hashlib.sha256(b"".join(one.name.encode() + one.read_bytes() for one in sources)).hexdigest()[:16]
    program = CACHE / f"{name}-{digest}"
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["go", "build", "-trimpath", "-mod=readonly", "-o", str(program), "."],
            cwd=directory,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            check=True,
        )
    except FileNotFoundError:
        raise RuntimeError("the measurements need Go 1.25 or newer on the path") from None
    return program


class Talking:
    """A program that answers JSON lines with JSON lines."""

    def __init__(self, arguments: list[str]) -> None:
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            RuntimeError: the program ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return dict(json.loads(line))

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Sends one command, and waits until it is done."""
        self.send(json.dumps({"cmd": command, **arguments}) + "\n")
        return self.read()

    def send(self, lines: str) -> None:
        """Sends lines; each has an answer to be read."""
        assert self._process.stdin is not None
        self._process.stdin.write(lines)
        self._process.stdin.flush()

    def stop(self) -> None:
        """Ends the program."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
