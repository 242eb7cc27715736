"""Options that several commands share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_SERVER = "http://127.0.0.1:8080"


class Format(enum.StrEnum):
    """How an answer is shown."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


Server = Annotated[str, typer.Option("--server", envvar="GITSYNC_SERVER", metavar="URL", help="The gitsync server.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="GITSYNC_DATA_DIR",
        metavar="DIR",
        help="The server's data directory, for its admin.token when GITSYNC_TOKEN(_FILE) is not set.",
        show_default="$XDG_STATE_HOME/gitsync, ~/.local/state/gitsync, or /var/lib/gitsync for root",
    ),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How the answer is shown.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Leave the headers of the table out.")]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only this source.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
