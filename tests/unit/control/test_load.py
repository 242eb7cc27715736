"""How much a link may say, and whom it carries."""

from __future__ import annotations

from gitsync.control.load import LinkLoad
from tests.support.builders import a_uid

COST = 1 / 50


def allowed(load: LinkLoad, now: float) -> int:
    """How many messages at one time are within reason."""
    count = 0
    while load.take(now) <= 0.0:
        count += 1
    return count


def test_a_link_may_send_a_burst_and_then_its_rate() -> None:
    load = LinkLoad(COST)
    assert 499 <= allowed(load, 100.0) <= 500
    assert 48 <= allowed(load, 101.0) <= 50
    assert 499 <= allowed(load, 200.0) <= 500


def test_messages_at_the_rate_are_never_too_many() -> None:
    load = LinkLoad(COST)
    assert all(load.take(100.0 + number * 0.021) <= 0.0 for number in range(20_000))


def test_a_proxy_gets_room_in_proportion() -> None:
    load = LinkLoad(COST)
    for number in range(1_000):
        load.add(a_uid(number))
    assert 20_000 <= allowed(load, 100.0) <= 21_000


def test_an_agent_that_comes_and_goes_is_counted_once() -> None:
    load = LinkLoad(COST)
    for _ in range(10):
        load.add(a_uid(1))
        load.add(a_uid(2))
        load.discard(a_uid(1))
        load.add(a_uid(1))
    assert sorted(load) == [a_uid(1), a_uid(2)]
    assert len(load) == 2
    load.discard(a_uid(1))
    load.discard(a_uid(2))
    load.discard(a_uid(3))
    assert list(load) == []
    assert not load


def test_without_a_limit_everything_is_allowed() -> None:
    load = LinkLoad(0.0)
    assert all(load.take(100.0) <= 0.0 for _ in range(5_000))
    load.add(a_uid(1))
    load.add(a_uid(2))
    assert load.cost == 0.0
