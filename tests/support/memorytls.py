"""TLS without a socket: the server's side on a transport that keeps what is written, and a client that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import trustme

from gitsync.control.meters import Meters
from gitsync.server.listener import Hub
from gitsync.server.tls import Certificates, TlsOptions
from gitsync.server.tlsgate import HandshakeGate
from gitsync.server.tlswire import TlsPort, TlsWire
from tests.support.agenthandler import RecordingHandler
from tests.support.wire import KeepingWire, a_hub


class Above(asyncio.Protocol):
    """The protocol above TLS: keeps what it is handed.

    Attributes:
        took: does something with the connection whenever something came.
        chunks: what came, oldest first.
        ends: how often it was told that nothing more comes.
    """

    def __init__(self, took: Callable[[Above], None]) -> None:
        self.took = took
        self.chunks: list[bytes] = []
        self.ends = 0
        self.wire: TlsWire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast("TlsWire", transport)

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.took(self)

    def eof_received(self) -> None:
        self.ends += 1

    @property
    def received(self) -> bytes:
        """Everything that came."""
        return b"".join(self.chunks)


class CountingWire(KeepingWire):
    """A socket's transport that counts the writes."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class TlsPair:
    """A connection whose handshake is done, seen from both sides.

    Attributes:
        above: who has the connection on the server's side.
        below: the socket's transport there.
        hub: what all connections of the server share.
    """

    def __init__(
        self, authority: trustme.CA, took: Callable[[Above], None], *, first: bytes = b"", **options: int
    ) -> None:
        """Shakes hands; the peer sends `first` together with its last word of that."""
        loop = asyncio.get_running_loop()
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(trusting)
        self.hub: Hub = a_hub(loop, RecordingHandler(), **options)
        self.above = Above(took)
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._peer = trusting.wrap_bio(self._coming, self._going, server_hostname="127.0.0.1")
        with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
            certificates = Certificates(TlsOptions(Path(pem), Path(pem)), loop, Meters().tls_reloads)
            gate = HandshakeGate(loop, self.hub.wheel, 1)
            self.below = CountingWire(TlsWire(TlsPort(self.hub, certificates, gate), self.above))
            self.below.protocol.connection_made(self.below)
            for message in (b"", first):
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._peer.do_handshake()
                self.feed(self.encrypted(message))
                self._coming.write(self.below.sent)
                self.below.sent = b""
        self.below.writes = 0

    def feed(self, data: bytes) -> None:
        """The server's socket hands up these bytes."""
        self.below.protocol.data_received(data)

    def forget_peer(self) -> None:
        """Gives back all that the peer's side holds; the server's stays."""
        del self._peer, self._coming, self._going

    def encrypted(self, data: bytes) -> bytes:
        """What the peer would send."""
        view = memoryview(data)
        while view:
            view = view[self._peer.write(view) :]
        return self._going.read()

    def goodbye(self) -> bytes:
        """What the peer would send last."""
        with contextlib.suppress(ssl.SSLError):  # it wants ours, too
            self._peer.unwrap()
        return self._going.read()

    def peer_read(self) -> bytes:
        """Everything that the peer can decrypt of what was written since."""
        self._coming.write(self.below.sent)
        self.below.sent = b""
        found = []
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self._peer.read(1 << 20):
                found.append(data)
        return b"".join(found)
