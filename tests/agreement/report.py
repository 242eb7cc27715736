"""Prints where our verdict is not that of the real Collector: `python -m tests.agreement.report [OPTIONS]`.

--only configs|statements   one half of the corpus
--match TEXT                only cases whose id, text or message holds TEXT
--false-alarms              only what we refuse and the Collector accepts
--all                       also what is listed in known.yaml
--show                      the whole text of each case
--limit N                   cases per group (20)
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.agreement.cases import ConfigCase
from tests.agreement.ours import Comparison, comparisons, known_disagreements


def wanted(options: argparse.Namespace) -> list[Comparison]:
    """The cases that the options ask for, agreeing ones too."""
    found = []
    for one in comparisons():
        config = isinstance(one.case, ConfigCase)
        if options.only and config != (options.only == "configs"):
            continue
        text = "\n".join((one.case.id, _text(one), one.said, one.theirs.message))
        if options.match.lower() in text.lower():
            found.append(one)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the disagreements; 1 when there are some that nobody has explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.agreement.report")
    parser.add_argument("--only", choices=("configs", "statements"))
    parser.add_argument("--match", default="")
    parser.add_argument("--false-alarms", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--limit", type=int, default=20)
    options = parser.parse_args(arguments)
    cases = wanted(options)
    known = {} if options.all else known_disagreements()
    differing = [one for one in cases if not one.agrees and one.case.id not in known]
    if options.false_alarms:
        differing = [one for one in differing if one.false_alarm]
    _print_groups(differing, options)
    for title, half in (("configurations", True), ("statements", False)):
        part = [one for one in cases if isinstance(one.case, ConfigCase) is half]
        if part:
            print(summary(title, part))
    return 1 if differing else 0


def summary(title: str, cases: Iterable[Comparison]) -> str:
    """One line of numbers."""
    cases = list(cases)
    agreed = sum(one.agrees for one in cases)
    alarms = sum(one.false_alarm for one in cases)
    missed = len(cases) - agreed - alarms
    return (
        f"{title}: {agreed} of {len(cases)} agree ({agreed / len(cases):.2%}); {alarms} false alarms, {missed} missed"
    )


def _print_groups(differing: Sequence[Comparison], options: argparse.Namespace) -> None:
    groups: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for one in differing:
        kind = "FALSE ALARM" if one.false_alarm else f"MISSED ({one.theirs.stage}, {one.theirs.reason})"
        groups[kind, one.case.group].append(one)
    for (kind, group), members in sorted(groups.items()):
        print(f"\n== {kind}: {group}: {len(members)}")
        for one in members[: options.limit]:
            print(f"   {one.case.id}")
            if options.show or not isinstance(one.case, ConfigCase):
                print("      | " + _text(one).replace("\n", "\n      | "))
            print(f"      ours:   {'valid' if one.valid else 'invalid'} {one.said}")
            print(f"      theirs: {'valid' if one.theirs.valid else 'invalid'} {one.theirs.message}")
    if differing:
        print()


def _text(one: Comparison) -> str:
    return "\n---\n".join(one.case.files) if isinstance(one.case, ConfigCase) else one.case.text


if __name__ == "__main__":
    sys.exit(main())
