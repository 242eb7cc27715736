"""Our own verdicts on the cases, beside those that were recorded of the real Collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from gitsync.collector.judge import judge_files
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.ottl.finding import Finding
from gitsync.ottl.judge import judge_text
from gitsync.worker.schemas import load_catalog
from tests.agreement.cases import HERE, Case, ConfigCase, read_yaml
from tests.agreement.verdicts import Recorded, hand_written, load, mutated

VERSION = "0.159.0"
BUILD = load_catalog().build("contrib", (VERSION,))
KNOWN = HERE / "known.yaml"
Found = TypeVar("Found", Diagnostic, Finding)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case with both verdicts."""

    case: Case
    theirs: Recorded
    valid: bool
    #: Our first error; empty when there is none.
    said: str
    #: Ours raised, which it never may.
    broken: bool = False

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.valid == self.theirs.valid and not self.broken

    @property
    def false_alarm(self) -> bool:
        """Whether we refuse what the Collector accepts: the worst that can happen."""
        return self.theirs.valid and not self.valid


def compare(case: Case, theirs: Recorded) -> Comparison:
    """Judges the case; what ours raises counts as a wrong verdict, so that the report goes on."""
    try:
        return _compare(case, theirs)
    except Exception as error:
        return Comparison(case, theirs, not theirs.valid, f"raised {type(error).__name__}: {error}", broken=True)


def _compare(case: Case, theirs: Recorded) -> Comparison:
    if isinstance(case, ConfigCase):
        files = [(f"config-{number}.yaml", _bytes(text)) for number, text in enumerate(case.files)]
        verdict = judge_files(files, BUILD)
        wrong = [f"{one.location()}: {one.code} {one.message}" for one in errors(verdict.diagnostics)]
        return Comparison(case, theirs, verdict.valid, next(iter(wrong), ""))
    found = judge_text(case.text, case.kind, case.context, BUILD.newest.ottl)
    wrong = [f"{one.start}: {one.code} {one.message}" for one in errors(found)]
    return Comparison(case, theirs, not wrong, next(iter(wrong), ""))


def errors(found: Iterable[Found]) -> list[Found]:
    """Only errors decide; the Collector has no warnings."""
    return [one for one in found if one.severity is Severity.ERROR]


@cache
def comparisons() -> tuple[Comparison, ...]:
    """All cases that the real Collector has judged, hand-written ones first."""
    known = load()
    return tuple(compare(case, known[case.id]) for case in covered(known))


def covered(known: Mapping[str, Recorded]) -> Iterable[Case]:
    """The cases that have a verdict."""
    return [case for case in (*hand_written(), *mutated(known)) if case.id in known]


@cache
def uncovered() -> tuple[ConfigCase, ...]:
    """Cases of components that no oracle has; the corpus itself says what is right."""
    return tuple(case for case in hand_written() if isinstance(case, ConfigCase) and case.expected is not None)


def known_disagreements() -> dict[str, str]:
    """The allowed disagreements: the id of a case, and why ours may differ."""
    listed = read_yaml(KNOWN.read_text()) or []
    return {name: entry["reason"] for entry in listed for name in entry["cases"]}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
