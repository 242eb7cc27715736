"""Writes docs/reference/validation-agreement.md: `python -m tests.agreement.page`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.agreement.cases import ConfigCase, read_yaml
from tests.agreement.ours import BUILD, KNOWN, VERSION, Comparison, comparisons, uncovered
from tests.support.tools import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "validation-agreement.md"
INTRODUCTION = """# How far our verdict is the Collector's own

<!-- made by `python -m tests.agreement.page`; do not edit -->

A real Collector {version}, linked from every component whose module can be had, has judged a corpus of our own:
whole configurations the way `otelcol validate` goes (resolve, unmarshal, validate, build the graph), and single OTTL
texts with the parser of their context and the functions of the transform processor. What it said is recorded in
`tests/agreement/verdicts.json`; a slow test asks it again, a fast one compares our verdict with the recorded one.
"Refused wrongly" is what the Collector accepts and gitsync does not, "missed" the opposite. Warnings do not count.

The corpus has two parts: cases written by hand, and mutations made by rule from those that the Collector accepts (a
leaf of another type, an unknown or misspelled key, a key left out; an argument of another kind, a word left out).
"""
MAKING = """## Doing it again

```
python -m tests.agreement.record    # asks the real Collector about every case; needs Go, and minutes for its build
python -m tests.agreement.report    # prints where we differ; --only, --match, --false-alarms, --show
python -m tests.agreement.page      # writes this page
```

The Collector is `schemas/generator/oracle`, with its modules pinned; `oracle validate --config FILE` is its own
command.
"""


def text() -> str:
    """The whole page."""
    cases = comparisons()
    configs = [one for one in cases if isinstance(one.case, ConfigCase)]
    texts = [one for one in cases if not isinstance(one.case, ConfigCase)]
    parts = [
        INTRODUCTION.format(version=VERSION),
        "## In short\n\n" + _table("What", _halves(configs, texts)),
        "## Configurations by the stage in which the Collector refuses\n\n"
        + _table("Stage", _grouped(configs, _stage)),
        "## Configurations by file of the corpus\n\n" + _table("File", _grouped(configs, lambda one: one.case.group)),
        "## OTTL by context and kind\n\n" + _table("Texts", _grouped(texts, lambda one: one.case.group)),
        _disagreements({one.case.id: one for one in cases}),
        _not_covered(),
        MAKING,
    ]
    return "\n".join(parts)


def main() -> int:
    """Writes the page."""
    PAGE.write_text(text())
    print(f"wrote {PAGE.relative_to(CHECKOUT)}")
    return 0


def _halves(configs: Sequence[Comparison], texts: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    rows: dict[str, list[Comparison]] = {}
    for title, half in (("configurations", configs), ("OTTL texts", texts)):
        rows[f"{title}, by hand"] = [one for one in half if not one.case.id.startswith("mutated/")]
        rows[f"{title}, mutated"] = [one for one in half if one.case.id.startswith("mutated/")]
        rows[f"all {title}"] = list(half)
    return rows


def _stage(one: Comparison) -> str:
    return one.theirs.stage or "accepted"


def _grouped(cases: Iterable[Comparison], key: Callable[[Comparison], str]) -> dict[str, list[Comparison]]:
    groups: dict[str, list[Comparison]] = defaultdict(list)
    for one in cases:
        groups[key(one)].append(one)
    return dict(sorted(groups.items()))


def _table(title: str, rows: Mapping[str, Sequence[Comparison]]) -> str:
    lines = [f"| {title} | cases | accepted by the Collector | same verdict | refused wrongly | missed |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for name, cases in rows.items():
        accepted = sum(one.theirs.valid for one in cases)
        agreed = sum(one.agrees for one in cases)
        alarms = sum(one.false_alarm for one in cases)
        share = f"{agreed / len(cases):.2%}" if cases else ""
        lines.append(f"| {name} | {len(cases)} | {accepted} | {share} | {alarms} | {len(cases) - agreed - alarms} |")
    return "\n".join(lines) + "\n"


def _disagreements(cases: Mapping[str, Comparison]) -> str:
    listed = read_yaml(KNOWN.read_text()) or []
    lines = ["## Every disagreement, with its reason", ""]
    if not listed:
        lines += ["There is none.", ""]
    for entry in listed:
        lines += [f"**{entry['reason'].strip()}**", ""]
        for name in entry["cases"]:
            one = cases[name]
            ours = "accepted" if one.valid else f"refused: {_cell(one.said)}"
            theirs = "accepts" if one.theirs.valid else f"refuses: {_cell(one.theirs.message)}"
            subject = "" if isinstance(one.case, ConfigCase) else f" `{_cell(one.case.text)}`"
            lines.append(f"- `{name}`{subject}: the Collector {theirs}; here {ours}")
        lines.append("")
    return "\n".join(lines)


def _not_covered() -> str:
    lines = [
        "## Not covered by the oracle",
        "",
        "Modules of these components cannot be had, so no Collector that has them could be built. They are checked",
        "from tables (name, kind, signals, stability); their settings are not, except where a rule of ours knows some.",
        "",
    ]
    release = BUILD.newest
    for kind in ("receiver", "processor", "exporter", "connector", "extension"):
        types = {info.type for name in release.types(kind) if (info := release.find(kind, name)) and not info.fields}
        lines += [f"**{kind}s** ({len(types)}): {', '.join(sorted(types))}", ""]
    lines += ["What is right for them in the corpus is said by the corpus itself:", ""]
    lines += [f"- {case.id.rsplit('/', 1)[1].replace('-', ' ')}" for case in uncovered()]
    return "\n".join([*lines, ""])


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("`", "'").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
