"""`RESULTS.md` and the plots, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, figures, median_and_range, per_agent, values_of
from bench.plots import line_chart
from bench.story import story_lines

PEER, OURS = "opamp-go", "gitsync"
FLAT = 1.25
"""How far the cost per agent may rise from the fewest to the most agents and still be called constant."""
WHOLE = (
    "commit to in effect, ms",
    "first agent, ms",
    "all APPLIED stored, ms",
    "commit to all APPLIED, ms",
    "server CPU with one agent, s",
    "compile worker and git, CPU s",
)
Part = dict[str, Any]


def comparison_lines(part: Part, *, tls: bool) -> list[str]:
    """The table of one comparison; rows with a target have a mark."""
    lines = ["| | opamp-go | gitsync | ratio | target | |", "|---|---|---|---|---|---|"]
    for figure in figures(tls=tls):
        row = _row(part, figure)
        if row is not None:
            lines.append(row)
    return lines


def _row(part: Part, figure: Figure) -> str | None:
    peer, ours = values_of(part["sides"], PEER, figure), values_of(part["sides"], OURS, figure)
    if not peer or not ours:
        return None
    ratio = statistics.median(ours) / statistics.median(peer)
    target = mark = ""
    if figure.target is not None:
        target = f"<= {figure.target}"
        mark = "met" if ratio <= figure.target else "**missed**"
    cells = [figure.title, median_and_range(peer, figure.digits), median_and_range(ours, figure.digits)]
    return "| " + " | ".join([*cells, f"{ratio:.2f}", target, mark]) + " |"


def floor_lines(part: Part, *, tls: bool) -> list[str]:
    """What the kernel alone takes of each CPU target: no server in user space can have less."""
    lines = ["| CPU us for each agent | opamp-go | of it kernel | target | gitsync | of it kernel | the rest |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, whole, kernel in per_agent(tls=tls):
        found = [values_of(part["sides"], side, one) for side in (PEER, OURS) for one in (whole, kernel)]
        if not all(found):
            continue
        theirs, their_kernel, ours, our_kernel = (statistics.median(one) for one in found)
        target = "" if whole.target is None else f"{whole.target * theirs:.0f}"
        cells = [f"{theirs:.0f}", f"{their_kernel:.0f}", target, f"{ours:.0f}", f"{our_kernel:.0f}"]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{ours - our_kernel:.0f}"]) + " |")
    return lines


def whole_lines(part: Part) -> list[str]:
    """What gitsync does besides, and opamp-go does not."""
    sides = [one for one in part["sides"] if one["name"] == OURS]
    lines = [
        f"| gitsync, push of | {' | '.join(WHOLE)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for kib in part["sizes_kib"]:
        pushes = [one for side in sides for step in side["steps"] for one in step["pushes"][str(kib)]]
        keys = ("commit_to_effect_ms", "first_ms", "stored_ms", "commit_to_all_ms")
        cells = [median_and_range([one[key] for one in pushes if one[key] is not None], 0) for key in keys]
        cells.append(median_and_range([side["alone"][str(kib)]["cpu_s"] for side in sides], 2))
        cells.append(median_and_range([one["helpers_cpu_s"] for one in pushes], 2))
        body = statistics.median(one["body_bytes"] for one in pushes)
        lines.append(f"| {kib} KiB ({body:,.0f} bytes) | " + " | ".join(cells) + " |")
    return lines


def absolute_lines(part: Part) -> list[str]:
    """The targets that are no ratios."""
    pushes = [
        one for side in part["sides"] if side["name"] == OURS for step in side["steps"] for one in step["pushes"]["16"]
    ]
    p99 = [one["p99_ms"] / 1e3 for one in pushes]
    stored = [one["stored_ms"] / 1e3 for one in pushes if one["stored_ms"] is not None]
    lines = ["| gitsync, 16 KiB | s | target | |", "|---|---|---|---|"]
    for title, values, target in (("P99", p99, 0.5), ("all APPLIED processed and stored", stored, 2.0)):
        mark = "met" if values and statistics.median(values) < target else "**missed**"
        lines.append(f"| {title} | {median_and_range(values, 2)} | < {target} | {mark} |")
    return lines


def _growing(part: Part) -> list[tuple[str, str, Figure]]:
    """File, title of the vertical axis, and figure of what must not grow."""
    kib = part["sizes_kib"][0]

    def per_agent(step: dict[str, Any]) -> list[float]:
        return [one["cpu_s"] / step["agents"] * 1e6 for one in step["pushes"][str(kib)]]

    known = {one.title: one for one in figures(tls=False)}
    return [
        ("memory", "KiB per connection", known["memory per connection, KiB"]),
        ("connect-cpu", "CPU us per connect", known["connect, CPU us each"]),
        ("heartbeat-cpu", "CPU us per heartbeat", known["heartbeat, CPU us each"]),
        ("push-cpu", f"CPU us per agent, {kib} KiB", Figure("push, CPU us per agent", per_agent)),
        ("push-p99", f"P99 ms, {kib} KiB", known[f"push {kib} KiB, P99 ms"]),
    ]


def growth_lines(part: Part) -> list[str]:
    """How each number grows with the agents."""
    agents = part["agents"]
    lines = ["| | | " + " | ".join(f"{one:,}" for one in agents) + " | most / fewest |"]
    lines.append("|---|---|" + "---|" * (len(agents) + 1))
    for _, title, figure in _growing(part):
        for name in (PEER, OURS):
            medians = [statistics.median(values_of(part["sides"], name, figure, one)) for one in agents]
            growth = medians[-1] / medians[0]
            cells = [f"{one:,.1f}" for one in medians]
            mark = ""
            if name == OURS and "P99" not in title:
                mark = " (constant)" if growth <= FLAT else " (**grows**)"
            lines.append(f"| {title} | {name} | " + " | ".join(cells) + f" | {growth:.2f}{mark} |")
    return lines


def growth_plots(part: Part) -> dict[str, str]:
    """One SVG for each number that is plotted, by file name."""
    plots = {}
    for file, title, figure in _growing(part):
        series = {
            name: [(one, statistics.median(values_of(part["sides"], name, figure, one))) for one in part["agents"]]
            for name in (OURS, PEER)
        }
        plots[f"{file}.svg"] = line_chart(title, "agents", title, series)
    return plots


_COMPARED = """\
The same load generator (`bench/load`, Go) drives both servers on the same machine, one after the other, in turns. Both
hold the state of each agent, select by three label rules, answer every message, offer a configuration to an agent that
does not run what is wanted, and push to all. opamp-go (`bench/peer`) keeps everything in memory. gitsync is the whole
product, `gitsync serve`: Git, compiling, signing, SQLite, attempts and history, metrics, logs at their default level.

- **CPU** is that of the server's process, all threads, until it has nothing left to do: for gitsync with storing,
  logging, and, in a push, with fetching, judging, signing and publishing the commit. Children (compile worker, git)
  are shown apart.
- **P50 and P99 of a push** are instants at which agents had the whole message, counted from when the configuration is
  in effect: for opamp-go the command itself, for gitsync its line `revision … published` (after COMMIT), which comes
  before its own reload.
- **All APPLIED**: each agent's APPLYING and APPLIED were answered. **Stored**: they are rows in SQLite.
- **Memory** is resident memory when everything has settled, less that of the server with one agent.
- **A reconnect storm**: all connections end at once without a goodbye, and all agents come back with their full state.
- The generator shares the cores with the server, so times are upper bounds; CPU is the sturdier number."""


_FLOOR = """\
### Where the targets for CPU stand
A push is one large write, two messages in and two out; a reconnect is a closed and a new socket, an upgrade, a message
and its answer. What the kernel takes for that is the same for every server that makes the same calls. The rest of
gitsync's time is Python: deciding, keeping the state of each agent, and storing it with its history in SQLite, which
opamp-go does not do. The profile below says which functions."""


def results(parts: dict[str, Part], machine: Sequence[str]) -> str:
    """The whole page."""
    lines = ["# Results", "", "Written by `make bench`: medians [least-most] over all runs.", ""]
    lines += [*machine, "", "## What is compared", _COMPARED, ""]
    if "plain" in parts:
        part = parts["plain"]
        lines += [f"## Plain connections, {part['agents'][0]:,} agents", _circumstances(part), ""]
        lines += [*comparison_lines(part, tls=False), "", *absolute_lines(part), "", *whole_lines(part), ""]
        lines += [_FLOOR, "", *floor_lines(part, tls=False), ""]
    if "tls" in parts:
        part = parts["tls"]
        lines += [f"## TLS 1.3 with client certificates, {part['agents'][0]:,} agents", _circumstances(part), ""]
        lines += ["Connecting is a whole handshake with ECDSA P-256 on both sides.", ""]
        lines += [*comparison_lines(part, tls=True), "", *floor_lines(part, tls=True), ""]
    if "growth" in parts:
        part = parts["growth"]
        lines += ["## How it grows", _circumstances(part), "", *growth_lines(part), ""]
        lines += [f"![{one[1]}](plots/{one[0]}.svg)" for one in _growing(part)] + [""]
    for part in parts.values():
        if part.get("profile"):
            lines += [f"## Where gitsync's time goes, {part['agents'][0]:,} agents", *part["profile"], ""]
    if "story" in parts:
        lines += story_lines(parts["story"])
    return "\n".join(lines)


def _circumstances(part: Part) -> str:
    loads = "load average {:.1f} before, {:.1f} after".format(*part["load"])
    turns = f"{part['cycles']} turn{'s' * (part['cycles'] > 1)}"
    return f"{part['began']}, {part['seconds']:.0f} s, {turns}, {loads}; `{part['command']}`"


def write_plots(part: Part, directory: Path) -> None:
    """Replaces the plots."""
    directory.mkdir(exist_ok=True)
    for name, text in growth_plots(part).items():
        (directory / name).write_text(text)
