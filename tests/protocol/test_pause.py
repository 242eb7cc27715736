"""A link that its handler lets wait, or asks for a sign of life."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gitsync.control.ports import AgentLink
from tests.support.agenthandler import Port, opamp_port
from tests.support.rawpeer import CLOSE, PING, PONG, RawPeer, frame, raw_peer

Reply = Callable[[AgentLink, bytes], Sequence[bytes]]


def pausing(seconds: float) -> Reply:
    """Answers, and pauses the link for the message `wait`."""

    def reply(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data == b"\x0await":
            link.pause(seconds)
        return (b"re:", data)

    return reply


async def say(peer: RawPeer, *texts: bytes) -> None:
    peer.send(*(frame(b"\x00\x0a" + one) for one in texts))


@pytest.mark.parametrize("together", [True, False], ids=["in one segment", "one after the other"])
async def test_a_paused_link_is_answered_and_then_not_read_until_the_time_is_over(together: bool) -> None:
    async with opamp_port(pausing(0.05)) as port, raw_peer(port.url) as peer:
        await peer.open()
        if together:
            await say(peer, b"wait", b"next", b"last")
        else:
            await say(peer, b"wait")
            await say(peer, b"next")
            await say(peer, b"last")
        assert await peer.message() == b"re:\x0await"
        assert await peer.message() == b"re:\x0anext"
        assert await peer.message() == b"re:\x0alast"
        assert port.handler.messages == [b"\x0await", b"\x0anext", b"\x0alast"]


async def test_others_are_served_while_one_is_paused() -> None:
    async with opamp_port(pausing(3_600)) as port, raw_peer(port.url) as peer, raw_peer(port.url) as other:
        await peer.open()
        await other.open()
        await say(peer, b"wait", b"next")
        assert await peer.message() == b"re:\x0await"
        await say(other, b"me")
        assert await other.message() == b"re:\x0ame"
        assert b"\x0anext" not in port.handler.messages


async def test_a_paused_link_can_still_be_written_to_and_closed() -> None:
    async with opamp_port(pausing(3_600)) as port, raw_peer(port.url) as peer:
        await peer.open()
        await say(peer, b"wait")
        assert await peer.message() == b"re:\x0await"
        (link,) = port.handler.links
        link.send((b"pushed",))
        assert await peer.message() == b"pushed"
        link.pause(1)
        link.close(1001, "enough")
        first, payload = await peer.frame()
        assert (first, payload[:2]) == (CLOSE, (1001).to_bytes(2))
        peer.send(frame(payload, CLOSE))
        await peer.end()
        link.pause(1)
        link.ping()


async def test_a_ping_is_sent_at_once_and_its_answer_is_enough() -> None:
    async with opamp_port(ping_interval=3_600) as port, raw_peer(port.url) as peer:
        link = await _spoken(port, peer)
        link.ping()
        link.ping()
        assert await peer.frame() == (PING, b"")
        peer.send(frame(b"", PONG))
        await say(peer, b"hello")
        assert await peer.message() == b"re:\x0ahello"


async def test_a_peer_that_does_not_answer_a_ping_is_dropped() -> None:
    async with opamp_port(ping_interval=0.2) as port, raw_peer(port.url) as peer:
        link = await _spoken(port, peer)
        link.ping()
        await peer.end_of_stream()
        await port.handler.until(lambda: not port.handler.open)
        assert port.errors == {"websocket.silent": 1}


async def _spoken(port: Port, peer: RawPeer) -> AgentLink:
    await peer.open()
    await say(peer, b"first")
    assert await peer.message() == b"re:\x0afirst"
    (link,) = port.handler.links
    return link
