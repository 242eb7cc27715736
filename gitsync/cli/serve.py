"""`gitsync serve`: the service, from flags, environment and settings file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gitsync.cli.options import DEFAULT_SERVER
from gitsync.errors import GitsyncError, SettingsError

if TYPE_CHECKING:
    from gitsync.app import Running
    from gitsync.settings import Settings


FLAGS: Mapping[tuple[str, ...], str] = {
    ("server", "listen", "opamp"): "--opamp-listen",
    ("server", "listen", "http"): "--http-listen",
    ("config_store", "git", "repository"): "--source",
    ("config_store", "git", "branch"): "--ref",
    ("config_store", "git", "sync_interval"): "--sync-interval",
    ("config_store", "git", "auth"): "--ssh-key-file or --git-token-file",
    ("log", "level"): "--log-level",
    ("log", "format"): "--log-format",
}
"""How the flags of settings are called."""


def absolute_source(source: str | None) -> str | None:
    """A path of this machine as an absolute one; URLs stay as they are.

    A path is what begins with `.`, `/` or `~`, or names an existing directory and has no `:`.
    """
    if not source:
        return None
    if source.startswith((".", "/", "~")) or (":" not in source and Path(source).is_dir()):
        return str(Path(source).expanduser().resolve())
    return source


def overrides(
    *,
    source: str | None = None,
    ref: str | None = None,
    data_dir: Path | None = None,
    opamp_listen: str | None = None,
    http_listen: str | None = None,
    webhook_secret_file: Path | None = None,
    sync_interval: str | None = None,
    ssh_key_file: Path | None = None,
    git_token_file: Path | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
) -> dict[str, Any]:
    """Flags in the shape of the settings file; None: the flag was not given.

    Raises:
        SettingsError: two kinds of credentials for one repository.
    """
    listen: dict[str, Any] = {"opamp": opamp_listen, "http": http_listen}
    if ssh_key_file is not None and git_token_file is not None:
        raise SettingsError("--ssh-key-file is for ssh and --git-token-file for https: give one", code="serve.options")
    auth: dict[str, Any] = {}
    if ssh_key_file is not None:
        auth = {"type": "ssh_key", "ssh_key_file": ssh_key_file}
    elif git_token_file is not None:
        auth = {"type": "token", "token_file": git_token_file}
    git = {"repository": absolute_source(source), "branch": ref, "sync_interval": sync_interval, "auth": auth or None}
    return {
        "data_dir": data_dir,
        "server": {"listen": listen},
        "config_store": {"git": git},
        "webhooks": {"secret_file": webhook_secret_file},
        "log": {"level": log_level, "format": log_format},
    }


def write_ready_file(path: Path, service: Running) -> None:
    """Tells a parent process where the service listens; the file appears complete or not at all.

    Raises:
        SettingsError: the place cannot be written.
    """
    fields = {
        "opamp_url": service.opamp_url,
        "http_url": service.http_url,
        "token_file": str(service.admin_token_file),
        "pid": os.getpid(),
    }
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            json.dump(fields, file)
            file.write("\n")
        Path(file.name).replace(path)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", code="ready_file") from error


def reachable(url: str) -> tuple[str, bool]:
    """A URL that works on this machine, and whether the listener takes calls on all interfaces."""
    for everywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        if everywhere in url:
            return url.replace(everywhere, here), True
    return url, False


def announcement(settings: Settings, service: Running) -> Sequence[str]:
    """What a person reads when the service is up: where it listens, what was made, what to know, what to do."""
    git = settings.config_store.git
    everywhere = ", on all interfaces"
    http_url, from_outside = reachable(service.http_url)
    lines = [
        f"OpAMP for agents    {service.opamp_url}{everywhere if reachable(service.opamp_url)[1] else ''}",
        f"REST and docs       {http_url}/docs{everywhere if from_outside else ''}",
        f"config repository   {git.repository or '(none)'}" + (f" ({git.branch})" if git.repository else ""),
        f"data directory      {settings.data_dir}",
        *service.created,
        *(f"note: {one}" for one in settings.notices()),
    ]
    flag = "" if http_url == DEFAULT_SERVER else f" --server {http_url}"
    return [*lines, f"next: gitsync get targets{flag}; gitsync get agents{flag}; Ctrl-C stops"]


def run_service(settings: Settings, ready_file: Path | None) -> None:
    """Runs until SIGINT or SIGTERM.

    Raises:
        GitsyncError: it could not start.
    """
    from gitsync import app

    def announce(service: Running) -> None:
        for line in announcement(settings, service):
            typer.echo(line, err=True)
        if ready_file is not None:
            write_ready_file(ready_file, service)

    try:
        app.run(settings, announce)
    except BaseExceptionGroup as group:
        # The parts run in task groups; a person is told what is wrong, not in which task.
        known = only_cause(group)
        if known is None:
            raise
        raise known from None


def only_cause(failure: BaseException) -> GitsyncError | None:
    """The first error of ours in a group of nothing but such errors; None when something else is in it."""
    if isinstance(failure, BaseExceptionGroup):
        found = [only_cause(one) for one in failure.exceptions]
        return found[0] if all(found) else None
    return failure if isinstance(failure, GitsyncError) else None


def load(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """The settings of this start; a data directory that was given relatively becomes absolute.

    Raises:
        SettingsError: unknown key or wrong value.
    """
    from gitsync.settings import load_settings

    settings = load_settings(config, os.environ, flags, FLAGS)
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def serve(
    source: Annotated[
        str | None, typer.Option(help="The config repository: https, ssh, or a local path.", metavar="URL")
    ] = None,
    ref: Annotated[str | None, typer.Option(help="The branch that is followed (default: main).")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Keys, tokens, mirror and SQLite.")] = None,
    opamp_listen: Annotated[
        str | None, typer.Option(help="For agents (default: 0.0.0.0:4320).", metavar="HOST:PORT")
    ] = None,
    http_listen: Annotated[
        str | None, typer.Option(help="For people and probes (default: 0.0.0.0:8080).", metavar="HOST:PORT")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file; none is needed.", metavar="FILE")] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option(help="Secrets that webhooks are signed with, one a line.", metavar="FILE")
    ] = None,
    sync_interval: Annotated[
        str | None, typer.Option(help="How often to look for commits (default: 1m).", metavar="DURATION")
    ] = None,
    ssh_key_file: Annotated[
        Path | None,
        typer.Option(help="Private key for a repository over ssh, with known_hosts beside it.", metavar="FILE"),
    ] = None,
    git_token_file: Annotated[
        Path | None, typer.Option(help="A file with an access token, for a repository over https.", metavar="FILE")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="Default: info.")
    ] = None,
    log_format: Annotated[Literal["text", "json"] | None, typer.Option(help="Default: text.")] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written when all is up: JSON with both URLs, token file and pid.", metavar="PATH"),
    ] = None,
) -> None:
    """Follow a config repository and serve its configurations to agents.

    Flags win over GITSYNC_* variables, and these over the settings file. Exit code 2: it could not start.
    """
    flags = overrides(
        source=source,
        ref=ref,
        data_dir=data_dir,
        opamp_listen=opamp_listen,
        http_listen=http_listen,
        webhook_secret_file=webhook_secret_file,
        sync_interval=sync_interval,
        ssh_key_file=ssh_key_file,
        git_token_file=git_token_file,
        log_level=log_level,
        log_format=log_format,
    )

    from gitsync.cli.logs import set_up_logging

    settings = load(config, flags)
    set_up_logging(settings.log.level, settings.log.format)
    run_service(settings, ready_file)
