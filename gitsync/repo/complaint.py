"""What git, ssh and the remote complain about, told as errors of gitsync: who must act, and what to do.

Git has no machine-readable errors for the network, so its English text is matched (`LC_ALL=C` fixes the
language). The order matters: the cause comes before the line "Could not read from remote repository" that
git adds to all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from gitsync.errors import GitsyncError, InvalidConfig, SettingsError, Unavailable
from gitsync.repo.credentials import Secret
from gitsync.repo.source import Location, Scheme

_USERINFO = re.compile(r"(?<=://)[^/\s'\"]*@")
_AUTHORIZATION = re.compile(r"(?i)\b(authorization|private-token|cookie)\s*:.*")
_UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e\u00a0-\ud7ff\ue000-\uffff]")


class _Cause(NamedTuple):
    pattern: re.Pattern[str]
    family: type[GitsyncError]
    code: str
    message: str
    hint: str


def _cause(pattern: str, family: type[GitsyncError], code: str, message: str, hint: str = "") -> _Cause:
    return _Cause(re.compile(pattern, re.IGNORECASE), family, code, message, hint)


_CAUSES = (
    _cause(
        r"host key verification failed|host key is known for|remote host identification has changed",
        SettingsError, "git.host_key", "the host key of {host} is not the one in known_hosts_file",
        "compare `ssh-keyscan HOST` with what the host publishes, then put the right key into the file",
    ),
    _cause(
        r"unprotected private key file|bad permissions", SettingsError, "git.auth",
        "ssh refuses a private key that other users can read", "chmod 600 the ssh_key_file",
    ),
    _cause(
        r"load key .*(passphrase|libcrypto|invalid format)|incorrect passphrase", SettingsError, "git.auth",
        "ssh cannot read the private key", "ssh_key_file must be an OpenSSH or PEM key without a passphrase",
    ),
    _cause(
        r"no user exists for uid", SettingsError, "git.ssh_user",
        "ssh needs a user name for this process's uid", "add the uid to /etc/passwd of the container",
    ),
    _cause(
        r"permission denied \(|too many authentication failures|authentication failed|returned error: 40[13]"
        r"|could not read (username|password)|invalid username or|terminal prompts disabled"
        r"|http basic: access denied",
        SettingsError, "git.auth", "{host} does not accept the credentials",
        "check the source's user name, password_file, token_file or ssh_key_file, and what they may read",
    ),
    _cause(
        r"certificate (problem|verif|subject)|gnutls_handshake|ssl_connect|ssl routines|ssl connect error",
        SettingsError, "git.tls", "the certificate of {host} is not trusted",
        "name the CA that signed it as ca_file",
    ),
    _cause(
        r"returned error: 30\d|unable to update url base from redirect", SettingsError, "git.redirect",
        "{host} sends gitsync to another address, which is not followed", "use the repository's final URL",
    ),
    _cause(
        r"returned error: (429|5\d\d)", Unavailable, "git.unreachable", "{host} has an error of its own",
    ),
    _cause(
        r"could not resolve host|couldn't connect|failed to connect"
        r"|connection (refused|reset|closed|timed out)|network is unreachable|no route to host"
        r"|operation too slow|operation timed out|timeout|empty reply"
        r"|kex_exchange_identification|temporary failure in name resolution|recv failure|send failure",
        Unavailable, "git.unreachable", "{host} cannot be reached",
    ),
    _cause(
        r"dubious ownership", SettingsError, "git.owner", "git does not trust the owner of a directory",
        "the mirror's directory must belong to the user that runs gitsync",
    ),
    _cause(
        r"couldn't find remote ref", SettingsError, "git.ref_missing", "the branch is not in the repository",
        "check the source's ref",
    ),
    _cause(
        r"mismatched algorithms", SettingsError, "git.object_format",
        "the repository uses SHA-256 object ids, which are not available yet",
    ),
    _cause(
        r"shallow", SettingsError, "git.shallow_source", "the repository has a cut history (a shallow clone)",
        "run `git fetch --unshallow` there: gitsync must see which commits descend from which",
    ),
    _cause(
        r"transport '.*' not allowed|protocol .* not (allowed|supported)", SettingsError, "git.url",
        "git does not allow the protocol of this URL",
    ),
    _cause(
        r"repository .*not found|not found$|could not be found|does not appear to be a git repository"
        r"|not a git repository|returned error: 404|no such file or directory|not valid: is this a git rep",
        SettingsError, "git.not_found",
        "there is no repository at this URL, or it is hidden from these credentials",
        "check the URL, and that the credentials may read the repository",
    ),
    _cause(
        r"no space left on device|disk quota exceeded", SettingsError, "git.disk_full",
        "the disk of the mirror is full", "make room in the data directory",
    ),
    _cause(
        r"permission denied|read-only file system", SettingsError, "git.permission",
        "gitsync may not read the repository or write its mirror", "check the directories' owner and mode",
    ),
    _cause(
        r"fsck error|has(dotgit|dotdot|dot)\b|fullpathname|nullsha1|badtree|baddate|zeropadded",
        InvalidConfig, "git.unsafe_object",
        "the history has an object that git calls unsafe or broken; nothing was taken",
        "`git fsck` names it; it must be taken out of the branch's history",
    ),
    _cause(
        r"hung up unexpectedly|early eof|rpc failed|unexpected disconnect|could not read from remote"
        r"|expected flush|http request failed|unable to access",
        Unavailable, "git.unreachable", "the connection to {host} broke",
    ),
)  # fmt: skip


def translate(operation: str, code: int, stderr: str, location: Location | None) -> GitsyncError:
    """The error that git's failure is.

    Args:
        operation: git's verb.
        code: git's exit code.
        stderr: already scrubbed.
        location: of the remote, for network operations.

    Returns:
        Unavailable for what may pass; SettingsError for what the operator must change; InvalidConfig for
        objects that git refuses. What is unknown is `git.failed`, Unavailable, with git's own words.
    """
    own = "\n".join(line for line in stderr.splitlines() if not line.startswith("remote: "))
    where = f" {location.url}" if location else ""
    host = (location.host if location else "") or ("the local repository" if location else "git")
    if location is not None and location.path is not None and not location.path.exists():
        return SettingsError(
            f"git {operation}{where}: there is no such directory on this machine",
            code="git.not_found",
            hint="check the source's path",
        )
    for text in (own, stderr):
        text = text.replace(location.url, "URL") if location else text  # its words are no complaint
        for cause in _CAUSES:
            if cause.pattern.search(text) and _can_be(cause, location):
                message = f"git {operation}{where}: {cause.message.format(host=host)}: {_summary(stderr)}"
                return cause.family(message, code=cause.code, hint=cause.hint)
    return Unavailable(
        f"git {operation}{where} failed with exit code {code}: {_summary(stderr) or 'without a word'}",
        code="git.failed",
    )


def scrub(stderr: bytes, secrets: Iterable[Secret] = (), cut: bool = False) -> str:
    """Git's standard error as text that may be shown: no secrets, no user-info, no control characters."""
    text = stderr.decode(errors="replace")
    for secret in secrets:
        word = secret.reveal()
        for form in (word, quote(word, safe="")):
            text = text.replace(form, "***")
    text = _USERINFO.sub("***@", text)
    text = _AUTHORIZATION.sub(r"\1: ***", text)
    text = _UNPRINTABLE.sub("?", text).strip()
    return text + " …" if cut else text


def _can_be(cause: _Cause, location: Location | None) -> bool:
    """A local repository has no certificate: such a word is part of a path there."""
    is_local = location is None or location.scheme is Scheme.FILE
    return not (is_local and cause.code in {"git.tls", "git.auth", "git.redirect", "git.host_key"})


def _summary(stderr: str) -> str:
    """The lines that say something, in one line of at most 500 characters."""
    idle = ("Please make sure", "and the repository exists", "fatal: Could not read from remote", "@@@@")
    lines = [line.strip() for line in stderr.splitlines()]
    told = [line for line in lines if line and not line.startswith(idle)]
    return "; ".join(told or [line for line in lines if line])[:500]
