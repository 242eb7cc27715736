"""Git hosts for tests: real smart HTTP by `git http-backend`, and real SSH that runs git, both on free ports.

    async with serve_http(root, username="bot", password="secret") as server:
        server.url("config.git")        # http://127.0.0.1:PORT/config.git
    async with serve_ssh(root) as server:
        server.url("config.git"), server.key_file, server.known_hosts_file

`root` holds bare repositories; fetching and pushing are served.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import shlex
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

import asyncssh

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class HttpGitServer(ThreadingHTTPServer):
    """A running HTTP host. What it asks for and how it answers may be changed while it runs.

    Attributes:
        username, password: asked for with basic authentication; None: everybody may read and push.
        status: answer everything with this status instead.
        redirect: answer everything with a redirect to this URL instead.
        hold_after: stop sending a fetch's answer after so many bytes until `release` is called.
        holding: is set once a request is held.
        requests: "METHOD path" of each request.
        authorizations: the Authorization header of each request, None for none.
    """

    daemon_threads = True
    block_on_close = True

    def __init__(self, root: Path, username: str | None, password: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.username = username
        self.password = password
        self.status: int | None = None
        self.redirect: str | None = None
        self.hold_after: int | None = None
        self.holding = threading.Event()
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self.scheme = "http"
        self._released = threading.Event()
        self._is_dropping = False

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, repository: str) -> str:
        """The URL of a repository below the root."""
        return f"{self.scheme}://127.0.0.1:{self.port}/{repository}"

    def release(self) -> None:
        """Lets held answers go on."""
        self.hold_after = None
        self._released.set()

    def drop(self) -> None:
        """Breaks the held answers off, as a host does that crashes."""
        self._is_dropping = True
        self.release()

    def wait_for_release(self) -> bool:
        """Whether the answer may go on."""
        self.holding.set()
        self._released.wait(60)
        return not self._is_dropping

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are kept in `requests`."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, body: bytes) -> None:
        server = cast("HttpGitServer", self.server)
        server.requests.append(f"{self.command} {self.path}")
        authorization = self.headers.get("Authorization")
        server.authorizations.append(authorization)
        if server.status is not None:
            return self._plain(server.status)
        if server.redirect is not None:
            return self._plain(302, {"Location": server.redirect + self.path})
        if server.password is not None:
            pair = f"{server.username}:{server.password}".encode()
            if authorization != "Basic " + base64.b64encode(pair).decode():
                return self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
        return self._backend(server, body)

    def _backend(self, server: HttpGitServer, body: bytes) -> None:
        split = urlsplit(self.path)
        environment = {
            **_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": split.path,
            "QUERY_STRING": split.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": server.username or "anybody",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        options = ["-c", "http.receivepack=true", "-c", "safe.directory=*"]
        done = subprocess.run(
            ["git", *options, "http-backend"], env=environment, input=body, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        hold = server.hold_after
        if hold is not None and self.command == "POST" and b"command=fetch" in body:
            self.wfile.write(content[:hold])
            self.wfile.flush()
            content = content[hold:] if server.wait_for_release() else b""
            self.close_connection = True
        self.wfile.write(content)

    def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@asynccontextmanager
async def serve_http(
    root: Path,
    username: str | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpGitServer]:
    """Serves the bare repositories below `root` over http, or https when there is a TLS context."""
    server = HttpGitServer(root, username, password)
    if tls is not None:
        # The handshake is done by the thread of the connection: a client that refuses us stops nobody else.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="git http")
    thread.start()
    try:
        yield server
    finally:
        server.release()
        await asyncio.to_thread(server.shutdown)
        await asyncio.to_thread(thread.join)
        server.server_close()


class SshGitServer:
    """A running SSH host.

    Attributes:
        key_file: a private key that the host accepts.
        known_hosts_file: names the host's key.
        stranger_key_file: a private key that the host does not accept.
        commands: what clients wanted to run.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        self.root = root
        self.port = 0
        self.key_file = directory / "id"
        self.stranger_key_file = directory / "stranger"
        self.known_hosts_file = directory / "known_hosts"
        self.commands: list[str] = []

    def url(self, repository: str, user: str = "git") -> str:
        """The URL of a repository below the root."""
        return f"ssh://{user}@127.0.0.1:{self.port}/{repository}"

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Runs `git-upload-pack` or `git-receive-pack` for one client."""
        self.commands.append(process.command or "")
        words = shlex.split(process.command or "")
        if len(words) != 2 or words[0] not in ("git-upload-pack", "git-receive-pack"):
            process.stderr.write(b"this host runs git only\n")
            process.exit(128)
            return
        service = words[0].removeprefix("git-")
        protocol = process.env.get("GIT_PROTOCOL", "")
        child = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", service, str(self.root / words[1].lstrip("/")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**_ENVIRONMENT, "GIT_PROTOCOL": str(protocol)},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(_pump(process.stdin, child.stdin, close=True), name="stdin")
                async with asyncio.TaskGroup() as answers:
                    answers.create_task(_pump(child.stdout, process.stdout), name="stdout")
                    answers.create_task(_pump(child.stderr, process.stderr), name="stderr")
                feeding.cancel()
            process.exit(await child.wait())
        finally:
            if child.returncode is None:
                child.kill()
            child.stdin.close()
            await child.wait()


class _Source(Protocol):
    async def read(self, n: int = -1, /) -> bytes: ...


class _Sink(Protocol):
    def write(self, data: bytes, /) -> None: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...


async def _pump(source: _Source, sink: _Sink, close: bool = False) -> None:
    """Copies until the end, or until one side is gone."""
    with suppress(BrokenPipeError, ConnectionResetError, asyncssh.Error):
        while chunk := await source.read(64 * 1024):
            sink.write(chunk)
            await sink.drain()
    if close:
        sink.close()


@asynccontextmanager
async def serve_ssh(root: Path, *, port: int = 0) -> AsyncIterator[SshGitServer]:
    """Serves the bare repositories below `root` over SSH to the holder of `key_file`."""
    with tempfile.TemporaryDirectory(prefix="gitssh") as name:
        server = SshGitServer(root, Path(name))
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        key = asyncssh.generate_private_key("ssh-ed25519")
        for file, content in (
            (server.key_file, key),
            (server.stranger_key_file, asyncssh.generate_private_key("ssh-ed25519")),
        ):
            content.write_private_key(str(file))
            file.chmod(0o600)
        authorized = asyncssh.import_authorized_keys(key.export_public_key().decode())
        listener = await asyncssh.listen(
            "127.0.0.1", port, server_host_keys=[host_key], authorized_client_keys=authorized,
            process_factory=server.handle, encoding=None, allow_pty=False, password_auth=False,
            kbdint_auth=False,
        )  # fmt: skip
        server.port = listener.get_port()
        server.known_hosts_file.write_text(
            f"[127.0.0.1]:{server.port} {host_key.export_public_key().decode().strip()}\n"
        )
        try:
            yield server
        finally:
            listener.close()
            await listener.wait_closed()


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_private(file: Path, text: str) -> Path:
    """Writes a file that only we may read, as one with a secret should be; `file`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    return file
