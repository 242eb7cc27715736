"""What gitsync proves to a Git host, and what it believes of it; all of it stays in files.

Rules:
    1. Every file is read again on every use, so that a corrected password or a renewed key works without a
       restart.
    2. A secret never stands in an argument, an environment variable or a URL. Git asks a small script that we
       write, and the script reads the file; ssh reads its key itself.
    3. A secret in memory is a `Secret`, which prints as `***`.
    4. ssh sees only the configuration file that we write: no agent, no key of the user, no unknown host.
"""

from __future__ import annotations

import hmac
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from gitsync.errors import SettingsError

#: More than any key or token; a larger file is a mistake in the settings.
_SECRET_LIMIT_BYTES = 64 * 1024
#: Works as user name for tokens of GitHub, GitLab, Gitea and Bitbucket.
TOKEN_USERNAME = "x-token-auth"  # noqa: S105 - a user name

_ASKPASS = """\
#!/bin/sh
# Answers git's two questions from files; the words themselves never stand in an argument.
case "$1" in
Username*) file=$GITSYNC_USERNAME_FILE ;;
Password*) file=$GITSYNC_PASSWORD_FILE ;;
*) exit 1 ;;
esac
[ -n "$file" ] || exit 1
IFS= read -r line <"$file" || [ -n "$line" ] || exit 1
printf '%s\\n' "$line"
"""


class Secret:
    """A text that is shown to nobody: `repr`, `str` and f-strings give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # secrets are no keys of a mapping


@dataclass(frozen=True, slots=True)
class Auth:
    """The credentials of one source: names of files, no contents.

    Attributes:
        username: for https; with a token it may stay empty.
        username_file: a file with the user name, instead of `username`.
        password_file: for https.
        token_file: for https, instead of `password_file`.
        ssh_key_file: private key for ssh, without a passphrase.
        known_hosts_file: host keys for ssh, as `ssh-keyscan` prints them. There is no ssh without it.
        ca_file: certificates that https trusts instead of the system's.
    """

    username: str | None = None
    username_file: Path | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None

    @property
    def secret_file(self) -> Path | None:
        """The file with the password or the token; None: no credentials for https."""
        return self.password_file or self.token_file


NO_AUTH = Auth()


@dataclass(frozen=True, slots=True)
class Access:
    """How one git process reaches the remote: paths for the environment, and the secrets to keep out of
    messages.
    """

    config_file: Path | None = None
    askpass_file: Path | None = None
    username_file: Path | None = None
    password_file: Path | None = None
    ssh_config_file: Path | None = None
    ca_file: Path | None = None
    secrets: tuple[Secret, ...] = ()


NO_ACCESS = Access()


def read_secret(file: Path, what: str) -> Secret:
    """The one line of `file`, without its line end.

    Args:
        file: is read now, each time.
        what: names the setting in the error ("password_file").

    Raises:
        SettingsError: `git.credentials`: it cannot be read, is empty, too large, or no single line of text.
    """
    data = _read(file, what)
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _unusable(what, file, "is not text in UTF-8") from None
    if not text:
        raise _unusable(what, file, "is empty")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise _unusable(what, file, "must have exactly one line, without control characters")
    return Secret(text)


def prepare_https(auth: Auth, directory: Path) -> Access:
    """Reads the credentials again and writes the script that answers git, in `directory` (which must be
    private).

    Raises:
        SettingsError: `git.credentials`: a file is not usable.
    """
    if auth.ca_file is not None:
        _read(auth.ca_file, "ca_file", limit=16 * 1024 * 1024)
    if auth.secret_file is None:
        return Access(ca_file=auth.ca_file)
    password = read_secret(auth.secret_file, "password_file" if auth.password_file else "token_file")
    username_file = auth.username_file
    if username_file is None:
        username_file = directory / "username"
        _write(username_file, (auth.username or TOKEN_USERNAME) + "\n", 0o600)
    read_secret(username_file, "username_file")
    askpass = directory / "askpass"
    _write(askpass, _ASKPASS, 0o700)
    return Access(
        askpass_file=askpass,
        username_file=username_file.absolute(),
        password_file=auth.secret_file.absolute(),
        ca_file=auth.ca_file,
        secrets=(password,),
    )


def prepare_ssh(auth: Auth, directory: Path) -> Access:
    """Checks key and host keys, and writes the only configuration that ssh will read.

    Raises:
        SettingsError: `git.credentials`: a file is missing, empty, or open to other users.
    """
    key, hosts = auth.ssh_key_file, auth.known_hosts_file
    if key is None or hosts is None:
        raise SettingsError(
            "a source over ssh needs ssh_key_file and known_hosts_file",
            code="git.credentials",
            hint="`ssh-keyscan HOST` prints the host keys; compare them with what the host publishes",
        )
    if b"PRIVATE KEY" not in _read(key, "ssh_key_file"):
        raise _unusable("ssh_key_file", key, "is no private key")
    if not _read(hosts, "known_hosts_file", limit=1024 * 1024).strip():
        raise _unusable("known_hosts_file", hosts, "is empty: no host would be trusted")
    config = directory / "ssh_config"
    _write(config, _ssh_config(key.absolute(), hosts.absolute()), 0o600)
    return Access(ssh_config_file=config)


def prepare_file(path: Path, directory: Path) -> Access:
    """Writes a git configuration that trusts the repository at `path`, whoever owns it, and nothing else.

    The operator named this directory, which is the trust that `safe.directory` asks for. Git's sending side
    looks at the directory that holds the objects, so the same repository has several names here.
    """
    names = {path, path / ".git"}
    names |= {name.resolve() for name in names}
    names |= set(git_directories(path))
    lines = ["[safe]"]
    for name in sorted(str(name) for name in names):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'\tdirectory = "{quoted}"')
    config = directory / "gitconfig"
    _write(config, "\n".join(lines) + "\n", 0o600)
    return Access(config_file=config)


def git_directories(path: Path) -> tuple[Path, ...]:
    """The directories that hold HEAD and the refs of the local repository at `path`.

    Returns:
        One for a bare or an ordinary repository; two for a linked work tree (its own, then the shared one);
        none when there is no repository.
    """
    place = path / ".git"
    if place.is_file():  # a linked work tree or a submodule: one line `gitdir: <path>`
        text = place.read_text(encoding="utf-8", errors="surrogateescape")[:4096]
        if not text.startswith("gitdir:"):
            return ()
        place = path / text.removeprefix("gitdir:").strip()
    elif not place.is_dir():
        place = path
    if not (place / "HEAD").exists():
        return ()
    shared = place / "commondir"
    if not shared.is_file():
        return (place,)
    common = place / shared.read_text(encoding="utf-8", errors="surrogateescape")[:4096].strip()
    return (place, common.resolve())


def ssh_command(ssh: Path, config: Path) -> str:
    """The constant command that git runs through the shell to reach an ssh host."""
    return f"{shlex.quote(str(ssh))} -F {shlex.quote(str(config))} -oBatchMode=yes"


def _ssh_config(key: Path, hosts: Path) -> str:
    return f"""\
Host *
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile {_ssh_path(hosts, "known_hosts_file")}
  GlobalKnownHostsFile none
  UpdateHostKeys no
  IdentityFile {_ssh_path(key, "ssh_key_file")}
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  ConnectTimeout 20
  ServerAliveInterval 15
  ServerAliveCountMax 2
  ClearAllForwardings yes
  ForwardAgent no
  ControlPath none
  PermitLocalCommand no
  LogLevel ERROR
"""


def _ssh_path(path: Path, what: str) -> str:
    text = str(path)
    # ssh expands `$` and backslashes in paths and has no way to write a quote.
    if any(char in '"\\$' or ord(char) < 32 for char in text):
        raise _unusable(what, path, "has a character in its path that ssh cannot take")
    return '"' + text.replace("%", "%%") + '"'


def _read(file: Path, what: str, limit: int = _SECRET_LIMIT_BYTES) -> bytes:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _unusable(what, file, "is not a regular file")
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise _unusable(what, file, f"cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise _unusable(what, file, f"is larger than {limit} bytes")
    return data


def _unusable(what: str, file: Path, why: str) -> SettingsError:
    return SettingsError(f"{what} {file} {why}", code="git.credentials")


def _write(file: Path, text: str, mode: int) -> None:
    """Replaces `file` as a whole: a process that is reading it sees the old text or the new one."""
    data = text.encode("utf-8", errors="surrogateescape")
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=mode)
    fresh.chmod(mode)
    fresh.write_bytes(data)
    fresh.replace(file)
