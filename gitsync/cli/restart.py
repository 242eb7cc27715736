"""`gitsync restart`: tell agents to restart, and see whether they did."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitsync.cli.failure import ExitCode
from gitsync.cli.options import DEFAULT_SERVER, DataDir, Format, Output, Server
from gitsync.cli.table import clean, count_of, show_document

if TYPE_CHECKING:
    from gitsync.cli.client import Client, Json

app = typer.Typer(help="Tell agents to restart.", rich_markup_mode=None)
POLL_SECONDS = 0.5
_SENTENCES = {
    "requested": "restart requested; it is told with its next poll",
    "sent": "restart sent",
    "restarted": "restarted",
    "no-sign": "no sign of a restart",
}


@app.command("agent")
def agent(
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT", help="Instance uids, or host or instance names.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", help="All connected agents with these labels: k=v,k2!=v2,!k3.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before several agents are restarted.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for signs that they restarted.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait: 90s, 1m30s.")] = "3m",
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
) -> None:
    """Tells agents to restart. Agents do not say whether they did: that is inferred from signs.

    Exit codes: 0 told (with --wait: restarted), 1 refused or no sign of it, 2 could not be asked, 3 timed out.
    """
    from gitsync.cli.client import Client
    from gitsync.cli.sync import patience
    from gitsync.errors import SettingsError

    limit = patience(timeout)
    if bool(agents) == bool(selector):
        raise SettingsError("say which agents: by name, or with --selector", code="restart.which")
    with Client(server, data_dir) as client:
        chosen = _choose(client, agents or [], selector)
        if len(chosen) > 1 and not yes:
            _confirm(len(chosen))
        told = [_tell(client, uid, name, output) for uid, name in chosen.items()]
        if wait:
            told = _wait(client, told, limit, output)
    if output in (Format.JSON, Format.YAML):
        show_document({"apiVersion": "gitsync/v1", "kind": "CommandList", "items": told}, output)
    raise typer.Exit(_exit_code(told, waited=wait))


def _choose(client: Client, names: list[str], selector: str | None) -> dict[str, str]:
    """Whom to tell: uids, and what people call them."""
    from gitsync.cli.describe import find_agent
    from gitsync.errors import SettingsError

    if selector is None:
        return {find_agent(client, name): name for name in names}
    found = client.items("/agents", selector=selector, connected="true")["items"]
    if not found:
        raise SettingsError(
            f"no connected agent has {selector}", code="agent.unknown", hint="gitsync get agents lists them"
        )
    return {str(one["uid"]): str(one["name"]) for one in found}


def _confirm(count: int) -> None:
    from gitsync.errors import SettingsError

    if not sys.stdin.isatty():
        raise SettingsError(
            f"{count_of(count, 'agent')} would be restarted",
            code="restart.unconfirmed",
            hint="say --yes if that is meant",
        )
    typer.confirm(f"Restart {count_of(count, 'agent')}?", abort=True, err=True)


def _tell(client: Client, uid: str, name: str, output: Format) -> dict[str, Any]:
    """The command as far as it came, or why it was refused; the others are told all the same."""
    from gitsync.cli.client import path_of
    from gitsync.errors import GitsyncError

    try:
        document: Json = {**client.post(f"/agents/{path_of(uid)}/restart"), "name": name}
    except GitsyncError as error:
        if not error.code.startswith("agent."):
            raise
        document = {"uid": uid, "name": name, "refused": error.message, "code": error.code, "hint": error.hint}
    _say(document, output)
    return document


def _wait(client: Client, told: list[dict[str, Any]], limit: timedelta, output: Format) -> list[dict[str, Any]]:
    from gitsync.cli.client import path_of

    until = time.monotonic() + limit.total_seconds()
    done: list[dict[str, Any]] = []
    for one in told:
        while _is_open(one) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            newest = client.get(f"/agents/{path_of(one['uid'])}")["restart"]
            # What is stored follows what happens after a moment.
            if newest is not None and newest["requestedAt"] >= one["restart"]["requestedAt"]:
                one = {**one, "restart": newest}
        if "refused" not in one:
            _say(one, output)
        done.append(one)
    return done


def _is_open(one: dict[str, Any]) -> bool:
    return "refused" not in one and one["restart"]["state"] in ("requested", "sent")


def _say(one: dict[str, Any], output: Format) -> None:
    if "refused" in one:
        hint = f" ({one['hint']})" if one["hint"] else ""
        typer.echo(clean(f"agent {_called(one)}: {one['refused']}{hint}"), err=True)
    elif output in (Format.TABLE, Format.WIDE):
        restart = one["restart"]
        sign = f": {restart['sign']}" if restart["sign"] else ""
        typer.echo(clean(f"agent {_called(one)}: {_SENTENCES[restart['state']]}{sign}"))
    elif output is Format.NAME:
        typer.echo(f"agent/{one['uid']}")


def _called(one: dict[str, Any]) -> str:
    """Names need not be unique, so the uid stands behind."""
    return str(one["uid"]) if one["name"].lower() == one["uid"] else f"{one['name']} ({one['uid']})"


def _exit_code(told: list[dict[str, Any]], *, waited: bool) -> ExitCode:
    if any("refused" in one or one["restart"]["state"] == "no-sign" for one in told):
        return ExitCode.DIFFERENT
    return ExitCode.TIMED_OUT if waited and any(_is_open(one) for one in told) else ExitCode.FINE
