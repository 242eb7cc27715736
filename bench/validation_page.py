"""`VALIDATION.md`, from what was measured."""

from __future__ import annotations

import statistics
from typing import Any

from bench.figures import median_and_range
from bench.repository import TARGETS

Part = dict[str, Any]
FASTER = 20.0
"""Times that a file must be judged faster than by the command."""
LONG_MS = 10.0
STATEMENT_US = 50.0
COLD_SECONDS = 3.0

_COMPARED = """\
- **`otelcol validate`** is the real Collector that the verdicts of `tests/agreement` come from, with 115
  components (a contrib build has 242, and starts slower). A new process for each file, as people run it.
- **batch** is the same Collector's code in one process that stays: no start, no command line; but for each case it
  makes an empty directory, its factories and one answer as JSON, which a loop of its own would not need.
- **gitsync** is `judge_files` in a process that stays, as in the server's compile worker or a Python program, for one
  version and for two. All of it: YAML, schema, rules of components, OTTL, graph, hazards; nothing is kept from one
  judgement to the next but the schemas. It says more than the Collector does (warnings, hints, places).
- **`gitsync validate`** is the whole command in a new process: what a pre-commit hook waits for. Most of it is Python's
  own start and imports.

The files are {files} valid configurations of `tests/agreement/corpus`, from its smallest to its largest, and
`bench/gateway.yaml`, a gateway as teams run it. Both sides take all of them, and every turn runs both, one after the
other. Bytecode is there, as it is in an installed package; files are in the page cache. The machine is shared: times
are upper bounds, ratios of what ran in turns are the sturdier numbers."""

_RATIOS = """\
Ratios are of medians of one file; those of all files are the median [least-most] over the files. Most of the
command's time is its start, so the ratio falls with the size of the file; against the same work without any
start it is the one of the batch. As a command in a new process gitsync is the slower one: judge many files in
one run (`--each`), or a whole repository."""


def page(part: Part) -> str:
    """The whole page."""
    files = _COMPARED.format(files=len(part["files"]) - 1)
    loads = "load average {:.1f} before, {:.1f} after".format(*part["load"])
    turns = f"{part['cycles']} turn{'s' * (part['cycles'] > 1)}"
    return "\n".join(
        [
            "# Validation: results",
            "",
            "Written by `python -m bench --only validate`: medians [least-most].",
            "",
            *part["machine"],
            f"- {part['began']}, {part['seconds']:.0f} s, {turns}, {loads}",
            "",
            "## What is compared",
            files,
            "",
            "## Targets",
            *target_lines(part),
            "",
            "## Per file, ms",
            *file_lines(part),
            "",
            _RATIOS,
            "",
            "## OTTL",
            *statement_lines(part),
            "",
            "## A repository",
            *repository_lines(part),
            "",
        ]
    )


def target_lines(part: Part) -> list[str]:
    """What was wanted, and whether it is so."""
    ratios = [_ratio(one, "real", "ours") for one in part["files"]]
    long, statements, repository = part["long"]["one"], part["statements"], part["repository"]
    cold = [one["wall_s"] for one in repository["two"]["cold"]]
    rows = [
        ("times faster per file than `otelcol validate`", median_and_range(ratios), f">= {FASTER:g}", FASTER, ratios),
        (
            f"{long['lines']} lines, ms P50 (P99 {long['p99']:.1f})",
            f"{long['p50']:.1f}",
            f"< {LONG_MS:g}",
            -LONG_MS,
            [long["p50"]],
        ),
        (
            "a statement, us",
            median_and_range(statements["ours"]),
            f"< {STATEMENT_US:g}",
            -STATEMENT_US,
            statements["ours"],
        ),
        (
            f"{TARGETS} targets, two versions, a new process, s",
            median_and_range(cold, 2),
            f"< {COLD_SECONDS:g}",
            -COLD_SECONDS,
            cold,
        ),
    ]
    lines = ["| | measured | target | |", "|---|---|---|---|"]
    for title, shown, wanted, bound, values in rows:
        middle = statistics.median(values)
        met = middle >= bound if bound > 0 else middle < -bound
        lines.append(f"| {title} | {shown} | {wanted} | {'met' if met else '**missed**'} |")
    return lines


_COLUMNS = ("real", "batch", "ours", "both", "cli")
_PAIRS = (("real", "ours"), ("batch", "ours"), ("real", "cli"))
_DIGITS: dict[str | tuple[str, str], int] = {
    "real": 0,
    "batch": 2,
    "ours": 2,
    "both": 2,
    "cli": 0,
    ("real", "ours"): 0,
    ("batch", "ours"): 1,
    ("real", "cli"): 2,
}
_TITLES = (
    "`otelcol validate`",
    "batch",
    "gitsync",
    "gitsync, two versions",
    "`gitsync validate`",
    "`otelcol validate` / gitsync",
    "batch / gitsync",
    "`otelcol validate` / `gitsync validate`",
)


def file_lines(part: Part) -> list[str]:
    """Some files, and all of them."""
    lines = [
        f"| lines | {' | '.join(_TITLES)} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    files = part["files"]
    small = sorted(files[:-1], key=lambda one: one["lines"])
    for one in (small[0], small[len(small) // 2], small[-1], files[-1]):
        cells = [median_and_range(one[name], _DIGITS[name]) for name in _COLUMNS]
        cells += [f"{_ratio(one, *pair):.{_DIGITS[pair]}f}" for pair in _PAIRS]
        lines.append(f"| {one['lines']} | " + " | ".join(cells) + " |")
    cells = [median_and_range([statistics.median(one[name]) for one in files], _DIGITS[name]) for name in _COLUMNS]
    cells += [median_and_range([_ratio(one, *pair) for one in files], _DIGITS[pair]) for pair in _PAIRS]
    lines.append(f"| all {len(files)} | " + " | ".join(cells) + " |")
    return lines


def _ratio(one: Part, slow: str, fast: str) -> float:
    return statistics.median(one[slow]) / statistics.median(one[fast])


def statement_lines(part: Part) -> list[str]:
    """Time per text."""
    found = part["statements"]
    middle = statistics.median(found["ours"])
    return [
        f"All {found['count']:,} valid statements, conditions and values of the corpus, each parsed and checked anew.",
        "",
        "| | us each | a second |",
        "|---|---|---|",
        f"| Collector, batch | {median_and_range(found['real'])} | {1e6 / statistics.median(found['real']):,.0f} |",
        f"| gitsync | {median_and_range(found['ours'])} | {1e6 / middle:,.0f} |",
        "",
        f"Of single texts: P50 {found['p50']:.0f} us, P99 {found['p99']:.0f} us, most {found['most']:.0f} us.",
    ]


_REPOSITORY_TITLES = (
    "cold, s",
    "cold, CPU s",
    "first, ms",
    "warm, ms",
    "warm, ms a target",
    "resident MiB before and after",
)


def repository_lines(part: Part) -> list[str]:
    """Cold and warm."""
    lines = [
        f"`bench/repository.py`: {TARGETS} targets in three levels, each with the 250 lines of `bench/gateway.yaml` as",
        "its base, OTTL at two of the levels, and lists and values that change. Cold: `gitsync validate PATH` in a new",
        "process. Warm: `compile_bundle` in one that has compiled it before, as in the server's worker. Memory: of",
        "a process with the catalog's files and the tree, and then after it has compiled six times.",
        "",
        f"| Collector versions | {' | '.join(_REPOSITORY_TITLES)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, name in (("0.159.0", "one"), ("0.149.0 and 0.159.0", "two")):
        found = part["repository"][name]
        cold = [median_and_range([one[key] for one in found["cold"]], 2) for key in ("wall_s", "cpu_s")]
        cells = [
            *cold,
            f"{found['first']:,.0f}",
            median_and_range(found["warm"], 0),
            f"{statistics.median(found['warm']) / TARGETS:.2f}",
            f"{found['before_kib'] / 1024:.0f}, {found['after_kib'] / 1024:.0f}",
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines
