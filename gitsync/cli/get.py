"""`gitsync get`: lists."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from gitsync.cli.options import DEFAULT_SERVER, DataDir, Format, Limit, NoHeader, Output, Server, Source
from gitsync.cli.table import Column, Row, moment, short, short_digest, show_list

app = typer.Typer(help="List agents, targets, commits, releases or sources.", rich_markup_mode=None)
Selector = Annotated[
    str | None, typer.Option("--selector", "-l", metavar="K=V,…", help="Only agents with these labels.")
]


class State(enum.StrEnum):
    """How far an agent is, as the server says it."""

    PENDING = "pending"
    OFFERED = "offered"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


_CONNECTION = {"done": "done", "waiting": "on the way", "held": "to follow", "bad": "failed"}
"""Agents that are told where to connect, in the order of their story."""


def target_name(row: Row) -> str | None:
    """A target as people write it: its path, with the source before it when that is not `default`."""
    if row.get("target") is None:
        return None
    return str(row["target"]) if row["source"] == "default" else f"{row['source']}:{row['target']}"


def health_word(row: Row) -> str | None:
    """Healthy, Degraded or Unhealthy; None for an agent that does not report health."""
    return None if row["health"] is None else str(row["health"]["status"])


def connection_line(row: Row) -> str | None:
    """How far a target's connection settings are; None when it has none."""
    found = row["connection"]
    if found is None:
        return None
    counts = ", ".join(f"{found[name]} {word}" for name, word in _CONNECTION.items() if found[name])
    return "; ".join(text for text in (found["problem"], counts) if text) or "on offer"


def _reason(row: Row) -> str:
    """Nothing when all is well; the reason column is for what is not."""
    if row["reason"] == "up-to-date" and health_word(row) in (None, "Healthy"):
        return ""
    text, error = str(row["reasonText"]), str(row["error"])
    return f"{text}: {error}" if error and error not in text else text


def person(author: str | None) -> str | None:
    """The name of `Name <address>`; the address when there is no name."""
    return None if author is None else author.partition("<")[0].strip() or author.strip("<> ")


def _labels(row: Row) -> str:
    return ",".join(f"{key}={value}" for key, value in row["labels"].items())


def _total(row: Row) -> int:
    return sum(row["agents"].values())


AGENTS = (
    Column("NAME", lambda row: row["name"]),
    Column("UID", lambda row: row["uid"]),
    Column("TARGET", target_name),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("REVISION", lambda row: row["revision"]),
    Column("STATE", lambda row: row["state"]),
    Column("HEALTH", health_word),
    Column("CONNECTED", lambda row: row["connected"]),
    Column("FLAG", lambda row: row["flag"], wide=True),
    Column("CONFIG", lambda row: short_digest(row["configHash"]), wide=True),
    Column("RUNS", lambda row: short_digest(row["runs"]), wide=True),
    Column("VERSION", lambda row: row["serviceVersion"], wide=True),
    Column("TRANSPORT", lambda row: row["transport"], wide=True),
    Column("ADDRESS", lambda row: row["remoteAddr"], wide=True),
    Column("LAST SEEN", lambda row: moment(row["lastSeenAt"]), wide=True),
    Column("LABELS", _labels, wide=True),
    Column("REASON", _reason),
)
TARGETS = (
    Column("TARGET", lambda row: row["path"]),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("REVISION", lambda row: row["revision"]),
    Column("PHASE", lambda row: row["phase"]),
    Column("AGENTS", _total),
    Column("APPLIED", lambda row: row["agents"]["applied"]),
    Column("FAILED", lambda row: row["agents"]["failed"]),
    Column("SOURCE", lambda row: row["source"], wide=True),
    Column("TYPE", lambda row: row["agentType"], wide=True),
    Column("PRIORITY", lambda row: row["priority"], wide=True),
    Column("CONFIG", lambda row: short_digest(row["configHash"]), wide=True),
    Column("CONNECTION", connection_line, wide=True),
    Column("SELECTOR", lambda row: row["selector"]),
)
COMMITS = (
    Column("COMMIT", lambda row: short(row["id"])),
    Column("VERDICT", lambda row: row["verdict"]),
    Column("IN EFFECT", lambda row: row["inEffect"]),
    Column("ERRORS", lambda row: row["errors"]),
    Column("WARNINGS", lambda row: row["warnings"]),
    Column("SEEN", lambda row: moment(row["seenAt"])),
    Column("AUTHOR", lambda row: person(row["author"])),
    Column("SIGNER", lambda row: row["signer"], wide=True),
    Column("TREE", lambda row: short(row["tree"]), wide=True),
    Column("SUBJECT", lambda row: row["subject"]),
)
RELEASES = (
    Column("REVISION", lambda row: row["revision"]),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("CAUSE", lambda row: row["cause"]),
    Column("IN EFFECT", lambda row: row["inEffect"]),
    Column("CREATED", lambda row: moment(row["createdAt"])),
    Column("AUTHOR", lambda row: person(row["author"])),
    Column("SOURCE", lambda row: row["source"], wide=True),
    Column("RESTORES", lambda row: row["restores"], wide=True),
    Column("SUBJECT", lambda row: row["subject"]),
)
SOURCES = (
    Column("NAME", lambda row: row["name"]),
    Column("REF", lambda row: row["ref"]),
    Column("HEAD", lambda row: short(row["head"])),
    Column("COMMIT", lambda row: short(row["published"])),
    Column("REVISION", lambda row: row["revision"]),
    Column("LAST SYNC", lambda row: row["lastResult"]),
    Column("FETCHED", lambda row: moment(row["fetchedAt"])),
    Column("SUSPENDED", lambda row: row["suspended"], wide=True),
    Column("URL", lambda row: row["url"]),
    Column("ERROR", lambda row: row["error"]),
)


@app.command("agent", hidden=True)
@app.command("agents")
def agents(
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    selector: Selector = None,
    target: Annotated[str | None, typer.Option("--target", metavar="PATH", help="Only agents of this target.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="How far they are with what they should have.")] = None,
    connected: Annotated[
        bool | None, typer.Option("--connected/--disconnected", help="Only agents that are (not) connected.")
    ] = None,
    no_header: NoHeader = False,
) -> None:
    """Agents: what each should have, how far it is, and why not further."""
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.items("/agents", selector=selector, target=target, state=state, connected=_word(connected))
    show_list(document, output, AGENTS, lambda row: f"agent/{row['uid']}", header=not no_header)


@app.command("target", hidden=True)
@app.command("targets")
def targets(
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    source: Source = None,
    no_header: NoHeader = False,
) -> None:
    """Targets: directories that give agents a configuration, with their agents counted."""
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.get("/targets", source=source)
    show_list(document, output, TARGETS, lambda row: f"target/{row['path']}", header=not no_header)


@app.command("commit", hidden=True)
@app.command("commits")
def commits(
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    source: Source = None,
    limit: Limit = 20,
    no_header: NoHeader = False,
) -> None:
    """Commits that were judged, newest first."""
    _newest("/commits", server, data_dir, output, source, limit, COMMITS, "commit", "id", header=not no_header)


@app.command("release", hidden=True)
@app.command("releases")
def releases(
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    source: Source = None,
    limit: Limit = 20,
    no_header: NoHeader = False,
) -> None:
    """Publications, newest first."""
    _newest("/releases", server, data_dir, output, source, limit, RELEASES, "release", "revision", header=not no_header)


@app.command("source", hidden=True)
@app.command("sources")
def sources(
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
    no_header: NoHeader = False,
) -> None:
    """Git repositories that are followed."""
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.get("/sources")
    show_list(document, output, SOURCES, lambda row: f"source/{row['name']}", header=not no_header)


def _newest(
    path: str,
    server: str,
    data_dir: Any,
    output: Format,
    source: str | None,
    limit: int,
    columns: tuple[Column, ...],
    kind: str,
    key: str,
    *,
    header: bool,
) -> None:
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.items(path, limit, source=source)
    show_list(document, output, columns, lambda row: f"{kind}/{row[key]}", header=header)


def _word(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
