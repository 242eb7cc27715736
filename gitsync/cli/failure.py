"""Exit codes, and how a command says that it could not do its work."""

from __future__ import annotations

import enum
import errno

import typer
from typer.exceptions import Abort, TyperException

from gitsync.errors import GitsyncError

_UNWRITABLE = (errno.ENOSPC, errno.EFBIG, errno.EIO)


class ExitCode(enum.IntEnum):
    """What a command tells the shell."""

    FINE = 0
    DIFFERENT = 1
    FAILED = 2
    TIMED_OUT = 3


class TimedOutError(GitsyncError):
    """What was waited for did not come in time."""


def report(error: Exception) -> int:
    """Says on standard error what went wrong, in one line and a hint.

    Returns:
        The exit code for it.

    Raises:
        Exception: the error itself, when nobody raised it on purpose: a bug keeps its traceback.
    """
    if isinstance(error, GitsyncError):
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        return ExitCode.TIMED_OUT if isinstance(error, TimedOutError) else ExitCode.FAILED
    if isinstance(error, TyperException):
        text = error.format_message().replace("Value error, ", "").rstrip(".")
        typer.echo(f"error: {text}", err=True)
        context = getattr(error, "ctx", None)
        if context is not None:
            typer.echo(f"hint: {context.command_path} --help shows how it is used", err=True)
        return ExitCode.FAILED
    if isinstance(error, Abort):
        return 130
    if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
        typer.echo(f"error: cannot write: {error.strerror}", err=True)
        return ExitCode.FAILED
    raise error
