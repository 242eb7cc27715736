"""Two agents with one uid, told by their numbers; and what real agents do that must not be taken for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gitsync.opamp.series import Echo, Series, echoed, follow


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


Repetition = tuple[int, str, str]


def is_proven(repetitions: list[Repetition]) -> bool:
    """Whether numbers, each said at the first place and again at the second, show two agents."""
    echo: Echo | None = None
    for number, before, now in repetitions:
        echo = echoed(echo, number, (before, now))
        if echo is not None and echo.is_proven:
            return True
    return False


@pytest.mark.parametrize(
    "repetitions",
    [
        [(5, "10.0.0.1:1", "10.0.0.2:1"), (6, "10.0.0.1:2", "10.0.0.2:2"), (7, "10.0.0.1:3", "10.0.0.2:3")],
        [(5, "10.0.0.1:1", "10.0.0.1:2"), (6, "10.0.0.1:1", "10.0.0.1:2"), (7, "10.0.0.1:1", "10.0.0.1:2")],
        [(5, "[::1]:1", "[::2]:1"), (6, "[::1]:2", "[::2]:2"), (7, "[::1]:3", "[::2]:3")],
    ],
    ids=["two hosts", "two connections of one host", "IPv6"],
)
def test_numbers_that_are_said_twice_from_two_places_in_turn_are_two_agents(repetitions: list[Repetition]) -> None:
    assert is_proven(repetitions)
    assert not is_proven(repetitions[:2])


@pytest.mark.parametrize(
    "repetitions",
    [
        [(number, "10.0.0.1:1", "10.0.0.1:1") for number in range(9)],
        [(number, f"10.0.0.1:{2 * number}", f"10.0.0.1:{2 * number + 1}") for number in range(9)],
        [(2 * number, "10.0.0.1:1", "10.0.0.2:1") for number in range(9)],
        [(5, "10.0.0.1:1", "10.0.0.2:1")] * 9,
        [(number, "10.0.0.1:1", f"10.0.0.{number}:1") for number in range(2, 9)],
    ],
    ids=["one connection", "a new connection each time", "now and then", "one number", "another host each time"],
)
def test_one_agent_that_says_messages_again_is_not_two(repetitions: list[Repetition]) -> None:
    assert not is_proven(repetitions)
