"""The real Collector that judges the corpus of `tests/agreement`: built once per machine from `schemas/generator`.

It is linked from every component whose module can be had, so a cold build takes many minutes of CPU: it is not among
the tools of `make test`, and the test that needs it is in the slow tier. The Collector's own command works too:
`oracle validate --config FILE`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.tools import CHECKOUT, GoTool, ToolMissing, provide

GENERATOR = CHECKOUT / "schemas" / "generator"
ORACLE = GoTool("oracle", "v0.159.0", "./oracle", "go.mod", GENERATOR, ("oracle", "components"))
BATCH_SECONDS = 1200


def oracle_binary() -> Path:
    """Path of the oracle, built now when it is not there. Raises `ToolMissing`."""
    return provide(ORACLE)


def ask(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The oracle's answers, `{"id", "valid", "error"}` each, in the order of the cases.

    Raises:
        ToolMissing: the oracle is not there, or it broke down.
    """
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    run = subprocess.run(
        [str(oracle_binary()), "batch"],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        timeout=BATCH_SECONDS,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode or len(answers) != len(cases):
        raise ToolMissing(f"the oracle ended with {run.returncode} after {len(answers)} cases:\n{run.stderr[-2000:]}")
    return answers
