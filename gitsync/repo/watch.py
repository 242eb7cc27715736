"""Notices that a local repository's refs have changed, so that a commit there is seen at once.

A doorbell only: it says that fetching is worth while, polling stays on and finds what the file system did
not tell.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path

from watchfiles import awatch

from gitsync.errors import SettingsError, Unavailable
from gitsync.repo.credentials import git_directories

#: Branches in more directories than this are left to polling: each costs a watch of the system.
_DIRECTORIES = 1000
_State = tuple[tuple[str, int, int], ...]


async def watch_refs(
    repository: Path,
    *,
    debounce: timedelta = timedelta(milliseconds=200),
    recheck: timedelta = timedelta(seconds=5),
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[None, None]:
    """Yields once at the start, then each time that HEAD, a branch or packed-refs has changed.

    Use it with `contextlib.aclosing`, so that the watching thread ends with the loop.

    Args:
        repository: bare, ordinary, or a linked work tree.
        debounce: changes within this time are one.
        recheck: how often to look without being told, for file systems that tell nothing.
        stop: ends the watching.

    Raises:
        SettingsError: `git.not_found`: there is no repository.
        Unavailable: `git.unreachable`: the repository went away while it was watched.
    """
    stop = stop or asyncio.Event()
    seen = await asyncio.to_thread(_look, repository)
    if not seen:
        raise SettingsError(f"{repository} is no git repository", code="git.not_found")
    yield None  # what changes from here on is noticed
    while not stop.is_set():
        directories = await asyncio.to_thread(_watched, repository)
        if not directories:
            raise Unavailable(f"the repository {repository} went away", code="git.unreachable")
        watching = awatch(
            *directories, recursive=False, stop_event=stop, watch_filter=None,
            debounce=max(1, round(debounce.total_seconds() * 1000)), step=50,
            rust_timeout=max(1, round(recheck.total_seconds() * 1000)), yield_on_timeout=True,
        )  # fmt: skip
        try:
            async for _ in watching:
                now = await asyncio.to_thread(_look, repository)
                if now != seen:
                    seen = now
                    yield None
                if await asyncio.to_thread(_watched, repository) != directories:
                    break  # a branch in a new directory: watch that too
        except FileNotFoundError:
            continue  # a directory went between looking and watching: look again
        finally:
            await watching.aclose()


def _watched(repository: Path) -> tuple[Path, ...]:
    """The directories in which a change of a ref shows: watched one by one, as objects beside them are
    many.
    """
    places: list[Path] = []
    for directory in git_directories(repository):
        places.append(directory)
        for name in ("refs", "reftable"):
            top = directory / name
            if top.is_dir():
                below = (Path(place) for place, _, _ in os.walk(top))
                places.extend(islice(below, _DIRECTORIES))
    return tuple(sorted(set(places)))


def _look(repository: Path) -> _State:
    """Name, time and size of the files that hold HEAD and refs; empty when there is no repository."""
    state: list[tuple[str, int, int]] = []
    tops = git_directories(repository)
    for directory in _watched(repository):
        with suppress(FileNotFoundError):  # it went away while we look
            names = os.listdir(directory)  # noqa: PTH208 - names are enough
            if directory in tops:
                names = [name for name in names if name in ("HEAD", "packed-refs")]
            state.extend(_states(directory, names))
    return tuple(sorted(state))


def _states(directory: Path, names: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for name in names:
        with suppress(FileNotFoundError):
            about = (directory / name).lstat()
            if stat.S_ISREG(about.st_mode) and not name.endswith(".lock"):
                yield str(directory / name), about.st_mtime_ns, about.st_size
