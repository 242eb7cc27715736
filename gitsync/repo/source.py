"""A source as settings: which repository and branch, how it is reached, and what it may cost.

Rules of the URL:
    1. Only https, ssh, an absolute local path (or file://), and http for this machine or when it is allowed.
    2. No user name, password, query or fragment travels in it: a URL ends in process lists and logs.
    3. Nothing in it can be read as an option, a command or a remote helper.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote

from gitsync.errors import SettingsError
from gitsync.ids import DEFAULT_SOURCE, SourceName
from gitsync.repo.credentials import NO_AUTH, Auth

FORMS = "use https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or the absolute path of a local repository"

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/]*)(?P<path>/.*)?", re.ASCII)
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::", re.ASCII)
_SCP = re.compile(r"(?:(?P<user>[^@:/]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:/\[\]]+):(?P<path>[^:].*)", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9._~!$&()*+,;=:@%/-]{1,1024}", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9._/-]{1,200}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", re.ASCII)
_USERINFO = re.compile(r"(?<=://).*@|(?<=:)[^/@].*@", re.DOTALL)


class Scheme(StrEnum):
    """The ways to a repository; the value is what GIT_ALLOW_PROTOCOL gets."""

    HTTPS = "https"
    HTTP = "http"
    SSH = "ssh"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Location:
    """A checked URL.

    Attributes:
        url: what git gets; has no user-info except the user of ssh.
        host: empty for a local repository.
        user: a user name that stood in an https URL; it is given to git in another way.
        path: of a local repository; None for others.
    """

    scheme: Scheme
    url: str
    host: str = ""
    user: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may cost. A commit beyond the first three is an error of the commit; the last stops the
    fetch.
    """

    files: int = 10_000
    file_bytes: int = 1024 * 1024
    tree_bytes: int = 64 * 1024 * 1024
    mirror_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long git may take: to ask for the branch, to fetch, to read what is here."""

    poll: timedelta = timedelta(seconds=30)
    fetch: timedelta = timedelta(minutes=5)
    local: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source. Making one checks it.

    Attributes:
        url: after checking without user-info; see `location`.
        ref: the branch, without `refs/heads/`.
        allow_http: permits unencrypted http to other machines.
        interval: between polls.

    Raises:
        SettingsError: `git.url`, `git.ref`, `git.ref_kind` or `git.credentials`; the text names the right
            form.
    """

    name: SourceName = DEFAULT_SOURCE
    url: str = ""
    ref: str = "main"
    allow_http: bool = False
    auth: Auth = NO_AUTH
    interval: timedelta = timedelta(minutes=1)
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    location: Location = field(init=False, compare=False)

    def __post_init__(self) -> None:
        location = parse_url(self.url, allow_http=self.allow_http)
        auth = self.auth
        if location.user is not None and auth.username is None and auth.username_file is None:
            auth = replace(auth, username=location.user)
        _check_auth(location, auth)
        set_field = object.__setattr__  # the documented way to complete a frozen dataclass
        set_field(self, "location", location)
        set_field(self, "url", location.url)
        set_field(self, "auth", auth)
        set_field(self, "ref", parse_branch(self.ref))


def parse_url(url: str, *, allow_http: bool = False) -> Location:
    """The location that `url` names.

    Raises:
        SettingsError: `git.url`: a form that is not allowed, or user-info with a password.
    """
    if not url:
        raise SettingsError("the source has no URL", code="git.url", hint=FORMS)
    if any(ord(char) < 32 or ord(char) == 127 for char in url):
        _refuse(url, "has a control character in it")
    if len(url) > 2048:
        _refuse(url[:80] + "…", "is longer than 2048 characters")
    if url.startswith("-"):
        _refuse(url, "looks like an option")
    if url.startswith("/"):
        return _file_location(url, Path(url))
    if _HELPER.match(url):
        _refuse(url, "names a remote helper, which could run commands")
    if match := _URL.fullmatch(url):
        return _url_location(url, match, allow_http=allow_http)
    if match := _SCP.fullmatch(url):
        user, host, path = match["user"], match["host"], match["path"]
        if "@" in path:
            _refuse(url, "has a password in it", "ssh uses ssh_key_file")
        _check_ssh(url, user, host, path)
        return Location(Scheme.SSH, url, host.strip("[]"))
    return _refuse(url, "is not a form that gitsync knows")


def parse_branch(ref: str) -> str:
    """The branch's short name.

    Raises:
        SettingsError: `git.ref_kind`: a tag or a commit; `git.ref`: no possible name of a branch.
    """
    if _OBJECT_ID.fullmatch(ref):
        _refuse_kind(ref, "a commit")
    if ref.startswith(("refs/tags/", "tags/")):
        _refuse_kind(ref, "a tag")
    branch = ref.removeprefix("refs/heads/")
    parts = branch.split("/")
    possible = (
        _BRANCH.fullmatch(branch)
        and not branch.startswith(("-", "refs/"))
        and branch != "HEAD"
        and ".." not in branch
        and not any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts)
    )
    if not possible:
        raise SettingsError(
            f"{_show(ref)} is not the name of a branch",
            code="git.ref",
            hint="name a branch such as main; letters, digits, `.`, `_`, `-` and `/`, at most 200 characters",
        )
    return branch


def _url_location(url: str, match: re.Match[str], *, allow_http: bool) -> Location:
    scheme, authority, path = match["scheme"].lower(), match["authority"], match["path"] or ""
    if scheme not in set(Scheme):
        _refuse(url, f"has the scheme {scheme}, which is not allowed")
    if scheme == Scheme.FILE:
        if authority:
            _refuse(url, "names a host; a local repository is file:///absolute/path")
        return _file_location(url, Path(unquote(path or "/")))
    userinfo, at, hostport = authority.rpartition("@")
    if scheme == Scheme.SSH:
        if ":" in userinfo:
            _refuse(url, "has a password in it", "ssh uses ssh_key_file")
        host, _ = _host_and_port(url, hostport)
        _check_ssh(url, userinfo if at else None, host, path)
        return Location(Scheme.SSH, url, host.strip("[]"))
    if ":" in userinfo:
        _refuse(url, "has a password in it", "put the password into a file and name it as password_file")
    if at and not _USER.fullmatch(userinfo):
        _refuse(url, "has a user name that cannot be used", "use the settings username and token_file")
    host, port = _host_and_port(url, hostport)
    if len(path) < 2 or not _PATH.fullmatch(path):
        _refuse(url, "needs a path of plain characters, without query and fragment")
    if scheme == Scheme.HTTP and not allow_http and not _is_loopback(host):
        _refuse(url, "is not encrypted", "use https, or set allow_http when the network is trusted")
    return Location(Scheme(scheme), f"{scheme}://{host}{port}{path}", host.strip("[]"), user=userinfo if at else None)


def _host_and_port(url: str, text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?", text, re.ASCII)
    if match is None or (match[2] and not 0 < int(match[2][1:]) < 65536):
        return _refuse(url, "has a port that is no number from 1 to 65535")
    _check_host(url, match[1])
    return match[1], match[2] or ""


def _check_host(url: str, host: str) -> None:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host.strip("[]"))
        except ValueError:
            _refuse(url, "has a wrong IPv6 address")
    elif not _HOST.fullmatch(host):
        _refuse(url, "needs a host name of letters, digits, `.` and `-`")


def _check_ssh(url: str, user: str | None, host: str, path: str) -> None:
    if user is not None and not _USER.fullmatch(user):
        _refuse(url, "has a user name that ssh cannot take")
    _check_host(url, host)
    if path in ("", "/") or not _PATH.fullmatch(path) or path.lstrip("/").startswith("-"):
        _refuse(url, "needs a path of plain characters that does not look like an option")


def _file_location(url: str, path: Path) -> Location:
    text = str(path)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        _refuse(url, "has a control character in it")
    if path == Path("/"):
        _refuse(url, "names no directory")
    return Location(Scheme.FILE, "file://" + quote(text, errors="surrogateescape"), path=path)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_auth(location: Location, auth: Auth) -> None:
    is_http = location.scheme in (Scheme.HTTPS, Scheme.HTTP)
    for_http = (auth.username, auth.username_file, auth.password_file, auth.token_file, auth.ca_file)
    problem = ""
    if not is_http and any(for_http):
        problem = "username, password_file, token_file and ca_file are for https"
    elif location.scheme != Scheme.SSH and (auth.ssh_key_file or auth.known_hosts_file):
        problem = "ssh_key_file and known_hosts_file are for ssh"
    elif location.scheme == Scheme.SSH and not (auth.ssh_key_file and auth.known_hosts_file):
        problem = (
            "a source over ssh needs ssh_key_file and known_hosts_file "
            "(--ssh-key-file, and known_hosts beside it; `ssh-keyscan HOST` prints that)"
        )
    elif auth.password_file and auth.token_file:
        problem = "give password_file or token_file, not both"
    elif auth.username and auth.username_file:
        problem = "give username or username_file, not both"
    elif (auth.username or auth.username_file) and not auth.secret_file:
        problem = "there is a user name; name the file of its password or token too: password_file or token_file"
    elif auth.username and any(ord(char) < 32 or ord(char) == 127 for char in auth.username):
        problem = "username has a control character in it"
    if problem:
        raise SettingsError(f"source {_show(location.url)}: {problem}", code="git.credentials")


def _refuse(url: str, why: str, hint: str = FORMS) -> NoReturn:
    raise SettingsError(f"the source's URL {_show(url)} {why}", code="git.url", hint=hint)


def _refuse_kind(ref: str, kind: str) -> NoReturn:
    raise SettingsError(
        f"the ref {_show(ref)} is {kind}; only branches can be followed: tags and commits are not available yet",
        code="git.ref_kind",
        hint="name a branch such as main",
    )


def _show(text: str) -> str:
    """Quoted, escaped, and without what stands before an `@`: it may be a password."""
    return repr(_USERINFO.sub("***@", text)[:200])
