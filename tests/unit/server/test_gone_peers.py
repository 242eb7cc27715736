"""Peers whose reset has come, though the loop has not told it yet: saying that nothing more is sent fails."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from pathlib import Path
from typing import cast

import pytest
import trustme

from gitsync.control.meters import Meters
from gitsync.server.post import HttpConnection
from gitsync.server.tls import Certificates, TlsOptions
from gitsync.server.tlsgate import HandshakeGate
from gitsync.server.tlswire import TlsPort, TlsWire
from tests.support.agenthandler import RecordingHandler, echo
from tests.support.rawpeer import TEXT, frame, upgrade
from tests.support.wire import KeepingWire, a_hub


class GoneWire(KeepingWire):
    """A socket's transport after a reset, until its loop looks at the socket again."""

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (upgrade() + frame(b"text", TEXT), b"HTTP/1.1 101 "),
    ],
)
async def test_a_peer_that_is_gone_when_it_is_refused_is_closed_without_an_error(
    sent: bytes, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    hub = a_hub(asyncio.get_running_loop(), RecordingHandler(echo))
    connection = HttpConnection(hub)
    wire = GoneWire(connection)
    connection.connection_made(wire)  # type: ignore[arg-type]  # it needs a `Wire`, and this is one
    wire.protocol.data_received(sent)
    assert wire.sent.startswith(said)
    assert wire.ended == "aborted"
    assert [one for one in caplog.records if one.exc_info] == []
    wire.protocol.connection_lost(None)
    assert (hub.connections, hub.budget.used) == (set(), 0)


async def test_a_tls_peer_that_is_gone_is_closed_without_an_error() -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    loop = asyncio.get_running_loop()
    hub = a_hub(loop, RecordingHandler(echo))
    with server.private_key_and_cert_chain_pem.tempfile() as pem:
        options = TlsOptions(Path(pem), Path(pem))
        port = TlsPort(hub, Certificates(options, loop, Meters().tls_reloads), HandshakeGate(loop, hub.wheel, 1))
        wire = GoneWire(TlsWire(port, HttpConnection(hub)))
        wire.protocol.connection_made(cast("asyncio.Transport", wire))
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client.wrap_bio(coming, going, server_hostname="127.0.0.1")
        for _ in range(2):
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.do_handshake()
            wire.protocol.data_received(going.read())
            coming.write(wire.sent)
            wire.sent = b""
    wire.protocol.write_eof()
    assert wire.sent, "the TLS goodbye"
    assert wire.ended == "aborted"
