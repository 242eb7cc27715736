"""`gitsync describe` and `gitsync explain`: everything about one thing."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitsync.cli.explain_code import ExplainGroup
from gitsync.cli.get import connection_line, health_word, target_name
from gitsync.cli.history import what_happened
from gitsync.cli.options import DEFAULT_SERVER, DataDir, Format, Output, Server, Source
from gitsync.cli.table import (
    Row,
    cell,
    clean,
    count_of,
    moment,
    short,
    short_digest,
    show_document,
    show_facts,
    show_rows,
    show_section,
)

if TYPE_CHECKING:
    from gitsync.cli.client import Client, Json

app = typer.Typer(help="Everything about one agent, commit or target.", rich_markup_mode=None)
explain_app = typer.Typer(
    cls=ExplainGroup,
    help="What a code means (gitsync explain GS0231; --list names all), or why an agent has what it has.",
    subcommand_metavar="CODE | COMMAND [ARGS]...",
    rich_markup_mode=None,
)
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="Instance uid, or its host or instance name.")]


@app.command("agent")
def agent(
    agent: AgentArgument, server: Server = DEFAULT_SERVER, data_dir: DataDir = None, output: Output = Format.TABLE
) -> None:
    """One agent: what it should have, why, how far it is, its health and its attempts."""
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.get(f"/agents/{find_agent(client, agent)}")
    if _is_document(output):
        show_document(document, output)
        return
    show_facts(_agent_facts(document))
    show_section("Why")
    for step in [document["reasonText"], *document["steps"]]:
        typer.echo(f"  {clean(step)}")
    show_section("Labels")
    for rank, labels in document["labelsByRank"].items():
        for key, value in labels.items():
            typer.echo(f"  {clean(key)}={clean(value)}" + ("" if rank == "reported" else f"  ({rank})"))
    if document["health"] is not None:
        show_section("Health")
        _show_health(document["health"])
    if document["packages"] is not None and document["packages"]["items"]:
        show_section("Packages")
        _show_packages(document["packages"]["items"])
    show_section("Attempts")
    _show_attempts(document["attempts"])


@app.command("commit")
def commit(
    commit: Annotated[str, typer.Argument(metavar="COMMIT", help="Its id, or the first digits of it.")],
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    source: Source = None,
    output: Output = Format.TABLE,
) -> None:
    """One commit: its verdict, every file's verdict, and what is wrong where."""
    from gitsync.cli.client import Client, path_of
    from gitsync.errors import SettingsError

    if not re.fullmatch("[0-9a-fA-F]{4,64}", commit):
        hint = "give at least four of its hexadecimal digits; gitsync get commits lists them"
        raise SettingsError(f"{commit!r} is no commit id", code="commit.id", hint=hint)
    with Client(server, data_dir) as client:
        document = client.get(f"/commits/{path_of(commit)}", source=source)
    if _is_document(output):
        show_document(document, output)
        return
    facts: dict[str, object] = {
        "Commit": document["id"],
        "Source": document["source"],
        "Author": document["author"],
        "Date": moment(document["authoredAt"]),
        "Subject": document["subject"],
        "Signed by": document["signer"],
        "Seen": moment(document["seenAt"]),
        "Verdict": document["verdict"],
        "In effect": document["inEffect"],
    }
    show_facts(facts | ({"Refused": document["error"]} if document["error"] else {}))
    _show_files(document["files"], every=output is Format.WIDE)
    if document["diagnostics"]:
        show_section("Diagnostics")
    for one in document["diagnostics"]:
        where = ":".join(str(part) for part in (one["path"] or "(commit)", one["line"], one["column"]) if part)
        typer.echo(f"  {clean(where)}: {one['severity']} {one['code']}: {clean(one['message'])}")
        if one["hint"]:
            typer.echo(f"      hint: {clean(one['hint'])}")


def _show_files(files: Sequence[Row], *, every: bool) -> None:
    """Files with findings, each; the others too, or how many they are."""
    show_section("Files")
    rest = 0
    for one in files:
        counts = [count_of(one[f"{word}s"], word) for word in ("error", "warning") if one[f"{word}s"]]
        if counts or every:
            typer.echo(f"  {one['verdict']:<8} {clean(one['path'])}" + (f"  ({', '.join(counts)})" if counts else ""))
        else:
            rest += 1
    if rest:
        typer.echo(f"  ok       {count_of(rest, 'file')} (-o wide names them)")


@app.command("target")
def target(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Its path, or SOURCE:PATH.")],
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    source: Source = None,
    config: Annotated[
        bool, typer.Option("--config", help="Also the configuration, and where each value was written.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """One target: whom it selects, what it gives, and what happened to it."""
    from gitsync.cli.client import Client, path_of

    with Client(server, data_dir) as client:
        document = client.get(f"/targets/{path_of(target)}", source=source, payload=str(config).lower())
    if _is_document(output):
        show_document(document, output)
        return
    show_facts(_target_facts(document))
    show_section("History")
    for one in document["history"]:
        text = f"{one['cause']:<10}  {cell(short(one['commit'])):<10}  {what_happened(one)}  by {one['actor']}"
        typer.echo(clean(f"  {moment(one['at'])}  {text}"))
    if config:
        _show_payload(document["payload"])


@explain_app.command("agent")
def explain_agent(
    agent: AgentArgument, server: Server = DEFAULT_SERVER, data_dir: DataDir = None, output: Output = Format.TABLE
) -> None:
    """Why an agent has what it has, step by step."""
    from gitsync.cli.client import Client

    with Client(server, data_dir) as client:
        document = client.get(f"/agents/{find_agent(client, agent)}/why")
    if _is_document(output):
        show_document(document, output)
        return
    typer.echo(clean(document["text"]))
    for step in document["steps"]:
        typer.echo(f"  {clean(step)}")


def find_agent(client: Client, text: str) -> str:
    """The uid of the agent that the user means: a UUID, or a host name, instance id or service name.

    Of several with one name it is the one that is connected: clients may begin anew with another uid.

    Raises:
        SettingsError: no agent, or several, have that name.
    """
    from gitsync.errors import SettingsError

    try:
        return str(uuid.UUID(text))
    except ValueError:
        pass
    # What cannot stand in a selector is no name of an agent that a selector could find.
    keys = () if re.search(r"[\s!=(),]", text) else ("host.name", "service.instance.id", "service.name")
    for key in keys:
        found = client.get("/agents", selector=f"{key}={text}", limit=10)["items"]
        if len(found) > 1:
            connected = client.get("/agents", selector=f"{key}={text}", connected="true", limit=10)["items"]
            found = connected or found
        if len(found) == 1:
            return str(found[0]["uid"])
        if found:
            uids = ", ".join(one["uid"] for one in found)
            raise SettingsError(f"several agents have {key}={text}", code="agent.ambiguous", hint=f"say which: {uids}")
    raise SettingsError(f"no agent is called {text!r}", code="agent.unknown", hint="gitsync get agents lists them")


def _is_document(output: Format) -> bool:
    """Whether a document was asked for.

    Raises:
        SettingsError: names only, of one thing that the caller has named.
    """
    from gitsync.errors import SettingsError

    if output is Format.NAME:
        raise SettingsError("-o name is for lists", code="output", hint="table, wide, json or yaml")
    return output in (Format.JSON, Format.YAML)


def _agent_facts(one: Row) -> Mapping[str, object]:
    online = f"yes, {one['transport']} from {one['remoteAddr']}" if one["connected"] else "no"
    return {
        "Name": one["name"],
        "UID": one["uid"],
        "Target": target_name(one),
        "Commit": one["commit"],
        "Revision": one["revision"],
        "State": one["state"],
        "Reason": one["reason"],
        "Health": _health_line(one),
        "Error": one["error"],
        "Flag": _flag_line(one),
        "Connected": online,
        "Last seen": moment(one["lastSeenAt"]),
        "Wanted": one["configHash"],
        "Runs": one["runs"],
        "Config status": one["configStatus"]["status"],
        "Last applied": moment(one["configStatus"]["lastApplied"]),
        "Last good": one["lastGood"],
        "Failed here": ", ".join(one["failed"]),
        "Contains what was sent": one["containsWhatWasSent"],
        "Version": one["serviceVersion"],
        "Packages": _packages_line(one["packages"]),
        "Capabilities": ", ".join(one["capabilities"]),
        "Components": _build_line(one["build"]),
        "Connection settings": _settings_line(one["connectionSettings"]),
        "Restart": _restart_line(one["restart"]),
    }


def _flag_line(one: Row) -> str:
    twin = f"duplicate-uid (of {one['duplicate']})" if one["duplicate"] else None
    return ", ".join(text for text in (one["flag"], twin) if text)


def _settings_line(settings: Any) -> str | None:
    if settings is None:
        return None
    sections = ", ".join(f"{name} {state}" for name, state in settings["sections"].items())
    beat = f"; heartbeat every {settings['heartbeatSeconds']} s" if settings["heartbeatSeconds"] else ""
    error = f": {settings['error']}" if settings["error"] else ""
    return f"{sections}{error}, {moment(settings['changedAt'])}{beat}"


def _health_line(one: Row) -> str | None:
    word, reason = health_word(one), (one["health"] or {}).get("reason")
    return f"{word} ({reason})" if reason else word


def _build_line(build: Any) -> str | None:
    if build is None:
        return None
    counts = ", ".join(f"{number} {name}" for name, number in build["counts"].items())
    return counts + (f" ({', '.join(build['versions'])})" if build["versions"] else "")


def _restart_line(restart: Any) -> str | None:
    if restart is None:
        return None
    sign = f" ({restart['sign']})" if restart["sign"] else ""
    return f"{restart['state']}{sign}, {moment(restart['changedAt'])}"


def _packages_line(packages: Any) -> str | None:
    if packages is None:
        return None
    more = "" if packages["offered"] else "; gitsync does not offer packages yet"
    return f"{len(packages['items'])} reported{more}"


def _target_facts(one: Row) -> Mapping[str, object]:
    counts = ", ".join(f"{count} {state}" for state, count in one["agents"].items() if count)
    return {
        "Target": one["path"],
        "Source": one["source"],
        "Selector": one["selector"],
        "Agent type": one["agentType"],
        "Priority": one["priority"],
        "Commit": one["commit"],
        "Revision": one["revision"],
        "Phase": one["phase"],
        "Suspended": one["suspended"],
        "Config": one["configHash"],
        "Connection": connection_line(one),
        "Agents": counts,
    }


def _show_health(health: Row) -> None:
    """The agent's tree, then its numbers, then its newest errors; what it does not report is left out."""
    _show_component("agent", {**health, "status": health["reportedStatus"]}, "  ")
    if health["metrics"]:
        show_section("Health metrics")
    for name, number in health["metrics"].items():
        typer.echo(f"  {name}={write_number(number)}")
    if health["recentErrors"]:
        show_section("Recent errors")
    for one in health["recentErrors"]:
        at = f"{moment(one['timestamp'])}  " if one["timestamp"] else ""
        typer.echo(f"  {at}{clean(one['message'])} ({count_of(one['count'], 'time')})")


def write_number(value: float) -> str:
    """Bytes of a large host have more digits than a plain format shows."""
    return str(int(value)) if float(value).is_integer() else f"{value:.10g}"


def _show_packages(packages: Sequence[Row]) -> None:
    rows = [
        [f"  {clean(one['name'])}", cell(one["version"]), cell(one["status"]), cell(one["error"])] for one in packages
    ]
    show_rows(["  PACKAGE", "VERSION", "STATUS", "ERROR"], rows)


def _show_component(name: str, health: Row, indent: str) -> None:
    state = "healthy" if health["healthy"] else "unhealthy"
    details = [text for text in (health["status"], health["lastError"]) if text]
    typer.echo(f"{indent}{clean(name)}: {state}" + (f" ({clean(', '.join(details))})" if details else ""))
    for child, one in health["components"].items():
        _show_component(child, one, indent + "  ")


def _show_attempts(attempts: list[Json]) -> None:
    if not attempts:
        typer.echo("  none")
        return
    rows = [
        [
            f"  {moment(one['offeredAt'])}",
            cell(short_digest(one["configHash"])),
            cell(one["revision"]),
            cell(one["state"]),
            cell(one["tries"]),
            cell(one["error"]),
        ]
        for one in attempts
    ]
    show_rows(["  OFFERED", "CONFIG", "REVISION", "STATE", "TRIES", "ERROR"], rows)


def _show_payload(payload: Any) -> None:
    if payload is None:
        show_section("Config")
        typer.echo("  none")
        return
    for one in payload["objects"]:
        show_section(f"Config {clean(one['name'])} ({clean(one['contentType'])}, {one['size']} bytes)")
        for line in (one["text"] or "(not text)").splitlines():
            typer.echo(clean(line.expandtabs(4)))
    if payload["provenance"]:
        show_section("Where each value was written")
        show_rows(
            None, [[clean(key), f"{clean(at['path'])}:{at['line']}"] for key, at in payload["provenance"].items()]
        )
