"""The places for TLS handshakes: few steps a turn, a bounded queue, no place for those who only sit there."""

from __future__ import annotations

import asyncio

from gitsync.server.tlsgate import PATIENCE_SECONDS, STEPS_PER_TURN, WAITING_PER_PLACE, HandshakeGate
from gitsync.server.wheel import TimingWheel


class Shaker:
    """A handshake that writes down what happens to it; with `fails`, a step raises."""

    def __init__(self, seen: list[str], name: str, *, fails: bool = False) -> None:
        self.seen, self.name, self.fails = seen, name, fails

    def shake(self) -> None:
        self.seen.append(self.name)
        if self.fails:
            raise RuntimeError("a step that fails")

    def give_up(self, *, waited: bool) -> None:
        self.seen.append(f"-{self.name}" if waited else f"!{self.name}")


def gate_of(places: int) -> HandshakeGate:
    loop = asyncio.get_running_loop()
    return HandshakeGate(loop, TimingWheel(loop, 1.0), places)


async def turn() -> None:
    """One turn of the loop."""
    await asyncio.sleep(0)


async def test_a_few_steps_are_taken_in_one_turn_of_the_loop_and_the_others_in_the_next() -> None:
    gate, seen = gate_of(100), list[str]()
    for number in range(3 * STEPS_PER_TURN):
        gate.step(Shaker(seen, str(number)))
    assert len(seen) == STEPS_PER_TURN
    await turn()
    assert len(seen) == 2 * STEPS_PER_TURN
    await turn()
    assert seen == [str(number) for number in range(3 * STEPS_PER_TURN)]


async def test_the_count_begins_anew_with_every_turn() -> None:
    gate, seen = gate_of(100), list[str]()
    for _ in range(5):
        for _ in range(STEPS_PER_TURN):
            gate.step(Shaker(seen, "x"))
        await turn()
        await turn()
    assert len(seen) == 5 * STEPS_PER_TURN


async def test_without_a_place_one_waits_until_another_leaves() -> None:
    gate, seen = gate_of(1), list[str]()
    first, second, third = (Shaker(seen, name) for name in "abc")
    for one in (first, second, third):
        gate.step(one)
    await turn()
    assert seen == ["a"]
    gate.leave(first)
    await turn()
    assert seen == ["a", "b"]
    gate.step(second)
    await turn()
    assert seen == ["a", "b", "b"]
    gate.leave(second)
    await turn()
    assert seen == ["a", "b", "b", "c"]


async def test_who_leaves_while_waiting_or_due_is_not_called() -> None:
    gate, seen = gate_of(STEPS_PER_TURN + 1), list[str]()
    inside = [Shaker(seen, str(number)) for number in range(STEPS_PER_TURN + 1)]
    waiting = Shaker(seen, "waits")
    for one in (*inside, waiting):
        gate.step(one)
    gate.leave(inside[-1])
    gate.leave(waiting)
    gate.leave(waiting)
    await turn()
    await turn()
    assert seen == [one.name for one in inside[:-1]]


async def test_a_full_queue_drops_the_next_one() -> None:
    gate, seen = gate_of(1), list[str]()
    for number in range(WAITING_PER_PLACE + 2):
        gate.step(Shaker(seen, str(number)))
    assert seen == ["0", f"!{WAITING_PER_PLACE + 1}"]


async def test_who_sits_on_a_place_loses_it_only_while_others_wait() -> None:
    gate, seen = gate_of(1), list[str]()
    now = asyncio.get_running_loop().time()
    gate.step(Shaker(seen, "silent"))
    gate.check(now + 2 * PATIENCE_SECONDS)
    assert seen == ["silent"]
    gate.step(Shaker(seen, "next"))
    assert gate.check(now + PATIENCE_SECONDS / 2) < now + PATIENCE_SECONDS
    await turn()
    assert seen == ["silent"]
    gate.check(now + 2 * PATIENCE_SECONDS)
    await turn()
    assert seen == ["silent", "-silent", "next"]


async def test_a_step_that_fails_stops_nobody_else() -> None:
    gate, seen = gate_of(100), list[str]()
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    shakers = [Shaker(seen, str(number), fails=number == STEPS_PER_TURN) for number in range(3 * STEPS_PER_TURN)]
    for one in shakers:
        gate.step(one)
    while len(seen) < len(shakers):
        await turn()
    assert len(faults) == 1
