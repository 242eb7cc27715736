"""The table is complete and honest, and the page says what it says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.protocol.conformance.page import COMMAND, PAGE, ROOT, render
from tests.protocol.conformance.table import ALL_CASES, RULES, cases_of
from tests.support.conformance import BOTH, Rule

ABOUT_ONE = {"1", "5", "6", "8", *map(str, range(10, 16)), "17", "18", "35", "68", "69", "70", "A1"}
"""Rules about one transport, and the one about both at once."""
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"rule {rule.number}")


def test_all_74_rules_of_servers_and_all_15_of_agents_are_there() -> None:
    assert [one.number for one in RULES] == [*(str(n) for n in range(1, 75)), *(f"A{n}" for n in range(1, 16))]


@EVERY_RULE
def test_a_rule_is_shown_by_a_case_or_a_test_or_says_why_not(rule: Rule) -> None:
    shown = [*cases_of(rule), *rule.elsewhere]
    assert not (rule.in_part and rule.not_yet)
    assert rule.not_yet or shown
    assert rule.text.endswith(".")


@EVERY_RULE
def test_a_rule_that_holds_over_both_transports_is_shown_over_both_or_is_about_one(rule: Rule) -> None:
    over = {via for one in cases_of(rule) for via in one.over}
    if cases_of(rule) and rule.number not in ABOUT_ONE:
        assert over == set(BOTH)


@pytest.mark.parametrize("test", sorted({one for rule in RULES for one in rule.elsewhere}))
def test_tests_that_are_named_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_cases_name_rules_that_exist_and_have_names_of_their_own() -> None:
    numbers = {one.number for one in RULES}
    for case in ALL_CASES:
        assert case.rules
        assert set(case.rules) <= numbers, case.name
    twice = [name for name, count in Counter(one.name for one in ALL_CASES).items() if count > 1]
    assert twice == []


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), f"run {COMMAND}"
