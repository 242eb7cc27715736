"""Asks the real Collector about every case, and writes its verdicts: `python -m tests.agreement.record`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.agreement.cases import Case
from tests.agreement.verdicts import Recorded, hand_written, mutated, recorded, save
from tests.support.oracle import ask, oracle_binary
from tests.support.tools import ToolMissing


def answers(cases: Sequence[Case]) -> dict[str, Recorded]:
    """The verdict of the real Collector on each case that it can judge."""
    asked = [case for case in cases if case.expected is None]
    replies = ask([case.request() for case in asked])
    return {
        case.id: recorded(case, str(reply["error"]), valid=bool(reply["valid"]))
        for case, reply in zip(asked, replies, strict=True)
    }


def record() -> dict[str, Recorded]:
    """First the cases in the corpus, then the mutations of those that are right."""
    verdicts = answers(hand_written())
    verdicts.update(answers(mutated(verdicts)))
    return verdicts


def main() -> int:
    """Writes `verdicts.json`; 2 when the oracle cannot be had."""
    try:
        print(f"asking {oracle_binary()}")
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    verdicts = record()
    save(verdicts)
    right = sum(1 for one in verdicts.values() if one.valid)
    print(f"{len(verdicts)} verdicts: {right} valid, {len(verdicts) - right} invalid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
