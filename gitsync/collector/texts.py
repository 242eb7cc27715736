"""OTTL inside of a configuration: judged by `ottl`, reported at its line and column of the file.

A text in which the agent fills something in (`${env:X}`) is not judged, and neither is a group whose context would have
to be found out with such a text in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitsync.collector.embedded import Site
from gitsync.collector.expansion import Expanded, expand
from gitsync.collector.findings import Findings
from gitsync.collector.node import Origin, Scalar
from gitsync.collector.places import place
from gitsync.diagnostics import Severity
from gitsync.ottl.finding import Finding
from gitsync.ottl.judge import Group, GroupFindings, judge_group, judge_text
from gitsync.ottl.tables import OttlTables

_AT_START = "the Collector fails at its start"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as the component sees it, and where its characters stand."""

    scalar: Scalar
    seen: Expanded

    def place(self, offset: int, sources: Mapping[str, str]) -> Origin:
        source = sources.get(self.scalar.origin.path)
        if source is None:
            return self.scalar.origin
        return place(source, self.scalar, self.seen.offset(min(offset, len(self.seen.text))))


def check_site(site: Site, tables: OttlTables, sources: Mapping[str, str], findings: Findings) -> None:
    """Reports what is wrong with the OTTL of one group.

    Args:
        site: the texts, and how they are read.
        tables: of the release.
        sources: texts of files by path; without its file, a finding stands at the beginning of its text.
        findings: takes errors, or warnings where the component reads its OTTL when it starts.
    """
    statements, conditions, values = _read(site.statements), _read(site.conditions), _read(site.values)
    unknown = len(statements) + len(conditions) < len({*site.statements}) + len({*site.conditions})
    report = _Report(sources, findings, at_start=site.stage == "start")
    if (statements or conditions) and not (unknown and site.context is None):
        found = _judge(site, site.context, statements, conditions, tables)
        if site.context is None and site.fallback is not None and _has_errors(found):
            found = _judge(site, site.fallback, statements, conditions, tables)
        first = (*statements, *conditions)[0]
        report.add(first, found.whole)
        for one, wrong in zip(statements, found.statements, strict=True):
            report.add(one, wrong)
        for one, wrong in zip(conditions, found.conditions, strict=True):
            report.add(one, wrong)
    if values and site.context is not None:
        functions = tables.functions_for(site.component, site.context)
        for one in values:
            text = one.seen.text
            report.add(one, judge_text(text, "value", site.context, tables, functions=functions, contextless=True))


class _Report:
    """Puts findings of texts into findings of files."""

    def __init__(self, sources: Mapping[str, str], findings: Findings, *, at_start: bool) -> None:
        self._sources = sources
        self._findings = findings
        self._at_start = at_start

    def add(self, text: _Text, found: Iterable[Finding]) -> None:
        for one in found:
            at = text.place(one.start, self._sources)
            if self._at_start and one.severity is Severity.ERROR:
                # One code for all that the Collector notices late, so that a policy can name it.
                self._findings.warning(at, "GS0280", f"{_AT_START}: {one.message}", one.hint)
            else:
                self._findings.report(one.severity, at, one.code, one.message, one.hint)


def _read(scalars: Iterable[Scalar]) -> list[_Text]:
    """The texts that are known here."""
    read = (_Text(one, expand(one.text)) for one in dict.fromkeys(scalars))
    return [one for one in read if one.seen.known]


def _judge(
    site: Site, context: str | None, statements: list[_Text], conditions: list[_Text], tables: OttlTables
) -> GroupFindings:
    group = Group(context, tuple(one.seen.text for one in statements), tuple(one.seen.text for one in conditions))
    # The transform processor takes the conditions of a group as the filter processor does.
    return judge_group(
        group,
        tables,
        site.candidates or (() if context is None else (context,)),
        component=site.component,
        conditions_of="processor/filter" if site.component == "processor/transform" else site.component,
        separately=site.separately,
    )


def _has_errors(found: GroupFindings) -> bool:
    groups = (found.whole, *found.statements, *found.conditions)
    return any(one.severity is Severity.ERROR for group in groups for one in group)
