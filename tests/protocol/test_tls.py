"""TLS on the agents' port: versions, certificates, and what the log says when a handshake fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import re
import shutil
import ssl
from collections.abc import Callable, Sequence
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
from gitsync.server.listener import Hub
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


# ── Many handshakes ─────────────────────────────────────────────────────────────────────────────────────────────────


def client_hello(tls: ssl.SSLContext) -> bytes:
    """The first message of a handshake that never goes on."""
    said = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.wrap_bio(ssl.MemoryBIO(), said, server_hostname="127.0.0.1").do_handshake()
    return said.read()


async def until(port: Port, claim: Callable[[Hub], object]) -> None:
    hub = port.listener._hub  # nothing outside shows it
    assert hub is not None
    async with asyncio.timeout(10):
        while not claim(hub):
            await asyncio.sleep(0)


async def test_a_handshake_waits_for_a_place_and_goes_on_when_there_is_one(authority: Authority) -> None:
    tls, hello = authority.client(), client_hello(authority.client())
    async with opamp_port(tls=authority.options(), max_handshakes=1) as port:
        async with raw_peer(port.url) as sits, raw_peer(port.url) as queues:
            sits.send(hello)
            assert await sits.reader.readexactly(1) == b"\x16"
            queues.send(hello)
            await until(port, lambda hub: hub.budget.used == len(hello))
            async with asyncio.TaskGroup() as tasks:
                served = tasks.create_task(say_hello(port, tls))
                await until(port, lambda hub: hub.budget.used > len(hello))
                assert not served.done()
                sits.writer.transport.abort()
                assert await queues.reader.readexactly(1) == b"\x16"
                queues.writer.transport.abort()
        await until(port, lambda hub: hub.budget.used == 0)
        assert dict(port.meters.turned_away) == {}


async def say_hello(port: Port, tls: ssl.SSLContext) -> None:
    async with raw_peer(port.url, tls=tls) as peer:
        await peer.open()
        peer.send(frame(b"\x00hello"))
        assert await peer.message() == b"re:hello"


async def test_open_connections_are_served_while_handshakes_wait(authority: Authority) -> None:
    hello = client_hello(authority.client())
    async with opamp_port(tls=authority.options(), max_handshakes=2) as port, contextlib.AsyncExitStack() as stack:
        peer = await stack.enter_async_context(raw_peer(port.url, tls=authority.client()))
        await peer.open()
        for _ in range(40):
            (await stack.enter_async_context(raw_peer(port.url))).send(hello)
        await until(port, lambda hub: hub.budget.used == 38 * len(hello))
        peer.send(frame(b"\x00still here"))
        assert await peer.message() == b"re:still here"


async def test_a_storm_of_agents_gets_through_few_places(authority: Authority) -> None:
    tls = authority.client(authority.ca)
    async with opamp_port(tls=authority.options("require"), max_handshakes=2) as port, asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(say_hello(port, tls))
    assert len(port.handler.messages) == 50
    assert dict(port.meters.turned_away) == {}


async def test_handshakes_beyond_the_queue_and_oversized_ones_are_dropped(authority: Authority) -> None:
    hello = client_hello(authority.client())
    async with opamp_port(tls=authority.options(), max_handshakes=1) as port, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(port.url)) for _ in range(35)]
        peers[0].send(hello)
        assert await peers[0].reader.readexactly(1) == b"\x16"
        peers[1].send(b"\x16\x03\x01\xff\xff" + bytes(40_000))
        await peers[1].end()
        for peer in peers[2:34]:
            peer.send(hello)
        await until(port, lambda hub: hub.budget.used == 32 * len(hello))
        peers[34].send(hello)
        await peers[34].end()
        assert dict(port.meters.turned_away) == {"handshakes": 2}


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def renewable(authority: Authority, folder: Path) -> TlsOptions:
    """Copies of the files, looked at with every handshake."""
    for path in (authority.cert_file, authority.key_file, authority.ca_file):
        shutil.copy(path, folder / path.name)
    names = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    return TlsOptions(*names, "require", dt.timedelta(0))


def write_certificate(folder: Path, ca: trustme.CA) -> None:
    made = ca.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(folder / "key.pem")
    for index, blob in enumerate(made.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=index > 0)


async def serial_shown(port: Port, tls: ssl.SSLContext) -> str:
    """The serial number of the certificate that the server shows."""
    async with raw_peer(port.url, tls=tls) as peer:
        await peer.open()
        return str(peer.writer.get_extra_info("peercert")["serialNumber"])


async def test_renewed_files_are_used_by_new_connections_and_open_ones_go_on(
    authority: Authority, tmp_path: Path
) -> None:
    tls = authority.client(authority.ca)
    async with opamp_port(tls=renewable(authority, tmp_path)) as port, raw_peer(port.url, tls=tls) as old:
        await old.open()
        before = await serial_shown(port, tls)
        write_certificate(tmp_path, authority.ca)
        assert await serial_shown(port, tls) != before
        old.send(frame(b"\x00still here"))
        assert await old.message() == b"re:still here"
        assert dict(port.meters.tls_reloads) == {"success": 1}


@pytest.mark.parametrize("name", ["cert.pem", "key.pem", "ca.pem"])
async def test_a_broken_new_file_is_said_once_and_the_old_one_stays_in_use(
    authority: Authority, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.client(authority.ca)
    async with opamp_port(tls=renewable(authority, tmp_path)) as port:
        before = await serial_shown(port, tls)
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"half a fi")
        assert [await serial_shown(port, tls) for _ in range(3)] == [before] * 3
        assert dict(port.meters.tls_reloads) == {"error": 1}
        said = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
        assert len(said) == 1
        assert f"{tmp_path / name}" in said[0]
        (tmp_path / name).unlink()
        assert await serial_shown(port, tls) == before
        (tmp_path / name).write_bytes(good)
        assert await serial_shown(port, tls) == before
        assert dict(port.meters.tls_reloads) == {"error": 2, "success": 1}


async def test_a_new_client_authority_decides_about_new_connections(authority: Authority, tmp_path: Path) -> None:
    other = trustme.CA()
    async with opamp_port(tls=renewable(authority, tmp_path)) as port:
        await refused(port, authority.client(other))
        other.cert_pem.write_to_path(tmp_path / "ca.pem")
        await refused(port, authority.client(authority.ca))
        await say_hello(port, authority.client(other))


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
