"""The fixed command, its limits, and what git's complaints become."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import GitsyncError, InvalidConfig, SettingsError, Unavailable
from gitsync.ids import CommitId
from gitsync.repo.complaint import scrub, translate
from gitsync.repo.credentials import Access, Secret
from gitsync.repo.runner import Call, GitProgram, Operation, Remote, Runner, build, find_git, version_warning
from gitsync.repo.source import parse_url

GIT = GitProgram(Path("/opt/git/bin/git"), (2, 50, 1), Path("/usr/bin/ssh"))
HTTPS = parse_url("https://host/config.git")
A, B = CommitId("a" * 40), CommitId("b" * 40)
SHORT = timedelta(milliseconds=300)


def test_the_fetch_command_is_this_and_nothing_else() -> None:
    call = build(GIT, Operation.FETCH, Path("/m"), remote=Remote(HTTPS, "team/x"))
    words = [word for word in call.argv if word != "-c"]
    assert words[:2] == ["/opt/git/bin/git", "--git-dir=/m"]
    assert set(words[2 : words.index("fetch")]) == {
        "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false", "core.fsync=all",
        "core.alternateRefsCommand=true", "core.bigFileThreshold=2m", "credential.helper=", "gc.auto=0",
        "maintenance.auto=false", "fetch.fsckObjects=true", "transfer.fsckObjects=true",
        "http.followRedirects=false", "http.lowSpeedLimit=1000", "http.lowSpeedTime=30",
        "protocol.allow=never", "protocol.https.allow=always",
    }  # fmt: skip
    assert words[words.index("fetch") :] == [
        "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc", "--no-write-fetch-head",
        "--force", "--end-of-options", "https://host/config.git", "refs/heads/team/x:refs/gitsync/head",
    ]  # fmt: skip


def test_the_environment_is_complete_and_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    monkeypatch.setenv("HTTPS_PROXY", "http://evil")
    call = build(GIT, Operation.FETCH, Path("/m"), remote=Remote(HTTPS, "main"))
    assert call.env == {
        "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1", "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https",
        "GIT_ASKPASS": "/bin/false", "GIT_SSH_COMMAND": "/bin/false", "GIT_SSH_VARIANT": "ssh",
    }  # fmt: skip


def test_a_local_operation_may_use_no_protocol() -> None:
    call = build(GIT, Operation.LS_TREE, Path("/m"), commits=(A,))
    assert call.env["GIT_ALLOW_PROTOCOL"] == "none"
    assert not [word for word in call.argv if "always" in word]


def test_credentials_are_given_as_paths_only() -> None:
    access = Access(
        askpass_file=Path("/d/askpass"), username_file=Path("/d/u"), password_file=Path("/s/p"),
        ca_file=Path("/c"), secrets=(Secret("hunter2"),),
    )  # fmt: skip
    call = build(GIT, Operation.FETCH, Path("/m"), remote=Remote(HTTPS, "main", access))
    assert call.env["GIT_ASKPASS"] == "/d/askpass"
    assert call.env["GITSYNC_PASSWORD_FILE"] == "/s/p"
    assert call.env["GIT_SSL_CAINFO"] == "/c"
    assert "hunter2" not in repr(call)
    assert "hunter2" not in repr(access)


def test_ssh_runs_with_our_configuration_whatever_its_path_is_called() -> None:
    access = Access(ssh_config_file=Path("/data/it's; touch x/ssh_config"))
    remote = Remote(parse_url("git@host:x"), "main", access)
    command = build(GIT, Operation.FETCH, Path("/m"), remote=remote).env["GIT_SSH_COMMAND"]
    assert command == "/usr/bin/ssh -F '/data/it'\"'\"'s; touch x/ssh_config' -oBatchMode=yes"


@pytest.mark.parametrize("commit", ["", "main", "-x", "--all", "a" * 39, "A" * 40, "a" * 40 + "\n", "HEAD^{tree}"])
def test_only_commit_ids_are_taken_for_commits(commit: str) -> None:
    for operation in (Operation.LS_TREE, Operation.MERGE_BASE):
        with pytest.raises(ValueError, match="no commit id"):
            build(GIT, operation, Path("/m"), commits=(CommitId(commit), A))


@given(st.text(alphabet="0123456789abcdef", min_size=40, max_size=40))
def test_commit_ids_stand_behind_the_end_of_options(commit: str) -> None:
    call = build(GIT, Operation.LS_TREE, Path("/m"), commits=(CommitId(commit),))
    assert call.argv[-2:] == ("--end-of-options", commit)


def test_ancestry_is_asked_of_two_commits() -> None:
    call = build(GIT, Operation.MERGE_BASE, Path("/m"), commits=(A, B))
    assert call.argv[-5:] == ("merge-base", "--is-ancestor", "--end-of-options", A, B)


# -- finding git


async def test_git_is_found_with_its_absolute_path() -> None:
    git = await find_git()
    assert git.path.is_absolute()
    assert git.version >= (2, 36, 0)
    assert git.ssh is None or git.ssh.is_absolute()


@pytest.mark.parametrize("search", ["", "/nonexistent", ".", "relative/bin"])
async def test_a_missing_git_is_a_clear_error(search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "git", "echo git version 2.50.1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        await find_git(search)
    assert caught.value.code == "git.missing"


@pytest.mark.parametrize("answer", ["git version 2.20.1", "hello", "exit 1"])
async def test_an_old_git_or_none_at_all_is_refused(answer: str, tmp_path: Path) -> None:
    script(tmp_path / "git", f"echo {answer}")
    with pytest.raises(SettingsError) as caught:
        await find_git(str(tmp_path))
    assert caught.value.code == "git.version"


@pytest.mark.parametrize(
    ("version", "warns"),
    [((2, 39, 5), True), ((2, 43, 6), True), ((2, 43, 7), False), ((2, 49, 0), True), ((2, 49, 1), False),
     ((2, 50, 0), True), ((2, 50, 1), False), ((2, 51, 0), False), ((3, 0, 0), False)],
)  # fmt: skip
def test_versions_without_all_fixes_are_warned_about(version: tuple[int, int, int], warns: bool) -> None:
    assert (version_warning(version) is not None) == warns


# -- limits


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def call_of(path: Path) -> Call:
    return Call(Operation.FETCH, (str(path),), {"PATH": "/usr/bin:/bin"})


async def has_ended(pid: int) -> None:
    """Waits for the end of a process that is not our child: nobody tells, so look."""

    def is_running() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    async with asyncio.timeout(10):
        while is_running():
            await asyncio.sleep(0.01)


async def test_time_out_kills_the_grandchildren_too(tmp_path: Path) -> None:
    body = f"sh -c 'echo $$ >{tmp_path}/pid; exec sleep 300' &\nsleep 300"
    with pytest.raises(Unavailable) as caught:
        await Runner(GIT).run(call_of(script(tmp_path / "git", body)), timedelta(seconds=1))
    assert caught.value.code == "git.timeout"
    await has_ended(int((tmp_path / "pid").read_text()))


async def test_a_left_over_grandchild_ends_with_the_time_out_as_well(tmp_path: Path) -> None:
    body = f"sh -c 'echo $$ >{tmp_path}/pid; exec sleep 300' &\nexit 0"
    with pytest.raises(Unavailable):
        await Runner(GIT).run(call_of(script(tmp_path / "git", body)), timedelta(seconds=1))
    await has_ended(int((tmp_path / "pid").read_text()))


async def test_endless_output_is_cut_and_the_process_killed(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        done = await Runner(GIT).run(
            call_of(script(tmp_path / "git", "exec yes")), timedelta(seconds=20), output_bytes=1000
        )
    assert done.truncated
    assert len(done.stdout) == 1000
    assert done.code < 0


async def test_endless_complaints_are_cut_at_8_kib(tmp_path: Path) -> None:
    body = "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3"
    done = await Runner(GIT).run(call_of(script(tmp_path / "git", body)), timedelta(seconds=20))
    assert done.code == 3
    assert done.stderr == "x" * 8192 + " …"


async def test_a_process_that_does_not_read_its_input_is_no_problem(tmp_path: Path) -> None:
    done = await Runner(GIT).run(
        call_of(script(tmp_path / "git", "exit 7")), timedelta(seconds=20), stdin=b"x" * 1_000_000
    )
    assert done.code == 7


async def test_the_guard_stops_git_and_its_error_is_raised(tmp_path: Path) -> None:
    async def guard() -> GitsyncError:
        return SettingsError("too large", code="x")

    with pytest.raises(SettingsError, match="too large"):
        await Runner(GIT).run(call_of(script(tmp_path / "git", "sleep 300")), timedelta(seconds=20), guard=guard)


async def test_git_starts_in_the_root_directory_and_in_a_group_of_its_own(tmp_path: Path) -> None:
    body = "pwd; cut -d' ' -f5 /proc/$$/stat; echo $$"
    done = await Runner(GIT).run(call_of(script(tmp_path / "git", body)), timedelta(seconds=20))
    place, group, pid = done.stdout.decode().split()
    assert place == "/"
    assert group == pid != str(os.getpgrp())


async def test_a_program_that_cannot_be_started_is_told() -> None:
    with pytest.raises(SettingsError) as caught:
        await Runner(GIT).run(call_of(Path("/nonexistent/git")), SHORT)
    assert caught.value.code == "git.missing"


# -- complaints


@pytest.mark.parametrize(
    ("stderr", "family", "code"),
    [
        ("fatal: unable to access 'https://h/x/': Could not resolve host: h", Unavailable, "git.unreachable"),
        ("fatal: unable to access 'x': The requested URL returned error: 503", Unavailable, "git.unreachable"),
        ("fatal: unable to access 'x': The requested URL returned error: 429", Unavailable, "git.unreachable"),
        ("fatal: unable to access 'x': The requested URL returned error: 403", SettingsError, "git.auth"),
        ("fatal: Authentication failed for 'https://h/x/'", SettingsError, "git.auth"),
        ("remote: Invalid username\nfatal: Authentication failed for 'https://h/'", SettingsError, "git.auth"),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", SettingsError, "git.auth"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote", SettingsError, "git.auth"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", SettingsError, "git.host_key"),
        ("remote: Repository not found.\nfatal: repository 'https://h/x/' not found", SettingsError, "git.not_found"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", SettingsError, "git.not_found"),
        ("fatal: unable to access 'x': server certificate verification failed. CAfile: none", SettingsError, "git.tls"),
        ("fatal: unable to access 'x': SSL certificate problem: self-signed certificate", SettingsError, "git.tls"),
        ("fatal: unable to update url base from redirection:\n  asked for: a", SettingsError, "git.redirect"),
        ("error: RPC failed; curl 18 transfer closed\nfatal: early EOF", Unavailable, "git.unreachable"),
        ("fatal: the remote end hung up unexpectedly", Unavailable, "git.unreachable"),
        ("fatal: couldn't find remote ref refs/heads/x", SettingsError, "git.ref_missing"),
        ("fatal: write error: No space left on device", SettingsError, "git.disk_full"),
        ("error: object 12: hasDotgit: x\nfatal: fsck error in packed object", InvalidConfig, "git.unsafe_object"),
        ("fatal: something new", Unavailable, "git.failed"),
        ("", Unavailable, "git.failed"),
    ],
)  # fmt: skip
def test_a_complaint_becomes_the_error_of_who_must_act(stderr: str, family: type[GitsyncError], code: str) -> None:
    error = translate("fetch", 128, stderr, HTTPS)
    assert (type(error), error.code) == (family, code)
    assert "https://host/config.git" in str(error)
    assert "\n" not in str(error)


def test_words_of_the_url_are_no_complaint() -> None:
    location = parse_url("https://host/connection-refused/timeout.git")
    error = translate("fetch", 128, f"fatal: unable to access '{location.url}/': new words", location)
    assert error.code == "git.unreachable"
    location = parse_url("https://host/authentication failed".replace(" ", "%20"))
    assert translate("fetch", 1, f"fatal: {location.url}: odd", location).code == "git.failed"


def test_secrets_user_info_and_control_characters_are_scrubbed() -> None:
    raw = b"https://bot:p%40ss@host/x: p@ss p%40ss \x1b[31mred\x07\nAuthorization: Basic Zm9v\nssh://git@host"
    text = scrub(raw, [Secret("p@ss")])
    assert text == "https://***@host/x: *** *** ?[31mred?\nAuthorization: ***\nssh://***@host"


@given(st.binary(max_size=200), st.text(min_size=1, max_size=20))
def test_a_secret_never_survives_scrubbing(noise: bytes, secret: str) -> None:
    marked = f"<<{secret.replace('*', '')}SECRET>>"
    assert marked not in scrub(noise + marked.encode(errors="replace") + noise, [Secret(marked)])
