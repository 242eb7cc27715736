"""The token to call a server with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitsync.errors import SettingsError

ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105  # a file name


def find_token(data_directory: Path | None, *, local: bool, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token to call a server with: GITSYNC_TOKEN, the file GITSYNC_TOKEN_FILE, or `admin.token`.

    Args:
        data_directory: as given by the user.
        local: whether the server is on this machine. The token in the *default* data directory is only for
            such a server: it must not travel to whatever host a URL names.
        environment: of the process.

    Returns:
        None when there is none.

    Raises:
        SettingsError: `token.unreadable`: a file that was named cannot be read.
    """
    if token := environment.get("GITSYNC_TOKEN", "").strip():
        return token
    if named := environment.get("GITSYNC_TOKEN_FILE", ""):
        return _read(Path(named), "GITSYNC_TOKEN_FILE")
    if data_directory is not None:
        path = data_directory / ADMIN_TOKEN_FILE
        return _read(path, "--data-dir") if path.exists() else None
    if not local:
        return None
    from gitsync.settings import default_data_dir

    try:
        return (default_data_dir() / ADMIN_TOKEN_FILE).read_text().strip() or None
    except OSError:
        return None


def _read(path: Path, where: str) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(f"cannot read the token in {path} ({where}): {reason}", code="token.unreadable") from error
