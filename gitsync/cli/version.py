"""`gitsync version`."""

from __future__ import annotations

import json
import platform
from typing import Annotated

import typer


def show_and_exit(wanted: bool) -> None:
    """What `gitsync --version` does."""
    if wanted:
        version("text")
        raise typer.Exit


def version(
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.", metavar="text|json")] = "text",
) -> None:
    """The version of gitsync, and of the Python that runs it."""
    from importlib.metadata import version as installed

    own = installed("gitsync-opamp")
    if output == "json":
        document = {"apiVersion": "gitsync/v1", "kind": "Version", "gitsync": own, "python": platform.python_version()}
        typer.echo(json.dumps(document))
    else:
        typer.echo(f"gitsync {own} (Python {platform.python_version()})")
