"""What a compile process can be made to run in tests: stand-ins for a commit that breaks the compiler."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from gitsync.bundle.catalog import Catalog
from gitsync.bundle.compile import compile_bundle
from gitsync.bundle.tree import ConfigTree
from gitsync.bundle.version import CompileResult


def misbehave(tree: ConfigTree, catalog: Catalog) -> CompileResult:
    """Does what the commit's subject says; compiles for any other subject."""
    if tree.commit.subject == "parsed":
        return CompileResult(None, (), tuple(one.version for one in catalog.collectors.values() if "ottl" in vars(one)))
    action = ACTIONS.get(tree.commit.subject)
    return compile_bundle(tree, catalog) if action is None else action()


def _loop() -> CompileResult:
    while True:
        pass


def _wait() -> CompileResult:
    threading.Event().wait()
    raise AssertionError


def _take_memory() -> CompileResult:
    taken = []
    while True:
        taken.append(bytearray(64 << 20))


def _raise() -> CompileResult:
    raise RuntimeError("a bug in the compiler")


def _recurse() -> CompileResult:
    return _recurse()


def _segfault() -> CompileResult:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def _kill() -> CompileResult:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _leave() -> CompileResult:
    os._exit(3)


def _garbage() -> CompileResult:
    os.write(0, b"\xff" * 8)
    return _wait()


class _Foreign:
    """Pickles as a call of a function that no answer may name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def _foreign() -> CompileResult:
    return CompileResult(None, (_Foreign(),))  # type: ignore[arg-type]


def _use_cpu_a_little() -> CompileResult:
    end = time.process_time() + 0.7
    while time.process_time() < end:
        pass
    return CompileResult(None, ())


def _environment() -> CompileResult:
    return CompileResult(None, (), tuple(sorted(os.environ)))


def _open_files() -> CompileResult:
    found = []
    for link in sorted(Path("/proc/self/fd").iterdir(), key=lambda path: int(path.name)):
        try:
            found.append(f"{link.name} {link.readlink()}")
        except OSError:
            continue  # the directory that was being listed
    return CompileResult(None, (), tuple(found))


ACTIONS = {
    "loop": _loop,
    "wait": _wait,
    "memory": _take_memory,
    "raise": _raise,
    "recurse": _recurse,
    "segfault": _segfault,
    "kill": _kill,
    "leave": _leave,
    "garbage": _garbage,
    "foreign": _foreign,
    "cpu": _use_cpu_a_little,
    "environment": _environment,
    "files": _open_files,
}
