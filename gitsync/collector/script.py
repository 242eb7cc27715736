"""Files of OTTL beside a configuration (`redact.ottl`): a statement per line, and what is wrong with each.

    # Cookies never leave the host.
    delete_key(span.attributes, "http.request.header.cookie")
    set(log.attributes["team"], "checkout")
        where resource.attributes["service.name"] == "cart"

An indented line goes on with the statement above it. Lines that begin with `#` are comments. Every path begins with the
name of its context, from which the statement's own context follows; functions are those of the transform processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gitsync.collector.build import Build
from gitsync.collector.embedded import TRANSFORMED
from gitsync.collector.findings import LIMIT, Findings, joined
from gitsync.collector.node import Origin
from gitsync.collector.policy import AS_THE_COLLECTOR, Policy
from gitsync.diagnostics import Diagnostic
from gitsync.ottl.judge import Group, judge_group
from gitsync.ottl.tables import OttlTables

LONGEST_LINES = 200
"""Lines of one statement."""


@dataclass(frozen=True, slots=True)
class Written:
    """One statement of a file; `lines` has the number of each of its lines, and the offset where it begins."""

    text: str
    lines: tuple[tuple[int, int], ...]

    def place(self, path: str, offset: int) -> Origin:
        """Where a character of the statement stands."""
        number, start = next(one for one in reversed(self.lines) if one[1] <= offset)
        return Origin(path, number, offset - start + 1)


def read_script(text: str) -> Iterator[Written]:
    """The statements of a file, in order."""
    gathered: list[str] = []
    lines: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if gathered and not (line[0].isspace() and len(gathered) < LONGEST_LINES):
            yield Written("\n".join(gathered), tuple(lines))
            gathered, lines = [], []
        lines.append((number, sum(len(one) + 1 for one in gathered)))
        gathered.append(line.rstrip())
    if gathered:
        yield Written("\n".join(gathered), tuple(lines))


def check_script(path: str, text: str, build: Build, policy: Policy = AS_THE_COLLECTOR) -> tuple[Diagnostic, ...]:
    """Every finding about a file of OTTL, for all versions of a build; and that it is not put to use yet (GS0913)."""
    written = list(read_script(text))
    if not written:
        return ()
    found = [*joined({one.version: _check(path, written, one.ottl) for one in build.versions})]
    unused = Findings(path)
    unused.warning(
        written[0].place(path, 0),
        "GS0913",
        "files of OTTL are checked, and not yet put into configurations",
        "until then, write the statements into a transform processor",
    )
    return tuple(sorted(policy.judge([*found, *unused.done()])))


def _check(path: str, written: Iterable[Written], tables: OttlTables) -> tuple[Diagnostic, ...]:
    findings = Findings(path)
    for one in written:
        if findings.errors > LIMIT:
            break  # nobody reads on, and hints cost time
        (wrong,) = judge_group(Group(None, (one.text,)), tables, TRANSFORMED).statements
        for found in wrong:
            findings.report(found.severity, one.place(path, found.start), found.code, found.message, found.hint)
    return findings.done()
