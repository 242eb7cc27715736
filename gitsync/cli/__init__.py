"""The `gitsync` command. Belongs here: arguments, calls to a server, and how answers look in a terminal.

Does not belong here: what the answers mean. Modules of commands import what they need inside their functions, so that
`gitsync version` and completion start fast.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from gitsync.cli import (
    describe,
    explain_code,
    get,
    history,
    keys,
    lab,
    ottl,
    restart,
    serve,
    sync,
    validate,
    verify,
    version,
)
from gitsync.cli.failure import ExitCode, report

app = typer.Typer(
    name="gitsync",
    help="A Git repository as the control plane of a fleet of OpenTelemetry agents.",
    epilog="Exit codes: 0 fine, 1 differences or invalid, 2 could not run, 3 timed out.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.add_typer(get.app, name="get")
app.add_typer(describe.app, name="describe")
describe.explain_app.command("code")(explain_code.explain)
app.add_typer(describe.explain_app, name="explain")
app.command("sync")(sync.sync)
app.add_typer(restart.app, name="restart")
app.command("history")(history.history)
app.command("validate")(validate.validate)
app.add_typer(ottl.app, name="ottl")
app.command("verify")(verify.verify)
app.add_typer(keys.app, name="keys")
app.command("lab")(lab.lab)
app.command("version")(version.version)


@app.callback()
def options(
    version_only: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=version.show_and_exit, help="Show the version.")
    ] = False,
) -> None:
    """A Git repository as the control plane of a fleet of OpenTelemetry agents."""
    del version_only  # its callback has done all


def run(arguments: Sequence[str]) -> int:
    """Runs one command line.

    Returns:
        The exit code; what went wrong is one line on standard error, and a hint.
    """
    try:
        result = app(list(arguments) or ["--help"], prog_name="gitsync", standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (`head`, a pager) has gone; that is its right.
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001  # the last place: `report` raises again what nobody raised on purpose
        return report(error)
    return result if isinstance(result, int) else ExitCode.FINE


def main() -> None:
    """The entry point. A bug shows its traceback, and is never taken for "invalid"."""
    try:
        code = run(sys.argv[1:])
    except Exception:  # noqa: BLE001  # it is shown in full
        traceback.print_exc()
        code = ExitCode.FAILED
    sys.exit(_with_output_written(code))


def _with_output_written(code: int) -> int:
    """The exit code, when all output has gone out; otherwise that of a command that could not run.

    What is still held back would be written when the interpreter ends, which then chooses the exit code.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        said = code == ExitCode.FAILED or isinstance(error, BrokenPipeError)
        return code if said else report(error)
    return code
