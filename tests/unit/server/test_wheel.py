"""Deadlines of many in one timer, on a loop whose time is set by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

import pytest

from gitsync.server.wheel import TimingWheel
from tests.support.steppedloop import SteppedLoop


class Asked:
    """Writes down when it was asked."""

    def __init__(self, loop: SteppedLoop, again: Callable[[float], float] = lambda now: inf) -> None:
        self.slot = -1
        self.at: list[float] = []
        self._loop = loop
        self._again = again

    def check(self, now: float) -> float:
        self.at.append(now)
        return self._again(now)


@pytest.fixture
def loop() -> Iterator[SteppedLoop]:
    loop = SteppedLoop()
    yield loop
    loop.close()


@pytest.fixture
def wheel(loop: SteppedLoop) -> Iterator[TimingWheel]:
    wheel = TimingWheel(loop, 1.0)
    wheel.start()
    yield wheel
    wheel.stop()


def test_it_asks_never_early_and_at_most_a_slot_late(loop: SteppedLoop, wheel: TimingWheel) -> None:
    one = Asked(loop)
    wheel.ask(one, 110.3)
    loop.step(10.0)
    assert one.at == []
    loop.step(2.0)
    assert one.at == [111.0]
    loop.step(100.0)
    assert one.at == [111.0]
    assert one.slot == -1


def test_a_nearer_deadline_moves_it_and_a_later_one_does_not(loop: SteppedLoop, wheel: TimingWheel) -> None:
    one = Asked(loop, lambda now: 130.0 if now < 130.0 else inf)
    wheel.ask(one, 120.0)
    wheel.ask(one, 105.0)
    wheel.ask(one, 125.0)
    loop.step(40.0)
    assert one.at == [106.0, 131.0]


def test_what_is_dropped_is_not_asked(loop: SteppedLoop, wheel: TimingWheel) -> None:
    one, other = Asked(loop), Asked(loop)
    wheel.ask(one, 105.0)
    wheel.ask(other, 105.0)
    wheel.drop(one)
    wheel.drop(one)
    loop.step(10.0)
    assert (one.at, len(other.at)) == ([], 1)


def test_a_deadline_in_the_past_is_asked_next(loop: SteppedLoop, wheel: TimingWheel) -> None:
    one = Asked(loop)
    wheel.ask(one, 1.0)
    loop.step(1.5)
    assert len(one.at) == 1


def test_after_a_long_sleep_all_that_is_due_is_asked_in_order(loop: SteppedLoop, wheel: TimingWheel) -> None:
    order: list[int] = []
    for number, at in enumerate((5_000.0, 200.0, 9_000.0)):
        wheel.ask(Asked(loop, lambda now, number=number: order.append(number) or inf), at)  # type: ignore[misc,func-returns-value]  # a test
    loop.step(9_990.0, by=9_990.0)
    assert order == [1, 0, 2]


def test_one_that_fails_does_not_stop_the_others(
    loop: SteppedLoop, wheel: TimingWheel, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(now: float) -> float:
        raise RuntimeError("broken")

    others = [Asked(loop) for _ in range(3)]
    for one in (Asked(loop, fail), *others):
        wheel.ask(one, 105.0)
    loop.step(10.0)
    assert [len(one.at) for one in others] == [1, 1, 1]
    assert "could not be checked" in caplog.text


def test_a_stopped_wheel_asks_nobody(loop: SteppedLoop, wheel: TimingWheel) -> None:
    one = Asked(loop)
    wheel.ask(one, 105.0)
    wheel.stop()
    loop.step(10.0)
    assert one.at == []
    assert one.slot == -1
