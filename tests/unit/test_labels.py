"""Labels and selectors: Kubernetes' rules, its text form, ranks, aliases."""

import pytest

from gitsync.labels import (
    Operator,
    RankedLabels,
    Requirement,
    Selector,
    equals,
    parse_selector,
    requirement,
    resolve,
    witness,
)


@pytest.mark.parametrize(
    ("text", "with_prod", "with_dev", "without"),
    [
        ("env in (prod)", True, False, False),
        ("env notin (prod)", False, True, True),
        ("env", True, True, False),
        ("!env", False, False, True),
    ],
)
def test_operators_match_as_in_kubernetes(text: str, with_prod: bool, with_dev: bool, without: bool) -> None:
    selector = parse_selector(text)
    assert [selector.matches(labels) for labels in ({"env": "prod"}, {"env": "dev"}, {})] == [
        with_prod,
        with_dev,
        without,
    ]


def test_an_empty_selector_matches_everything_and_the_empty_value_is_a_value() -> None:
    assert Selector().matches({})
    assert parse_selector("env").matches({"env": ""})
    assert parse_selector("env=").matches({"env": ""})
    assert not parse_selector("env=").matches({})


@pytest.mark.parametrize(
    "text",
    ["env=prod", "env!=prod", "a,!b,c in (x,y),d notin (x,y)", "team.checkout=true,topology.kubernetes.io/zone=a"],
)
def test_the_text_form_reads_back_what_it_shows(text: str) -> None:
    selector = parse_selector(text)
    assert str(selector) == text
    assert parse_selector(str(selector)) == selector
    assert Selector.from_json(selector.as_json()) == selector


def test_spaces_and_the_double_equals_sign_are_understood() -> None:
    expected = Selector.of([equals("a", "b"), requirement("c", "In", ["d", "e"])])
    assert parse_selector(" a == b , c in ( e , d ) ,") == expected


@pytest.mark.parametrize("text", ["a b", "=b", "a in (", "a in ()", "(a)", "a=b c"])
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"selector term|at least one value"):
        parse_selector(text)


@pytest.mark.parametrize(
    ("operator", "values", "why"),
    [("in", ["a"], "unknown operator"), ("In", [], "at least one"), ("Exists", ["a"], "takes no values")],
)
def test_values_must_fit_the_operator(operator: str, values: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        requirement("k", operator, values)


def test_equal_selectors_have_equal_forms_whatever_the_order() -> None:
    one = Selector.of([requirement("b", "In", ["y", "x", "y"]), equals("a", "1"), equals("a", "1")])
    other = Selector.of([equals("a", "1"), requirement("b", "In", ["x", "y"])])
    assert one == other
    assert one.as_json() == {
        "matchLabels": {"a": "1"},
        "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}],
    }
    assert one.keys() == {"a", "b"}


def test_contradicting_labels_survive_the_json_form() -> None:
    selector = Selector.of([equals("a", "1"), equals("a", "2")])
    assert Selector.from_json(selector.as_json()) == selector
    assert witness(selector) is None


def test_a_witness_is_an_agent_that_all_selectors_match() -> None:
    labels = witness(parse_selector("a in (x,y),b"), parse_selector("a!=x,!c,d notin (value)"))
    assert labels == {"a": "y", "b": "value"}
    assert witness(parse_selector("a"), parse_selector("!a")) is None
    assert witness() == {}


def test_an_own_value_for_a_forbidden_witness_value_is_found() -> None:
    assert witness(
        Selector.of([Requirement("a", Operator.EXISTS), requirement("a", "NotIn", ["value", "value1"])])
    ) == {"a": "value2"}


def test_a_higher_rank_hides_a_lower_one() -> None:
    labels = RankedLabels(
        reported={"env": "dev", "host": "h", "role": "x"},
        operator={"env": "staging", "role": "y"},
        token={"env": "prod"},
        certificate={"team": "t"},
    )
    assert labels.effective() == {"env": "prod", "host": "h", "role": "y", "team": "t"}
    assert labels.effective(trusted_only=True) == {"env": "prod", "role": "y", "team": "t"}


def test_an_own_label_comes_before_its_stand_ins_and_these_in_order() -> None:
    aliases = {"env": ("deployment.environment.name", "deployment.environment")}
    both = {"deployment.environment": "b", "deployment.environment.name": "a"}
    assert resolve(both, aliases)["env"] == "a"
    assert resolve({"deployment.environment": "b"}, aliases)["env"] == "b"
    assert resolve(both | {"env": "own"}, aliases)["env"] == "own"
    assert "env" not in resolve({}, aliases)
