"""`gitsync history`: what was published, or what happened to one target."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitsync.cli.get import RELEASES
from gitsync.cli.options import DEFAULT_SERVER, DataDir, Format, Limit, NoHeader, Output, Server, Source
from gitsync.cli.table import Column, Row, moment, short, short_digest, show_list


def _version(version: Any) -> str | None:
    """A version by its commit; by its digest when the commit is not known any more."""
    if version is None:
        return None
    return short(version["commit"]) or short_digest(version["version"])


def what_happened(row: Row) -> str:
    """The subject of the commit that made it happen; the reason, when that commit is not kept any more."""
    return str(row["subject"] or row["reason"])


TRANSITIONS = (
    Column("TIME", lambda row: moment(row["at"])),
    Column("TARGET", lambda row: row["path"]),
    Column("CAUSE", lambda row: row["cause"]),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("FROM", lambda row: _version(row["before"])),
    Column("TO", lambda row: _version(row["after"])),
    Column("BY", lambda row: row["actor"]),
    Column("REASON", lambda row: row["reason"], wide=True),
    Column("SUBJECT", what_happened),
)


def history(
    target: Annotated[str | None, typer.Argument(help="Path of a target; without it: all publications.")] = None,
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    source: Source = None,
    limit: Limit = 20,
    no_header: NoHeader = False,
) -> None:
    """What was published and when, newest first; with a target: every change of what its agents get."""
    from gitsync.cli.client import Client

    columns: tuple[Column, ...] = RELEASES if target is None else TRANSITIONS
    with Client(server, data_dir) as client:
        if target is None:
            document = client.items("/releases", limit, source=source)
        else:
            document = client.get("/history", source=source, target=target, limit=limit)
    name = "release/{revision}" if target is None else "transition/{seq}"
    show_list(document, output, columns, lambda row: name.format(**row), header=not no_header)
