"""`gitsync lab`: a config repository, a server on it and simulated agents, to try things and to measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.options import DEFAULT_SERVER, Format
from gitsync.cli.table import clean
from gitsync.errors import SettingsError

if TYPE_CHECKING:
    from gitsync.lab.profile import AgentProfile, Fault


@dataclass(frozen=True, slots=True)
class Plan:
    """What the lab was asked for.

    Attributes:
        opamp, server: of a server that is there; both None: the lab makes one.
        directory: for the config repository, which is kept; None: a temporary one.
        timeout: of `once`.
    """

    profiles: list[AgentProfile]
    seed: int
    once: bool
    output: Format
    opamp: str | None
    server: str | None
    directory: Path | None
    data_dir: Path | None
    timeout: timedelta


def lab(
    agents: Annotated[int, typer.Option("--agents", "-n", min=0, max=100_000, help="Simulated agents.")] = 20,
    http_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of them that polls by plain HTTP.")] = 0.2,
    faults: Annotated[
        str,
        typer.Option(
            metavar="KIND=N,…",
            help="Agents with a fault: slow, fails, silent, flaps, read-only, degraded, pretends; or with a quirk of"
            " real clients: repeats-numbers, skips-numbers, no-goodbye, double-goodbye, keeps-uid, no-header,"
            " reconnects, overwrites.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed makes the same agents.")] = 1,
    once: Annotated[
        bool, typer.Option("--once", help="Measure a first release, a commit and its revert; then end.")
    ] = False,
    output: Annotated[Format, typer.Option("--output", "-o", help="With --once: `json`, or a table.")] = Format.TABLE,
    opamp: Annotated[str | None, typer.Option(metavar="URL", help="Only agents, for this OpAMP server.")] = None,
    server: Annotated[
        str, typer.Option(envvar="GITSYNC_SERVER", metavar="URL", help="With --opamp: its REST interface.")
    ] = DEFAULT_SERVER,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Make or use the config repository here, and keep it.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The server's data directory (default: a temporary one).")
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="With --once: how long it may take.")] = "2m",
) -> None:
    """Try gitsync out: a config repository, a server, simulated agents, and a real Collector if one is found.

    Exit codes: 0 fine, 2 could not run, 3 not done within --timeout.
    """
    from gitsync.cli.lab_run import run_lab

    if opamp is not None and (once or directory is not None or data_dir is not None):
        raise SettingsError(
            "--opamp brings only agents to a server that is there",
            code="lab.options",
            hint="leave --once, --directory and --data-dir out",
        )
    if output not in (Format.TABLE, Format.JSON) or (output is Format.JSON and not once):
        raise SettingsError("-o json works with --once only", code="lab.options")
    plan = Plan(
        profiles=_profiles(agents, http_share, faults, seed),
        seed=seed,
        once=once,
        output=output,
        opamp=opamp,
        server=server if opamp is not None else None,
        directory=directory,
        data_dir=data_dir,
        timeout=read_timeout(timeout),
    )
    raise typer.Exit(run_lab(plan))


def _profiles(agents: int, http_share: float, faults: str, seed: int) -> list[AgentProfile]:
    from gitsync.lab.profile import make_profiles

    try:
        return make_profiles(agents, seed=seed, http_share=http_share, faults=read_faults(faults))
    except ValueError as error:
        raise SettingsError(str(error), code="lab.options") from error


def read_timeout(text: str) -> timedelta:
    """The duration that a text like `90s` or `2m` names.

    Raises:
        SettingsError: it names none.
    """
    from gitsync.settings import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"--timeout: {error}", code="lab.options") from error


def read_faults(text: str) -> Mapping[Fault, int]:
    """What `slow=2,fails=1` says: how many agents have which fault.

    Raises:
        SettingsError: unknown fault, or no number.
    """
    from gitsync.lab.profile import Fault

    known = {str(one): one for one in Fault if one is not Fault.NONE}
    wanted: dict[Fault, int] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, number = part.partition("=")
        if name not in known or not number.isdecimal():
            raise SettingsError(
                f"--faults: {clean(part)!r} is not KIND=N", code="lab.faults", hint=f"kinds: {', '.join(known)}"
            )
        wanted[known[name]] = wanted.get(known[name], 0) + int(number)
    return wanted
