"""Judging again after each change of a file, until the user has seen enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gitsync.cli.failure import report
from gitsync.cli.table import is_coloured
from gitsync.errors import SettingsError

if TYPE_CHECKING:
    from watchfiles.main import FileChange

_WAKE_MS = 100
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def keep_judging(places: Sequence[Path], judge: Callable[[], bool]) -> bool:
    """Calls `judge` now and after each change in `places`, a directory or files, until Ctrl-C.

    Returns:
        The last verdict.

    Raises:
        SettingsError: nothing could be judged at all.
    """
    changes = _changes(places)
    next(changes)  # from here on no change is missed
    valid = judge()
    try:
        _say_ready()
        for change in changes:
            if not change:
                continue
            if is_coloured():
                typer.echo(_CLEAR, nl=False)
            try:
                valid = judge()
            except SettingsError as error:
                # An editor may be in the middle of replacing the file; the next change tells.
                report(error)
            _say_ready()
    except KeyboardInterrupt:
        pass
    return valid


def _say_ready() -> None:
    typer.echo("watching for changes; Ctrl-C ends", err=True)


def _changes(places: Sequence[Path]) -> Iterator[set[FileChange]]:
    """Changes as they come, and an empty set when there was none for a while."""
    from watchfiles import Change, DefaultFilter, watch

    absolute = [one.absolute() for one in places]
    files = {str(one) for one in absolute if not one.is_dir()}
    usual = DefaultFilter()

    def is_wanted(change: Change, path: str) -> bool:
        return path in files if files else usual(change, path)

    # Editors replace a file instead of writing to it, so its directory is watched.
    tops = {one.parent if str(one) in files else one for one in absolute}
    missing = [one for one in tops if not one.is_dir()]
    if missing:
        raise SettingsError(f"{missing[0]} is no directory", code="path.unreadable")
    return watch(*tops, watch_filter=is_wanted, recursive=not files, yield_on_timeout=True, rust_timeout=_WAKE_MS)
