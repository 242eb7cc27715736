"""What a process has used, read from the kernel."""

from __future__ import annotations

import time
from pathlib import Path

_SCHED_CLOCK = 2
QUIET_SHARE = 0.03
"""A process that uses less than this part of a core has nothing left to do."""
LOOK_SECONDS = 0.3


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, ended ones included, with the kernel's full resolution."""
    return time.clock_gettime(~pid << 3 | _SCHED_CLOCK)


def kernel_seconds(pid: int) -> float:
    """The part of `cpu_seconds` that the kernel worked for the process (sockets, files), in steps of 10 ms."""
    return int(_stat(pid)[12]) / 100


def reaped_cpu_seconds(pid: int) -> float:
    """CPU time of the children that a process has waited for, in steps of 10 ms."""
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / 100


def children(pid: int) -> list[int]:
    """Child processes that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(_stat(int(entry.name))[1]) == pid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat behind the name of the program, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def memory_kib(pid: int, field: str = "VmRSS") -> int:
    """Resident memory of a process; `VmHWM` is the most that it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise ValueError(f"no {field} of process {pid}")


def settle(pid: int, least_seconds: float = 0.6, most_seconds: float = 60.0) -> None:
    """Waits until a process has nothing left to do: two quiet looks in a row."""
    began = time.monotonic()
    quiet = 0
    before = cpu_seconds(pid)
    while quiet < 2 and time.monotonic() - began < most_seconds:
        time.sleep(LOOK_SECONDS)
        now = cpu_seconds(pid)
        busy = (now - before) / LOOK_SECONDS > QUIET_SHARE
        quiet = 0 if busy or time.monotonic() - began < least_seconds else quiet + 1
        before = now
