"""A transport without a socket, for what would take too long with one: the bytes of both sides stay in this process.

It behaves as the transports of asyncio and uvloop do (`listener.Wire`): nothing is received while reading is paused or
after closing; `pause_writing` comes when the peer has left too much unread, `resume_writing` when it has read it;
`connection_lost` comes once, in a later round of the loop, and only when what was written has left, or on `abort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

HIGH_BYTES = 64 << 10


class MemoryWire:
    """One connection, seen from both sides.

    Attributes:
        reads: whether the peer reads; what is written waits otherwise.
        lost: whether the protocol was told that the connection is gone.
    """

    def __init__(self, protocol: asyncio.Protocol, address: tuple[str, int] = ("192.0.2.1", 40_000)) -> None:
        self.reads = True
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._address = address
        self._incoming = bytearray()
        self._read = bytearray()
        self._unread = bytearray()
        self._is_paused = False
        self._is_full = False
        self._is_closing = False
        self._has_ended = False
        protocol.connection_made(self)  # type: ignore[arg-type]  # it needs a `Wire`, and this is one

    # ── The peer ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def protocol(self) -> asyncio.Protocol:
        """Who has the connection now."""
        return self._protocol

    def feed(self, data: bytes) -> None:
        """The peer sends; what comes after the server has closed is lost."""
        if self._is_closing or not data:
            return
        if self._is_paused:
            self._incoming += data
        else:
            self._protocol.data_received(data)

    def take(self) -> bytes:
        """What the peer has read since the last time."""
        taken, self._read = self._read, bytearray()
        return bytes(taken)

    def read_on(self) -> None:
        """The peer reads, from now on."""
        self.reads = True
        self._drain()

    def hang_up(self) -> None:
        """The peer sends nothing more; the server's side closes when everything is sent, as its transport would."""
        if not self._is_closing:
            self._protocol.eof_received()
            self.close()

    # ── The transport of the protocol ───────────────────────────────────────────────────────────────────────

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._address if name == "peername" else default

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert not self._has_ended, "a transport raises when something is written after write_eof"
        if self._is_closing:
            return
        self._unread += data
        if self.reads:
            self._read += self._unread
            self._unread.clear()
        elif len(self._unread) > HIGH_BYTES and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        assert not self._is_closing
        self._has_ended = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._receive)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._lose_when_sent()

    def abort(self) -> None:
        self._is_closing = True
        self._unread.clear()
        self._lose_when_sent()

    # ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _receive(self) -> None:
        if self._incoming and not self._is_paused and not self._is_closing:
            data, self._incoming = bytes(self._incoming), bytearray()
            self._protocol.data_received(data)

    def _drain(self) -> None:
        self._read += self._unread
        self._unread.clear()
        if self._is_full:
            self._is_full = False
            self._protocol.resume_writing()
        if self._is_closing:
            self._lose_when_sent()

    def _lose_when_sent(self) -> None:
        if not self._unread and not self.lost:
            self.lost = True
            self._loop.call_soon(self._protocol.connection_lost, None)
