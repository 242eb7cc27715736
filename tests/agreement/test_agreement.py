"""Our verdicts beside the recorded ones of the real Collector, and the page that tells of them."""

from __future__ import annotations

import pytest

from tests.agreement import page
from tests.agreement.cases import ConfigCase, hand_written_configs, hand_written_texts
from tests.agreement.ours import Comparison, compare, comparisons, known_disagreements, uncovered
from tests.agreement.record import record
from tests.agreement.verdicts import Recorded, hand_written, load, mutated
from tests.support.oracle import oracle_binary
from tests.support.tools import require

ENOUGH = 0.97
CONFIGS, STATEMENTS = 450, 900

# Judging the whole corpus takes about 15 seconds; the tests of one process share the result.
pytestmark = pytest.mark.timeout(600)


def half(configs: bool) -> list[Comparison]:
    return [one for one in comparisons() if isinstance(one.case, ConfigCase) is configs]


def named(cases: list[Comparison]) -> str:
    lines = [f"{one.case.id}\n    ours: {one.said}\n    theirs: {one.theirs.message}" for one in cases[:20]]
    return "\n".join([f"{len(cases)} cases; python -m tests.agreement.report shows all", *lines])


def test_the_corpus_is_large_enough() -> None:
    assert len(hand_written_configs()) >= CONFIGS
    assert len(hand_written_texts()) >= STATEMENTS


def test_every_case_has_a_recorded_verdict_of_its_present_text() -> None:
    known = load()
    cases = {case.id: case for case in (*hand_written(), *mutated(known)) if case.expected is None}
    changed = [name for name, case in cases.items() if name not in known or known[name].digest != case.digest()]
    assert not changed, f"run python -m tests.agreement.record: {changed[:10]}"
    assert known.keys() == cases.keys()


@pytest.mark.parametrize("configs", [True, False], ids=["configurations", "statements"])
def test_we_agree_with_the_collector_nearly_always(configs: bool) -> None:
    cases = half(configs)
    differing = [one for one in cases if not one.agrees]
    assert 1 - len(differing) / len(cases) >= ENOUGH, named(differing)


def test_what_the_collector_accepts_is_never_refused() -> None:
    known = known_disagreements()
    alarms = [one for one in comparisons() if one.false_alarm and one.case.id not in known]
    assert not alarms, named(alarms)


def test_every_disagreement_is_listed_with_its_reason() -> None:
    known = known_disagreements()
    differing = [one for one in comparisons() if not one.agrees and one.case.id not in known]
    assert not differing, named(differing)


def test_a_listed_disagreement_still_is_one() -> None:
    differing = {one.case.id for one in comparisons() if not one.agrees}
    assert not known_disagreements().keys() - differing


@pytest.mark.parametrize("case", uncovered(), ids=lambda case: case.id)
def test_what_no_oracle_can_judge_is_judged_as_the_corpus_says(case: ConfigCase) -> None:
    expected = Recorded(case.digest(), bool(case.expected))
    found = compare(case, expected)
    assert found.agrees, found.said


def test_the_page_is_the_newest() -> None:
    assert page.PAGE.read_text() == page.text(), "run python -m tests.agreement.page"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_recorded_verdicts_are_those_of_the_real_collector() -> None:
    require(oracle_binary)
    now = {name: (one.digest, one.valid, one.stage) for name, one in record().items()}
    then = {name: (one.digest, one.valid, one.stage) for name, one in load().items()}
    assert now == then
