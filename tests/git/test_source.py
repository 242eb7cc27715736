"""Which URLs, refs and credentials make a source."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import SettingsError
from gitsync.repo.credentials import Auth
from gitsync.repo.mirror import Mirror
from gitsync.repo.runner import GitProgram, Operation, Remote, build
from gitsync.repo.source import Location, Scheme, SourceSpec, parse_branch, parse_url

GIT = GitProgram(Path("/usr/bin/git"), (2, 50, 1), Path("/usr/bin/ssh"))
SSH = Auth(ssh_key_file=Path("/k"), known_hosts_file=Path("/h"))


@pytest.mark.parametrize(
    ("url", "scheme", "host", "clean"),
    [
        ("https://git.example.com/team/config.git", Scheme.HTTPS, "git.example.com", None),
        ("HTTPS://host:8443/c", Scheme.HTTPS, "host", "https://host:8443/c"),
        ("https://org@dev.azure.com/org/p/_git/r", Scheme.HTTPS, "dev.azure.com", "https://dev.azure.com/org/p/_git/r"),
        ("http://127.0.0.1:3000/c.git", Scheme.HTTP, "127.0.0.1", None),
        ("http://[::1]:3000/c.git", Scheme.HTTP, "::1", None),
        ("http://localhost/c.git", Scheme.HTTP, "localhost", None),
        ("ssh://git@host:2222/a/b.git", Scheme.SSH, "host", None),
        ("git@github.com:team/config.git", Scheme.SSH, "github.com", None),
        ("host:config.git", Scheme.SSH, "host", None),
        ("git@[::1]:config.git", Scheme.SSH, "::1", None),
    ],
)
def test_a_good_url_is_understood(url: str, scheme: Scheme, host: str, clean: str | None) -> None:
    location = parse_url(url)
    assert (location.scheme, location.host, location.url, location.path) == (scheme, host, clean or url, None)


@pytest.mark.parametrize(
    ("url", "path", "clean"),
    [
        ("file:///srv/a%20b.git", "/srv/a b.git", "file:///srv/a%20b.git"),
        ("/srv/a%20b.git", "/srv/a%20b.git", "file:///srv/a%2520b.git"),
        ("/srv/ä", "/srv/ä", "file:///srv/%C3%A4"),
    ],
)
def test_a_local_path_is_understood(url: str, path: str, clean: str) -> None:
    assert parse_url(url) == Location(Scheme.FILE, clean, path=Path(path))


HOSTILE_URLS = [
    "", " ", "ext::sh -c 'touch CANARY'", "ext::sh", "EXT::x", "fd::17", "fd::17/foo", "a::b", "file::/x", "::",
    "https::x",
    "--upload-pack=touch CANARY", "-u./x", "-utouch CANARY", "--", "-",
    "ssh://-oProxyCommand=touch CANARY/x", "ssh://-oProxyCommand=touch%20CANARY/x", "-oProxyCommand=x:y",
    "ssh://host/-oProxyCommand=x", "ssh://host/", "ssh://host", "ssh:///path", "ssh://u:p@host/x", "ssh://-x@host/p",
    "ssh://git@ho st/x", "ssh://host/a;touch CANARY", "ssh://host/$(touch CANARY) x", "ssh://host:0/x",
    "ssh://host:99999/x",
    "git@-host:x", "git@host:-x", "git@host:/--upload-pack=x", "git@host:", "user:pw@host:path", "-x@host:p",
    "git@host:a\nb", "https://host/a\nb", "https://host/\0", "https://host/a\rb", "\x1b[31mhttps://host/x",
    "git://host/x", "ftp://host/x", "ftps://host/x", "rsync://h/x", "gopher://h/x", "javascript:alert(1)//", "data:,x",
    "https://", "https:///x", "https://host", "https://host/", "https://host/a b", "https://host/x?ref=y", "https://host/x#y",
    "https://u:p@host/x", "https://u:@host/x", "https://:p@host/x", "https://@host/x", "https://ho_st!/x", "https://-host/x",
    "https://[::1/x", "https://[zz]/x", "https://host:/x", "https://höst/x", "https://host:port/x",
    "http://host/x", "http://127.0.0.1.example.com/x", "http://169.254.169.254/x", "http://0.0.0.0/x",
    "file://host/srv/x", "file://", "file:///", "file:///a%0Ab", "file:/srv/x", "/", "~/x", "./x", "../x", "x", "x.git",
    "C:\\repo", "https://host/" + "a" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE_URLS)
async def test_a_hostile_url_is_refused_and_runs_nothing(url: str, tmp_path: Path, git_program: GitProgram) -> None:
    canary = tmp_path / "canary"

    async def follow() -> None:
        spec = SourceSpec(url=url.replace("CANARY", str(canary)), auth=SSH if "ssh" in url else Auth())
        mirror = Mirror(spec, tmp_path / "data", git_program)  # comes here only if the check above is broken
        await mirror.open()
        try:
            await mirror.fetch()
        finally:
            await mirror.close()

    with pytest.raises(SettingsError) as caught:
        await follow()
    assert caught.value.code in {"git.url", "git.credentials"}
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)
    assert not canary.exists()


def test_the_table_of_hostile_urls_is_a_table() -> None:
    assert len(HOSTILE_URLS) >= 40
    assert len(set(HOSTILE_URLS)) == len(HOSTILE_URLS)


@pytest.mark.parametrize(
    "url",
    ["https://bot:s3cr3t@host/x", "https://bot:s3/cr3t@host/x", "https://bot:a@s3cr3t@host/x", "ssh://bot:s3cr3t@host/x",
     "bot:s3cr3t@host:path", "https://bot:s3cr3t@ho st/x", "http://bot:s3cr3t@example.com/x"],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SourceSpec(url=url)
    assert "s3" not in str(caught.value)
    assert "cr3t" not in str(caught.value)


def test_the_refusal_names_the_right_form() -> None:
    with pytest.raises(SettingsError, match="password_file"):
        SourceSpec(url="https://bot:secret@host/x")
    with pytest.raises(SettingsError, match=r"https://HOST/PATH, ssh://USER@HOST/PATH"):
        SourceSpec(url="git://host/x")
    with pytest.raises(SettingsError, match="allow_http"):
        SourceSpec(url="http://host/x")


def test_http_to_another_host_needs_a_decision() -> None:
    assert SourceSpec(url="http://host/x", allow_http=True).location.scheme is Scheme.HTTP


@given(st.text(max_size=60))
def test_any_text_as_url_is_taken_or_refused_and_never_an_option(url: str) -> None:
    try:
        location = parse_url(url)
    except SettingsError:
        return
    call = build(GIT, Operation.FETCH, Path("/m"), remote=Remote(location, "main"))
    at = call.argv.index("--end-of-options")
    assert call.argv[at + 1 :] == (location.url, "refs/heads/main:refs/gitsync/head")
    assert not location.url.startswith("-")
    assert "\n" not in location.url
    assert not re.match(r"[\w+.-]*::", location.url)


# -- refs


@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "release/2026.1", "a-b_c.d", "x" * 200])
def test_a_branch_is_named_with_or_without_its_prefix(ref: str) -> None:
    assert parse_branch(ref) == ref.removeprefix("refs/heads/")


@pytest.mark.parametrize("ref", ["refs/tags/v1", "tags/v1", "a" * 40, "0123456789abcdef" * 4])
def test_tags_and_commits_are_not_available_yet(ref: str) -> None:
    with pytest.raises(SettingsError, match="not available yet") as caught:
        SourceSpec(url="/srv/x", ref=ref)
    assert caught.value.code == "git.ref_kind"


@pytest.mark.parametrize(
    "ref",
    ["", "-u", "--all", "HEAD", "a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a b", "a\nb",
     "a:b", "a~1", "a^", "*", "a?", "a[b", "a\\b", "a@{1}", "refs/remotes/x", "ä", "x" * 201,
     "refs/heads/", "refs/heads/-x", "a\0"],
)  # fmt: skip
def test_what_is_no_branch_name_is_refused(ref: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SourceSpec(url="/srv/x", ref=ref)
    assert caught.value.code == "git.ref"


@given(st.text(max_size=40))
def test_any_text_as_branch_is_taken_or_refused(ref: str) -> None:
    try:
        branch = parse_branch(ref)
    except SettingsError:
        return
    assert not branch.startswith("-")
    assert ".." not in branch
    assert branch.isascii()


# -- credentials


@pytest.mark.parametrize(
    ("url", "auth", "words"),
    [
        ("git@host:x", Auth(), "needs ssh_key_file and known_hosts_file"),
        ("git@host:x", Auth(ssh_key_file=Path("/k")), "needs ssh_key_file and known_hosts_file"),
        ("git@host:x", Auth(ssh_key_file=Path("/k"), known_hosts_file=Path("/h"), ca_file=Path("/c")), "are for https"),
        ("https://host/x", Auth(ssh_key_file=Path("/k")), "are for ssh"),
        ("/srv/x", Auth(token_file=Path("/t")), "are for https"),
        ("https://host/x", Auth(token_file=Path("/t"), password_file=Path("/p")), "not both"),
        ("https://host/x", Auth(username="a", username_file=Path("/u"), token_file=Path("/t")), "not both"),
        ("https://host/x", Auth(username="a"), "password_file or token_file"),
        ("https://ghp_token@host/x", Auth(), "password_file or token_file"),
        ("https://host/x", Auth(username="a\nb", token_file=Path("/t")), "control character"),
    ],
)  # fmt: skip
def test_credentials_must_fit_the_url(url: str, auth: Auth, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        SourceSpec(url=url, auth=auth)
    assert caught.value.code == "git.credentials"
    assert "ghp_" not in str(caught.value)


def test_a_user_name_in_an_https_url_moves_out_of_it() -> None:
    spec = SourceSpec(url="https://org@host/x", auth=Auth(token_file=Path("/t")))
    assert spec.url == spec.location.url == "https://host/x"
    assert spec.auth.username == "org"


async def test_a_source_over_ssh_without_an_ssh_client_says_so(tmp_path: Path, git_program: GitProgram) -> None:
    without = GitProgram(git_program.path, git_program.version)
    mirror = Mirror(SourceSpec(url="git@host:x", auth=SSH), tmp_path / "data", without)
    await mirror.open()
    async with asyncio.timeout(20):
        with pytest.raises(SettingsError, match="no ssh"):
            await mirror.fetch()
    await mirror.close()
