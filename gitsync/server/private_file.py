"""Files that only the server's own user may read: tokens and private keys.

Rules
1. Such a file is made whole or not at all: written beside its place, flushed, then linked to its name.
2. It is never overwritten: of two servers that start at the same time, one makes it and both use it.
3. A file that others may read is refused, not used: what was in it must be taken for known.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from gitsync.errors import SettingsError

MAX_BYTES = 64 * 1024


def read_private(path: Path) -> bytes | None:
    """The content of a private file; None when there is none.

    Raises:
        SettingsError: `file.permissions` when group or others have rights on it, `file.unreadable` when it
            cannot be read or is not a plain file of at most 64 KiB.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", code="file.unreadable") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise SettingsError(f"{path}: not a plain file of at most 64 KiB", code="file.unreadable")
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(
                f"{path}: others may read it (mode {stat.S_IMODE(found.st_mode):04o})",
                code="file.permissions",
                hint=f"take what is in it for known: delete it and start again, or `chmod 600 {path}`",
            )
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def create_private(path: Path, body: bytes) -> bool:
    """Makes the file with mode 0600, and its directory with 0700 when there is none.

    Returns:
        False when it exists already; it is left as it is.

    Raises:
        SettingsError: `file.unwritable`: it cannot be made.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            created = _link(draft, path)
        finally:
            draft.unlink()
        _flush_directory(path.parent)
    except OSError as error:
        raise SettingsError(f"cannot make {path}: {error.strerror}", code="file.unwritable") from error
    return created


def _link(draft: Path, path: Path) -> bool:
    """A link, not a rename: it fails when the name is taken, so an existing key is never replaced."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    return True


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
