"""`gitsync sync`: look at the repository now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.failure import ExitCode
from gitsync.cli.options import DEFAULT_SERVER, DataDir, Format, Output, Server
from gitsync.cli.table import clean, count_of, short, show_document

if TYPE_CHECKING:
    from gitsync.cli.client import Client, Json

_EXIT = {
    "noop": ExitCode.FINE,
    "published": ExitCode.FINE,
    "started": ExitCode.FINE,
    "rejected": ExitCode.DIFFERENT,
    "refused": ExitCode.DIFFERENT,
}
_SHOWN = 20


def sync(
    source: Annotated[str | None, typer.Argument(help="Name of the source; not needed when there is one.")] = None,
    server: Server = DEFAULT_SERVER,
    data_dir: DataDir = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what comes of it.")] = True,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait: 90s, 1m30s.")] = "2m",
    output: Output = Format.TABLE,
) -> None:
    """Fetches, checks and publishes now, instead of at the next poll.

    Exit codes: 0 published or nothing new, 1 the commit was rejected, 2 the sync failed, 3 timed out.
    """
    from gitsync.cli.client import Client, path_of

    limit = patience(timeout)
    with Client(server, data_dir) as client:
        name = source or _only_source(client)
        result = client.post(f"/sources/{path_of(name)}/sync", timeout=limit, wait=str(wait).lower())
        if output in (Format.JSON, Format.YAML):
            show_document(result, output)
        else:
            typer.echo(_sentence(result))
            if result["outcome"] == "rejected" and result["commit"]:
                _show_diagnostics(client.get(f"/commits/{result['commit']}", source=name))
    raise typer.Exit(_EXIT.get(result["outcome"], ExitCode.FAILED))


def patience(text: str) -> timedelta:
    """The value of `--timeout`.

    Raises:
        SettingsError: it is no duration, or none at all.
    """
    from gitsync.errors import SettingsError
    from gitsync.settings import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise SettingsError(str(error), code="duration") from error
    if not isinstance(found, timedelta) or not found:
        raise SettingsError("--timeout must be longer than 0s", code="duration")
    return found


def _only_source(client: Client) -> str:
    from gitsync.errors import SettingsError

    names = [one["name"] for one in client.get("/sources")["items"]]
    if len(names) != 1:
        raise SettingsError(
            "say which source", code="source.ambiguous", hint=f"gitsync sync {'|'.join(names) or 'NAME'}"
        )
    return str(names[0])


def _sentence(result: Json) -> str:
    commit, revision = short(result["commit"]) or "?", result["revision"]
    source = f"source {result['source']}"
    kept = "nothing was published before" if revision is None else f"revision {revision} keeps serving"
    sentences = {
        "started": f"{source}: sync started",
        "noop": f"{source}: nothing new at commit {commit}, revision {revision}",
        "published": f"{source}: published commit {commit} as revision {revision}",
        "rejected": f"{source}: commit {commit} was rejected, {count_of(result['errors'], 'error')}; {kept}",
        "refused": f"{source}: commit {commit} was refused: {clean(result['error'])}; {kept}",
    }
    return sentences.get(result["outcome"], f"{source}: the sync failed: {clean(result['error'])}")


def _show_diagnostics(commit: Json) -> None:
    found = commit["diagnostics"]
    for one in found[:_SHOWN]:
        where = ":".join(str(part) for part in (one["path"] or "(commit)", one["line"], one["column"]) if part)
        hint = f" ({one['hint']})" if one["hint"] else ""
        typer.echo(clean(f"  {where}: {one['severity']} {one['code']}: {one['message']}{hint}"))
    if len(found) > _SHOWN:
        typer.echo(f"  and {len(found) - _SHOWN} more: gitsync describe commit {short(commit['id'])}")
