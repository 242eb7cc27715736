"""`changed` is `dataclasses.replace`, only faster."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.fleet.agent import Agent, Attempt, AttemptState, changed
from gitsync.labels import RankedLabels
from tests.store import strategies as some
from tests.support.builders import NOW, a_hash, a_uid

VALUES: dict[type, st.SearchStrategy[Any]] = {Agent: some.agents, Attempt: some.attempts}
KINDS = pytest.mark.parametrize("kind", [Agent, Attempt])


@KINDS
@given(data=st.data())
def test_any_fields_are_changed_and_the_others_and_the_original_are_as_they_were(
    kind: type, data: st.DataObject
) -> None:
    old, donor = data.draw(VALUES[kind]), data.draw(VALUES[kind])
    names = [one.name for one in fields(kind)]
    changes = {name: getattr(donor, name) for name in data.draw(st.sets(st.sampled_from(names)))}
    before = {name: getattr(old, name) for name in names}
    new = changed(old, **changes)
    assert new == replace(old, **changes)
    assert new is not old
    for name in names:
        assert getattr(new, name) is (changes if name in changes else before)[name]
        assert getattr(old, name) is before[name]
    assert repr(new) == repr(replace(old, **changes))


@KINDS
@given(data=st.data())
def test_the_result_is_frozen_and_of_the_very_class(kind: type, data: st.DataObject) -> None:
    new = changed(data.draw(VALUES[kind]))
    assert type(new) is kind
    assert not hasattr(new, "__dict__")
    for one in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(new, one.name, getattr(new, one.name))
        with pytest.raises(FrozenInstanceError):
            delattr(new, one.name)
    assert changed(new) == copy.copy(new) == new


@given(some.attempts)
def test_the_result_has_the_hash_of_its_equals_and_can_be_copied_and_sent(attempt: Attempt) -> None:
    new = changed(attempt, tries=attempt.tries + 1)
    assert hash(new) == hash(replace(attempt, tries=attempt.tries + 1))
    assert {new: 1}[replace(new)] == 1
    assert pickle.loads(pickle.dumps(new)) == copy.deepcopy(new) == new


@given(some.agents)
def test_a_changed_agent_has_its_methods(agent: Agent) -> None:
    new = changed(agent, labels=RankedLabels(reported={"host.name": "web-1"}), identifying_keys=("host.name",))
    assert (new.name, dict(new.identifying), dict(new.non_identifying)) == ("web-1", {"host.name": "web-1"}, {})


@KINDS
@pytest.mark.parametrize("name", ["unknown", "", "healthy", "can", "__dict__", "is_open"])
def test_a_name_that_is_no_field_is_refused(kind: type, name: str) -> None:
    value = a_value(kind)
    with pytest.raises((AttributeError, TypeError)):
        changed(value, **{name: None})
    assert value == a_value(kind)


def a_value(kind: type) -> Any:
    if kind is Agent:
        return Agent(a_uid(1))
    return Attempt(a_hash("a"), 1, AttemptState.OFFERED, NOW, NOW)
