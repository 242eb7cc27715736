"""The compile process itself: takes a tree, gives a result, waits for the next. It opens nothing but its own code.

Its limits are its own: address space (fixed at start, on top of what the interpreter needs) and processor time (set
before each job to what is used so far plus the allowance: the kernel counts for the life of a process).
"""

from __future__ import annotations

import argparse
import gc
import importlib
import pickle
import resource
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gitsync.bundle.catalog import Catalog
from gitsync.bundle.tree import ConfigTree
from gitsync.bundle.version import CompileResult
from gitsync.worker.frames import LENGTH_BYTES, Failure, Ready, encode_frame, frame_length
from gitsync.worker.schemas import load_catalog

Compile = Callable[[ConfigTree, Catalog], CompileResult]


def main() -> None:
    """Serves jobs from the socket that is its standard input, until the other end closes."""
    options = _parser().parse_args()
    module, _, name = options.function.partition(":")
    compile_tree: Compile = getattr(importlib.import_module(module), name)
    catalog = load_catalog()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _address_space_bytes() + options.memory_bytes)
    with socket.socket(fileno=0) as link, link.makefile("rb") as jobs, link.makefile("wb") as answers:
        _send(answers, Ready())
        while (job := _receive(jobs)) is not None:
            _limit(resource.RLIMIT_CPU, _cpu_seconds() + options.cpu_seconds)
            answer = _compile(compile_tree, job, catalog)
            _send(answers, answer)
            if isinstance(answer, Failure):
                return  # whatever is left of that job in memory goes with this process


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gitsync.worker", description="The compile process.")
    parser.add_argument("--function", required=True, help="module:function that compiles a tree")
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    return parser


def _compile(compile_tree: Compile, job: bytes, catalog: Catalog) -> CompileResult | Failure:
    gc.disable()  # trees have no cycles: to look for some in all that a job makes would take a seventh of its time
    try:
        return compile_tree(pickle.loads(job), catalog)  # noqa: S301  (the server wrote it)
    except MemoryError:
        return Failure("memory", "")
    except Exception:  # noqa: BLE001  (this process exists to survive whatever a job does)
        return Failure("error", traceback.format_exc(limit=-20))
    finally:
        gc.enable()


def _receive(stream: IO[bytes]) -> bytes | None:
    """The next job; None when the server is gone."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = frame_length(head)
    body = stream.read(length)
    return body if len(body) == length else None


def _send(stream: IO[bytes], value: CompileResult | Ready | Failure) -> None:
    stream.write(encode_frame(value))
    stream.flush()


def _limit(kind: int, soft: int) -> None:
    """Sets the soft limit, never above the hard one that the system gave us."""
    hard = resource.getrlimit(kind)[1]
    try:
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    except (ValueError, OSError):
        return  # a system that does not know this limit: the wall clock still ends a job


def _cpu_seconds() -> int:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int(usage.ru_utime + usage.ru_stime) + 1


def _address_space_bytes() -> int:
    """What this process takes before any job; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
