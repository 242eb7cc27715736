"""The same mirror over real HTTP, HTTPS and SSH: credentials, trust, and hosts that fail."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from pathlib import Path

import pytest
import trustme

from gitsync.errors import SettingsError, Unavailable
from gitsync.repo.credentials import Auth
from gitsync.repo.mirror import Mirror
from gitsync.repo.runner import GitProgram, Operation
from gitsync.repo.source import SourceSpec
from tests.git.conftest import FILES, OpenMirror
from tests.support.gitrepo import GitRepo
from tests.support.gitserver import free_port, serve_http, serve_ssh, write_private

SECRET = "c0rrect-horse/&?#@:battery"
WRONG = "wr0ng-s3cret"


@pytest.fixture
def root(repo: GitRepo, tmp_path: Path) -> Path:
    return tmp_path / "srv"


async def test_http_clones_polls_and_fetches(repo: GitRepo, root: Path, open_mirror: OpenMirror) -> None:
    async with serve_http(root) as server:
        mirror = await open_mirror(server.url("config.git"))
        first = (await mirror.fetch()).head
        assert set((await mirror.load_tree(first)).blobs) == set(FILES)
        del server.requests[:]
        assert not (await mirror.fetch()).changed
        assert mirror.runner.started[Operation.FETCH] == 1
        assert len(server.requests) == 2  # the handshake and the question for one ref
        second = repo.commit("second")
        repo.push()
        assert (await mirror.fetch(expected=first)).head == second


async def test_ssh_clones_polls_and_fetches(repo: GitRepo, root: Path, open_mirror: OpenMirror) -> None:
    async with serve_ssh(root) as server:
        auth = Auth(ssh_key_file=server.key_file, known_hosts_file=server.known_hosts_file)
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        assert (await mirror.fetch()).head == repo.head
        assert not (await mirror.fetch()).changed
        assert server.commands == ["git-upload-pack '/config.git'"] * 3
        second = repo.commit("second")
        repo.push()
        assert (await mirror.fetch()).head == second


async def test_a_wrong_password_is_told_and_a_corrected_file_works_without_restart(
    repo: GitRepo, root: Path, tmp_path: Path, open_mirror: OpenMirror, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = write_private(tmp_path / "password", WRONG)
    async with serve_http(root, username="bot", password=SECRET) as server:
        auth = Auth(username="bot", password_file=file)
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        with pytest.raises(SettingsError, match="does not accept the credentials") as caught:
            await mirror.fetch()
        assert caught.value.code == "git.auth"
        write_private(file, SECRET + "\n")
        assert (await mirror.fetch()).head == repo.head
    for text in (str(caught.value), repr(caught.value), caplog.text, repr(mirror.spec)):
        assert WRONG not in text
        assert SECRET not in text
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("named", [True, False])
async def test_a_token_needs_no_user_name(
    named: bool, repo: GitRepo, root: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    name = write_private(tmp_path / "name", "deploy\r\n") if named else None
    auth = Auth(username_file=name, token_file=write_private(tmp_path / "token", SECRET))
    expected = "deploy" if named else "x-token-auth"
    async with serve_http(root, username=expected, password=SECRET) as server:
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        assert (await mirror.fetch()).head == repo.head
        sent = [header for header in server.authorizations if header]
    assert set(sent) == {"Basic " + base64.b64encode(f"{expected}:{SECRET}".encode()).decode()}


async def test_a_host_that_asks_for_a_password_that_we_lack(root: Path, open_mirror: OpenMirror) -> None:
    async with serve_http(root, username="bot", password=SECRET) as server:
        mirror = await open_mirror(server.url("config.git"))
        with pytest.raises(SettingsError) as caught:
            await mirror.fetch()
    assert caught.value.code == "git.auth"


@pytest.mark.parametrize("content", [None, "", "\n", "two\nlines\n", "a\x1bb", "\udcff", "x" * 70_000])
async def test_an_unusable_password_file_is_told_by_name(
    content: str | None, root: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content.encode(errors="surrogateescape"))
    mirror = await open_mirror("https://127.0.0.1:1/x", auth=Auth(username="bot", password_file=file))
    with pytest.raises(SettingsError, match=f"password_file {file}") as caught:
        await mirror.fetch()
    assert caught.value.code == "git.credentials"
    assert not mirror.runner.started


async def test_https_trusts_the_named_ca_only(
    repo: GitRepo, root: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    token = write_private(tmp_path / "token", SECRET)
    async with serve_http(root, username="x-token-auth", password=SECRET, tls=context) as server:
        url = server.url("config.git")
        assert url.startswith("https://")
        stranger = await open_mirror(url, auth=Auth(token_file=token))
        with pytest.raises(SettingsError, match="ca_file") as caught:
            await stranger.fetch()
        assert caught.value.code == "git.tls"
        assert not server.requests
        auth = Auth(token_file=token, ca_file=tmp_path / "ca.pem")
        mirror = await open_mirror(url, auth=auth, directory=tmp_path / "data2")
        assert (await mirror.fetch()).head == repo.head


async def test_a_redirect_is_not_followed_with_our_credentials(
    root: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    auth = Auth(token_file=write_private(tmp_path / "token", SECRET))
    async with serve_http(root) as thief, serve_http(root) as server:
        server.redirect = thief.url("").rstrip("/")
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        with pytest.raises(SettingsError) as caught:
            await mirror.fetch()
        assert caught.value.code == "git.redirect"
        assert not thief.requests


@pytest.mark.parametrize(
    ("status", "family", "code"),
    [(500, Unavailable, "git.unreachable"), (503, Unavailable, "git.unreachable"),
     (429, Unavailable, "git.unreachable"), (404, SettingsError, "git.not_found"), (403, SettingsError, "git.auth")],
)  # fmt: skip
async def test_what_the_host_answers_decides_who_must_act(
    status: int, family: type[Exception], code: str, repo: GitRepo, root: Path, open_mirror: OpenMirror
) -> None:
    async with serve_http(root) as server:
        mirror = await open_mirror(server.url("config.git"))
        server.status = status
        with pytest.raises(family) as caught:
            await mirror.fetch()
        assert caught.value.code == code  # type: ignore[attr-defined]  # both families have a code
        server.status = None
        assert (await mirror.fetch()).head == repo.head


async def test_a_missing_repository_on_a_host_is_told(root: Path, open_mirror: OpenMirror, tmp_path: Path) -> None:
    async with serve_http(root) as web, serve_ssh(root) as shell:
        auth = Auth(ssh_key_file=shell.key_file, known_hosts_file=shell.known_hosts_file)
        for number, (url, login) in enumerate([(web.url("nope.git"), Auth()), (shell.url("nope.git"), auth)]):
            mirror = await open_mirror(url, auth=login, directory=tmp_path / f"data{number}")
            with pytest.raises(SettingsError) as caught:
                await mirror.fetch()
            assert caught.value.code == "git.not_found"


async def test_a_host_that_went_away_is_unavailable_and_what_is_here_can_be_read(
    root: Path, repo: GitRepo, open_mirror: OpenMirror
) -> None:
    async with serve_http(root) as server:
        mirror = await open_mirror(server.url("config.git"))
        head = (await mirror.fetch()).head
    with pytest.raises(Unavailable) as caught:
        await mirror.fetch()
    assert caught.value.code == "git.unreachable"
    assert caught.value.retryable
    assert mirror.head == head
    assert (await mirror.load_tree(head)).read("agents/target.yaml")


@pytest.mark.parametrize("scheme", ["http", "ssh"])
async def test_a_port_on_which_nobody_listens_is_unavailable(
    scheme: str, tmp_path: Path, root: Path, open_mirror: OpenMirror
) -> None:
    async with serve_ssh(root) as server:
        auth = Auth(ssh_key_file=server.key_file, known_hosts_file=server.known_hosts_file)
        url = f"{scheme}://127.0.0.1:{free_port()}/config.git"
        mirror = await open_mirror(url, auth=auth if scheme == "ssh" else Auth())
        with pytest.raises(Unavailable) as caught:
            await mirror.fetch()
    assert caught.value.code == "git.unreachable"


async def test_a_connection_that_breaks_in_the_middle_is_unavailable_and_repaired(
    repo: GitRepo, root: Path, git_program: GitProgram, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    async with serve_http(root) as server:
        server.hold_after = 100
        mirror = await open_mirror(server.url("config.git"))
        async with asyncio.TaskGroup() as group:

            async def fetch() -> None:
                with pytest.raises(Unavailable):
                    await mirror.fetch()

            group.create_task(fetch(), name="fetch")
            assert await asyncio.to_thread(server.holding.wait, 20)
            server.drop()
        server.release()
        assert (await mirror.fetch()).head == repo.head
    assert not list((tmp_path / "data").rglob("tmp_*"))


# -- ssh


async def test_an_unknown_host_key_is_refused_and_the_right_one_works_without_restart(
    repo: GitRepo, root: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    async with serve_ssh(root) as other:
        strange = other.known_hosts_file.read_text().split(" ", 1)[1]
    async with serve_ssh(root) as server:
        known = tmp_path / "known hosts%h"
        auth = Auth(ssh_key_file=server.key_file, known_hosts_file=known)
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        for content in (f"[127.0.0.1]:{server.port} {strange}", f"elsewhere {strange}"):
            known.write_text(content)
            with pytest.raises(SettingsError, match="known_hosts_file") as caught:
                await mirror.fetch()
            assert caught.value.code == "git.host_key"
        assert not server.commands
        known.write_bytes(server.known_hosts_file.read_bytes())
        assert (await mirror.fetch()).head == repo.head


async def test_a_key_that_the_host_does_not_know_is_an_auth_error(root: Path, open_mirror: OpenMirror) -> None:
    async with serve_ssh(root) as server:
        auth = Auth(ssh_key_file=server.stranger_key_file, known_hosts_file=server.known_hosts_file)
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        with pytest.raises(SettingsError) as caught:
            await mirror.fetch()
    assert caught.value.code == "git.auth"


async def test_a_private_key_that_others_can_read_is_refused_with_the_remedy(
    root: Path, open_mirror: OpenMirror
) -> None:
    async with serve_ssh(root) as server:
        server.key_file.chmod(0o644)
        auth = Auth(ssh_key_file=server.key_file, known_hosts_file=server.known_hosts_file)
        mirror = await open_mirror(server.url("config.git"), auth=auth)
        with pytest.raises(SettingsError, match="chmod 600") as caught:
            await mirror.fetch()
    assert caught.value.code == "git.auth"


@pytest.mark.parametrize("broken", ["ssh_key_file", "known_hosts_file", "both-missing", "public-key"])
async def test_unusable_ssh_files_are_told_before_anything_runs(
    broken: str, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n" if broken != "public-key" else "ssh-ed25519 AAAA")
    hosts.write_text("host key\n" if broken != "known_hosts_file" else "\n")
    if broken in ("ssh_key_file", "both-missing"):
        key.unlink()
    mirror = await open_mirror("git@host:x", auth=Auth(ssh_key_file=key, known_hosts_file=hosts))
    with pytest.raises(SettingsError) as caught:
        await mirror.fetch()
    assert caught.value.code == "git.credentials"
    assert not mirror.runner.started


async def test_no_secret_stands_in_the_process_list_or_the_environment(
    root: Path, tmp_path: Path, git_program: GitProgram
) -> None:
    token = write_private(tmp_path / "token", SECRET)
    async with serve_http(root, username="x-token-auth", password=SECRET) as server:
        mirror = Mirror(
            SourceSpec(url=server.url("config.git"), auth=Auth(token_file=token)),
            tmp_path / "data",
            git_program,
        )
        await mirror.open()
        server.hold_after = 10
        async with asyncio.TaskGroup() as group:
            group.create_task(mirror.fetch(), name="fetch")
            assert await asyncio.to_thread(server.holding.wait, 20)
            seen = await asyncio.to_thread(_children_of, str(tmp_path / "data"))
            server.release()
        await mirror.close()
    assert any(b"fetch" in text for text in seen)
    assert not [text for text in seen if SECRET.encode() in text]


def _children_of(word: str) -> list[bytes]:
    """Command line and environment of each process in which `word` occurs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in text:
            found.append(text)
    return found
