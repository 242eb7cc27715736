"""Which agents could not run what a commit would give them: their builds lack a component.

Agents that report their components do so once per build; the target that an agent has now counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from gitsync.bundle.version import CompileResult, Need
from gitsync.collector.pipelines import KINDS
from gitsync.collector.policy import LACKING
from gitsync.control.inventory import stored_key
from gitsync.control.ports import Store
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.ids import SourceName
from gitsync.wording import quoted

MOST_BUILDS = 1_000
"""Builds that are looked at; the most frequent ones come first."""


async def find_lacking(source: SourceName, result: CompileResult, store: Store) -> tuple[Diagnostic, ...]:
    """Findings (GS0801) about components that agents of a target report not to have.

    Raises:
        Unavailable: the store is away.
    """
    if result.bundle is None or result.lacking is None:
        return ()
    builds: Mapping[str, dict[bytes, int]] = defaultdict(dict)
    counted = await store.count_builds(source)
    for (path, build), agents in sorted(counted.items(), key=lambda one: -one[1])[:MOST_BUILDS]:
        builds[path][build] = agents
    known: dict[bytes, Mapping[str, frozenset[str]] | None] = {}
    found: list[Diagnostic] = []
    for path, needs in result.needs.items():
        lacking: Counter[Need] = Counter()
        asked = 0
        for build, agents in builds.get(path, {}).items():
            if build not in known:
                known[build] = _read(await store.load_blob(stored_key(build)))
            components = known[build]
            if components is None:
                continue
            asked += agents
            for need in needs:
                if need.types.isdisjoint(components.get(need.section, frozenset())):
                    lacking[need] += agents
        found.extend(_finding(path, need, agents, asked, result.lacking) for need, agents in lacking.items())
    return tuple(sorted(set(found)))


def _finding(path: str, need: Need, agents: int, asked: int, severity: Severity) -> Diagnostic:
    kind = need.section.removesuffix("s")
    who = f"{agents} of {asked} agents" if asked > 1 else "the agent"
    verb = "report" if asked > 1 else "reports"
    return Diagnostic(
        need.at.path,
        need.at.line,
        need.at.column,
        severity,
        LACKING,
        f"{who} of target {quoted(path)} {verb} a build without the {kind} {quoted(need.id)}",
        "they will refuse this configuration; move them to another target, or install another build",
    )


def _read(body: bytes | None) -> Mapping[str, frozenset[str]] | None:
    """The types of a build by section of a configuration; None when nobody has told them, or not in this order."""
    if body is None:
        return None
    stored: Mapping[str, Any] = json.loads(body)
    found = {name: frozenset(one["members"]) for name, one in stored.items() if name in KINDS and one["members"]}
    return found or None
