"""TLS on the agents' port: versions, certificates, and what the log says when a handshake fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
import websockets

from gitsync.control.meters import Meters
from gitsync.control.ports import AgentLink
from gitsync.errors import SettingsError
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.server.opamp import ListenerOptions, OpampListener, TlsOptions
from tests.support.agentclient import http_agent, ws_agent
from tests.support.agenthandler import Port, RecordingHandler, opamp_port
from tests.support.rawpeer import frame, post, raw_peer

PROTOBUF = {"Content-Type": "application/x-protobuf"}
REFUSED = (OSError, ssl.SSLError, EOFError, websockets.InvalidHandshake)


@dataclass(frozen=True)
class Authority:
    """An authority, the server's files made by it, and the options that name them."""

    ca: trustme.CA
    ca_file: Path
    cert_file: Path
    key_file: Path

    def options(self, client_auth: str = "none") -> TlsOptions:
        return TlsOptions(self.cert_file, self.key_file, self.ca_file, client_auth)  # type: ignore[arg-type]  # a test

    def client(self, by: trustme.CA | None = None, *, not_after: dt.datetime | None = None) -> ssl.SSLContext:
        """A client that trusts the server; with a certificate when an authority is given."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if by is not None:
            by.issue_cert("agent.example", not_after=not_after).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    server = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    for index, blob in enumerate(server.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=index > 0)
    return Authority(ca, folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


async def refused(port: Port, tls: ssl.SSLContext) -> None:
    """A client whose handshake the server does not complete (TLS 1.3 clients see that only when they read)."""
    with pytest.raises(REFUSED):
        async with websockets.connect(port.url, ssl=tls) as socket:
            await socket.recv()
    assert port.handler.links == []


async def test_both_transports_work_on_tls_1_3(authority: Authority) -> None:
    tls = authority.client()
    async with opamp_port(tls=authority.options(), drain=1.0) as port:
        assert port.url.startswith("wss://127.0.0.1:")
        async with websockets.connect(port.url, ssl=tls) as socket:
            connection = socket.transport.get_extra_info("ssl_object")
            assert connection.version() == "TLSv1.3"
            await socket.send(b"\x00" + b"x" * 1_000_000)
            assert await socket.recv() == b"\x00re:" + b"x" * 1_000_000
        async with httpx.AsyncClient(verify=tls) as client:
            for _ in range(2):
                answer = await client.post(port.http_url, content=b"x" * 100_000, headers=PROTOBUF)
                assert answer.content == b"re:" + b"x" * 100_000


async def test_test_agents_speak_tls(authority: Authority) -> None:
    def answer(link: AgentLink, data: bytes) -> Sequence[bytes]:
        return (pb.ServerToAgent(instance_uid=pb.AgentToServer.FromString(data).instance_uid).SerializeToString(),)

    tls = authority.client(authority.ca)
    async with opamp_port(answer, tls=authority.options("require"), drain=1.0) as port:
        async with ws_agent(port.url, tls=tls) as agent:
            await agent.hello()
        async with http_agent("https" + port.url.removeprefix("wss"), tls=tls) as poller:
            await poller.hello()
        assert [link.transport for link in port.handler.links] == ["websocket", "http"]


async def test_no_session_tickets_are_sent(authority: Authority) -> None:
    async with opamp_port(tls=authority.options()) as port, raw_peer(port.url, tls=authority.client()) as peer:
        peer.send(post(b"x"))
        await peer.response()
        assert not peer.writer.get_extra_info("ssl_object").session.has_ticket


async def test_older_versions_are_refused(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    tls = authority.client()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with opamp_port(tls=authority.options()) as port:
        await refused(port, tls)
    assert "the client does not speak TLS 1.3" in caplog.text


async def test_a_required_certificate_that_is_missing_is_named_with_the_address(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with opamp_port(tls=authority.options("require")) as port:
        await refused(port, authority.client())
    assert re.search(r"127\.0\.0\.1:\d+: the client shows no certificate, and one is required", caplog.text)


@pytest.mark.parametrize("client_auth", ["require", "request"])
async def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, client_auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opamp_port(tls=authority.options(client_auth)) as port:
        await refused(port, authority.client(trustme.CA()))
    assert "the client certificate is refused: " in caplog.text


async def test_an_expired_certificate_is_refused(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    async with opamp_port(tls=authority.options("require")) as port:
        await refused(port, authority.client(authority.ca, not_after=long_ago))
    assert "the client certificate is refused: certificate has expired" in caplog.text


async def test_with_request_a_client_may_come_without_a_certificate(authority: Authority) -> None:
    async with opamp_port(tls=authority.options("request")) as port:
        for tls in (authority.client(), authority.client(authority.ca)):
            async with raw_peer(port.url, tls=tls) as peer:
                await peer.open()
                peer.send(frame(b"\x00hi"))
                assert await peer.message() == b"re:hi"


async def test_a_client_that_does_not_trust_the_server_is_named_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with opamp_port(tls=authority.options()) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with raw_peer(port.url, tls=ssl.create_default_context()):
                pass
        async with asyncio.timeout(10):
            while "maybe it does not trust the server's certificate" not in caplog.text:
                await asyncio.sleep(0)


async def test_plain_http_to_a_tls_port_is_named_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with opamp_port(tls=authority.options()) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"))
        await peer.end_of_stream()
    assert "the client speaks plain HTTP; this port speaks TLS" in caplog.text


async def test_a_handshake_that_does_not_go_on_is_ended(authority: Authority) -> None:
    async with opamp_port(tls=authority.options(), header_timeout=0.05) as port, raw_peer(port.url) as peer:
        peer.send(b"\x16\x03\x01")
        await peer.end()
        assert port.handler.links == []


async def test_a_failed_handshake_does_not_hold_its_socket(authority: Authority) -> None:
    async with opamp_port(tls=authority.options(), header_timeout=0.05) as port, raw_peer(port.url) as peer:
        peer.send(b"\x16\x03\x01\x00\x01\x00")
        await peer.end_of_stream()
        assert port.listener._hub is not None  # nothing outside shows it
        async with asyncio.timeout(10):
            await port.listener._hub.empty.wait()


async def test_a_close_of_the_server_reaches_a_tls_peer_whatever_it_still_sends(authority: Authority) -> None:
    async with opamp_port(tls=authority.options(), max_message_bytes=1000) as port:
        async with raw_peer(port.url, tls=authority.client()) as peer:
            await peer.open()
            peer.send(frame(b"x" * 500_000))
            assert await peer.close_code() == 1009


async def test_a_broken_record_ends_the_connection_and_is_logged(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with opamp_port(tls=authority.options()) as port:
        async with raw_peer(port.url, tls=authority.client()) as peer:
            await peer.open()
            await port.handler.until(lambda: port.handler.open)
            os.write(peer.writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            with contextlib.suppress(ssl.SSLError):  # the server's alert
                await peer.end_of_stream()
        await port.handler.until(lambda: not port.handler.open)
    assert "broken TLS: " in caplog.text


async def test_a_tls_peer_that_closes_without_a_close_frame_is_told_to_the_handler(authority: Authority) -> None:
    async with opamp_port(tls=authority.options()) as port:
        async with raw_peer(port.url, tls=authority.client()) as peer:
            await peer.open()
            peer.send(frame(b"\x00last words"))
            assert await peer.message() == b"re:last words"
            peer.writer.close()
            await port.handler.until(lambda: not port.handler.open)
        assert port.meters.open_links["websocket"] == 0


async def test_many_messages_at_once_are_answered_over_tls(authority: Authority) -> None:
    async with opamp_port(tls=authority.options()) as port, raw_peer(port.url, tls=authority.client()) as peer:
        await peer.open()
        peer.send(*(frame(b"\x00%d" % number) for number in range(2000)))
        assert [await peer.message() for _ in range(2000)] == [b"re:%d" % number for number in range(2000)]


async def test_stopping_says_goodbye_over_tls(authority: Authority) -> None:
    async with opamp_port(tls=authority.options()) as port:
        async with websockets.connect(port.url, ssl=authority.client()) as socket:
            await port.handler.until(lambda: port.handler.open)
            await port.listener.stop(5.0)
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await socket.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"cert_file": "missing.pem"}, "tls.files", "missing.pem"),
        ({"key_file": "other.pem"}, "tls.files", "key values mismatch"),
        ({"key_file": "secret.pem"}, "tls.files", "secret.pem"),
        ({"client_ca_file": "missing.pem"}, "tls.files", "missing.pem"),
        ({"client_ca_file": "empty.pem"}, "tls.files", "empty.pem"),
        ({"client_ca_file": None}, "tls.client-ca", "no client CA file"),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    authority: Authority, tmp_path: Path, change: dict[str, str | None], code: str, text: str
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = trustme.CA().issue_cert("x").private_key_pem.bytes()
    (tmp_path / "other.pem").write_bytes(key)
    (tmp_path / "empty.pem").write_bytes(b"")
    loaded = serialization.load_pem_private_key(authority.key_file.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"passphrase")
    (tmp_path / "secret.pem").write_bytes(
        loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    files = {
        "cert_file": authority.cert_file,
        "key_file": authority.key_file,
        "client_ca_file": authority.ca_file,
    } | {name: None if value is None else tmp_path / value for name, value in change.items()}
    options = TlsOptions(**files, client_auth="require")  # type: ignore[arg-type]  # a test
    listener = OpampListener(ListenerOptions(tls=options), RecordingHandler(), Meters())
    with pytest.raises(SettingsError) as caught:
        await listener.start()
    assert caught.value.code == code
    assert text in str(caught.value)
