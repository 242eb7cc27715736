"""What is decided about selectors alone agrees with trying every agent."""

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from gitsync.bundle.disjoint import candidate_pairs, common_labels, separation
from gitsync.labels import Operator, Requirement, Selector, resolve, witness

KEYS = ("a", "b", "c")
VALUES = ("x", "y")
ALIASES = {"a": ("b", "c")}
# Two values that selectors speak of, one that none does, and absence: more can make no difference.
AGENTS = [
    {key: value for key, value in zip(KEYS, choice, strict=True) if value is not None}
    for choice in product((*VALUES, "other", None), repeat=len(KEYS))
]


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from(Operator))
    values = draw(st.sets(st.sampled_from(VALUES), min_size=1))
    takes_values = operator in (Operator.IN, Operator.NOT_IN)
    return Requirement(draw(st.sampled_from(KEYS)), operator, tuple(sorted(values)) if takes_values else ())


selectors = st.lists(requirements(), max_size=4).map(Selector.of)


@given(selectors, selectors)
def test_satisfiability_agrees_with_brute_force(one: Selector, other: Selector) -> None:
    expected = any(one.matches(agent) and other.matches(agent) for agent in AGENTS)
    found = witness(one, other)
    assert (found is not None) == expected
    if found is not None:
        assert one.matches(found)
        assert other.matches(found)


@given(selectors, selectors)
def test_satisfiability_with_aliases_agrees_with_brute_force(one: Selector, other: Selector) -> None:
    resolved = [resolve(agent, ALIASES) for agent in AGENTS]
    expected = any(one.matches(agent) and other.matches(agent) for agent in resolved)
    found = common_labels(ALIASES, one, other)
    assert (found is not None) == expected
    if found is not None:
        assert one.matches(resolve(found, ALIASES))
        assert other.matches(resolve(found, ALIASES))


@given(selectors)
def test_a_selector_keeps_its_meaning_in_json(one: Selector) -> None:
    again = Selector.from_json(one.as_json())
    assert again == one
    assert all(again.matches(agent) == one.matches(agent) for agent in AGENTS)


@given(st.lists(selectors, max_size=6))
def test_no_overlapping_pair_is_left_out_of_the_comparison(group: list[Selector]) -> None:
    pairs = list(candidate_pairs(group))
    assert len(pairs) == len(set(pairs))
    overlapping = {
        (a, b)
        for a, b in combinations(range(len(group)), 2)
        if any(group[a].matches(agent) and group[b].matches(agent) for agent in AGENTS)
    }
    assert overlapping <= set(pairs)


@given(selectors, selectors)
def test_the_line_that_is_proposed_separates_and_leaves_something(keep: Selector, change: Selector) -> None:
    if common_labels(ALIASES, keep, change) is None:
        return
    line = separation(ALIASES, keep, change)
    resolved = [resolve(agent, ALIASES) for agent in AGENTS]
    if line is None:
        assert all(keep.matches(agent) for agent in resolved if change.matches(agent))
        return
    fixed = change.and_(Selector.of([line]))
    assert common_labels(ALIASES, keep, fixed) is None
    assert any(fixed.matches(agent) for agent in resolved)
