"""`TlsWire`: TLS between a socket and a protocol, on memory buffers, so that a failed handshake is ours to explain.

It is the protocol of the socket's transport, and the transport (`listener.Wire`) of the protocol above it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from gitsync.server.listener import Hub, end_writing, show_peer
from gitsync.server.tls import Certificates, handshake_fault
from gitsync.server.tlsgate import HandshakeGate

READ_BYTES = 64 << 10
PIECE_BYTES = 4 << 10
"""What is put into a memory buffer at a time: OpenSSL's never shrink again, and every connection has two."""
MAX_HELLO_BYTES = 32 << 10
"""What is kept of a peer whose handshake must wait; the first message of one has a few KiB at most."""


@dataclass(frozen=True, slots=True)
class TlsPort:
    """Shared by all TLS connections of one listener."""

    hub: Hub
    certificates: Certificates
    gate: HandshakeGate


class TlsWire(asyncio.Protocol):
    """One TLS connection, server side.

    The protocol above gets `connection_made` before the handshake, because its deadlines hold for the handshake too;
    `data_received` comes after it. The costly parts are made when the first bytes may be processed, not before.
    """

    __slots__ = (
        "_above",
        "_addr",
        "_begun",
        "_below",
        "_counted",
        "_discarding",
        "_early",
        "_incoming",
        "_outgoing",
        "_paused",
        "_port",
        "_ready",
        "_ssl",
        "_waits",
    )

    def __init__(self, port: TlsPort, above: asyncio.Protocol) -> None:
        self._port = port
        self._above = above
        self._below: asyncio.Transport | None = None
        self._addr = ""
        self._early = b""
        self._counted = 0
        self._begun = False
        self._ready = False
        self._waits = False
        self._paused = False
        self._discarding = False

    # ── The socket's protocol ───────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts to wait for the handshake."""
        self._below = transport  # type: ignore[assignment]  # a TCP socket's; uvloop's class is not asyncio's
        self._addr = show_peer(transport.get_extra_info("peername"))
        self._above.connection_made(self)  # type: ignore[arg-type]  # it needs a `Wire`, and this is one

    def connection_lost(self, exc: Exception | None) -> None:
        """Passes it on."""
        self._below = None
        if self._begun and not self._ready and not self._discarding:
            text = "the client gave up during the TLS handshake; maybe it does not trust the server's certificate"
            self._port.hub.faults.note("tls.handshake", self._addr, text)
        self._port.gate.leave(self)
        self._count(0)
        self._above.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes encrypted bytes; goes on with the handshake, or hands up what is in them."""
        if self._ready:
            self._take(data)
            return
        if self._discarding:
            return
        self._early = self._early + data if self._early else data
        self._port.gate.step(self)
        if self._early and not (self._ready or self._discarding):
            self._wait()

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes by itself."""
        if self._ready and not self._discarding:
            self._above.eof_received()

    def pause_writing(self) -> None:
        """Passes it on."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """Passes it on."""
        self._above.resume_writing()

    # ── The handshake ───────────────────────────────────────────────────────────────────────────────────────

    def give_up(self, *, waited: bool) -> None:
        """Closes without a word: the peer could read none before the handshake."""
        hub = self._port.hub
        if waited:
            hub.faults.note("tls.slow", self._addr, "the client takes long over the TLS handshake, and others wait")
        else:
            hub.turn_away("handshakes", self._addr)
        self._drop()

    def _drop(self) -> None:
        self._discarding = True
        self._early = b""
        self._port.gate.leave(self)
        self.abort()

    def shake(self) -> None:
        """One more step of the handshake, and what comes after the last one."""
        if self._below is None or self._discarding:
            return
        if not self._begun:
            self._begin()
        early, self._early = self._early, b""
        self._count(0)
        if self._waits:
            self._waits = False
            if not self._below.is_closing():
                self._below.resume_reading()
        while not self._ready:
            self._incoming.write(early[:PIECE_BYTES])
            early = early[PIECE_BYTES:]
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                if early:
                    continue
                self._flush()
                return
            except ssl.SSLError as error:
                self._port.hub.faults.note("tls.handshake", self._addr, handshake_fault(error))
                self._fail()
                return
            self._ready = True
        self._port.gate.leave(self)
        self._pump()
        self._take(early)

    def _wait(self) -> None:
        """Others are before this one: nothing more is read until it may go on."""
        if not self._waits and self._below is not None and not self._below.is_closing():
            self._waits = True
            self._below.pause_reading()
        if not self._begun and len(self._early) > MAX_HELLO_BYTES:
            self.give_up(waited=False)
        elif not self._count(len(self._early)):
            self._port.hub.turn_away("bytes", self._addr)
            self._drop()

    def _begin(self) -> None:
        self._begun = True
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = self._port.certificates.context().wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _count(self, held: int) -> bool:
        """Takes or gives room for bytes that are not processed yet; False: there is none."""
        if held != self._counted:
            self._counted = self._port.hub.budget.change(self._counted, held)
        return held == self._counted

    # ── Records ─────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, data: bytes) -> None:
        """Decrypts, piece by piece; what the protocol above does not want yet stays outside of the buffers."""
        if self._early:
            data, self._early = self._early + data, b""
        for start in range(0, len(data), PIECE_BYTES):
            if self._discarding or self._below is None or (start and self._below.is_closing()):
                return
            if self._paused:
                self._early = data[start:]
                self._count_unread()
                return
            self._incoming.write(data[start : start + PIECE_BYTES] if len(data) > PIECE_BYTES else data)
            self._pump()

    def _go_on(self) -> None:
        """Hands up what came while the protocol above had enough."""
        self._pump()
        if self._early:
            self._take(b"")

    def _pump(self) -> None:
        """Hands up what can be decrypted."""
        while self._below is not None and not self._paused and not self._discarding:
            try:
                chunk = self._ssl.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                self._port.hub.faults.note(
                    "tls.record",
                    self._addr,
                    f"broken TLS: {(error.reason or 'unknown').replace('_', ' ').lower()}",
                )
                self._fail()
                return
            if not chunk:
                self._above.eof_received()
                self.close()
                return
            self._above.data_received(chunk)
        if self._paused or self._counted:
            self._count_unread()
        self._flush()

    def _count_unread(self) -> None:
        """What came before the protocol above had enough."""
        if not self._count(self._incoming.pending + len(self._early) if self._below is not None else 0):
            self._port.hub.turn_away("bytes", self._addr)
            self.abort()

    def _fail(self) -> None:
        """Sends the alert and waits for the peer's end: closing at once could take the alert back (RST).

        The deadline of the protocol above ends the wait.
        """
        self._flush()
        self._discarding = True
        self._port.gate.leave(self)
        if self._below is not None:
            end_writing(self._below)

    def _flush(self) -> None:
        if self._outgoing.pending and self._below is not None:
            self._below.write(self._outgoing.read())

    # ── The transport of the protocol above ─────────────────────────────────────────────────────────────────

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What the socket knows about itself; `ssl_object` is ours."""
        if name == "ssl_object":
            return self._ssl if self._begun else default
        return default if self._below is None else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Who is above from now on."""
        self._above = protocol

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._below is None or self._below.is_closing()

    def write(self, data: bytes) -> None:
        """Encrypts and sends."""
        if not self._ready or self._discarding or self.is_closing():
            return
        if len(data) <= PIECE_BYTES:
            self._ssl.write(data)
            self._flush()
            return
        view, records = memoryview(data), []
        while view:
            view = view[self._ssl.write(view[:PIECE_BYTES]) :]
            records.append(self._outgoing.read())
        self._below.write(b"".join(records))  # type: ignore[union-attr]  # is_closing() has looked

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Encrypts and sends all of it."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Says that nothing more is sent; what still comes is thrown away undecrypted."""
        if not self._ready:
            self.abort()
            return
        self._say_goodbye()
        self._fail()

    def close(self) -> None:
        """Closes when everything is sent; at once while the handshake is not complete."""
        if self._below is None:
            return
        if self._ready:
            self._say_goodbye()
            self._below.close()
            return
        if self._waits:
            self._port.hub.turn_away("handshakes", self._addr)
        self._drop()

    def abort(self) -> None:
        """Closes now."""
        if self._below is not None:
            self._below.abort()

    def pause_reading(self) -> None:
        """Hands nothing up until `resume_reading`."""
        self._paused = True
        if self._below is not None and not self._below.is_closing():
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Goes on, with what is decrypted already first, though not before the caller has returned."""
        self._paused = False
        if self._below is not None and not self._below.is_closing():
            self._below.resume_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _say_goodbye(self) -> None:
        if not self._ready or self._discarding:
            return
        with suppress(ssl.SSLError):  # it wants the peer's goodbye, which is not waited for
            self._ssl.unwrap()
        self._flush()
