"""Two agents with one uid, told by their numbers; and what real agents do that must not be taken for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gitsync.opamp.series import Series, follow


def told(numbers: list[int]) -> list[int]:
    """Positions at which there would be somebody to tell that he came second."""
    series: Series | None = None
    found: list[int] = []
    for at, (previous, number) in enumerate(pairwise(numbers), start=1):
        if number in (previous, previous + 1):
            continue
        series = follow(series, previous, number)
        if series.is_proven and series.is_later:
            found.append(at)
    return found


@pytest.mark.parametrize(
    ("numbers", "first"),
    [
        ([5, 0, 6, 1, 7, 2], 5),
        ([100, 40, 101, 41, 102, 42, 103], 5),
        ([5, 6, 7, 0, 1, 8, 2, 3, 9, 10, 4], 10),
        ([5, 5, 0, 6, 6, 1, 7, 2], 7),
    ],
    ids=["a new clone", "a clone of a running machine", "several in a row", "with repetitions"],
)
def test_two_series_in_turn_are_two_agents_and_the_later_one_is_told(numbers: list[int], first: int) -> None:
    assert told(numbers)[0] == first


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 1, 2, 3],
        [2, 2, 2, 5, 6],
        [2, 2, 3, 5, 6, 8, 9],
        [7, 0, 1, 2, 3],
        [7, 0, 3, 0, 2, 0, 1],
        [3, 5, 4, 7, 6, 9, 8, 11, 10],
        [0] * 20,
        [1, 5, 9, 13, 17, 21],
        [5, 0, 6, 1],
    ],
    ids=[
        "one agent",
        "a client that repeats and jumps",
        "another one",
        "a new process",
        "an agent that crashes again and again",
        "messages that overtake each other",
        "an agent that does not count",
        "lost messages",
        "too little to be sure",
    ],
)
def test_what_one_agent_may_do_is_not_taken_for_two(numbers: list[int]) -> None:
    assert told(numbers) == []


def test_the_claim_stands_only_while_both_series_go_on() -> None:
    assert told([5, 0, 6, 1, 50, 2, 51, 3]) == []
