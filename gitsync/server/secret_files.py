"""`SecretFiles`: a directory of secrets, one a file, which connection settings name (the port `Secrets`).

Rules
- A name is a plain file name; the settings were checked for that when they were compiled, and here once more.
- Files are read when they are used and kept while they do not change, so that a renewed secret needs no restart.
- A secret that cannot be read is not there: nothing is offered that names it. No content is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

log = logging.getLogger("gitsync.secrets")

MAX_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_Stamp = tuple[int, int, int]


class SecretFiles:
    """Reads secrets by name, in a thread."""

    def __init__(self, directory: Path | None) -> None:
        """Secrets in `directory`; None: there are none."""
        self._directory = directory
        self._kept: dict[str, tuple[_Stamp, str]] = {}
        self._troubles: dict[str, str] = {}

    async def load(self, names: Collection[str]) -> Mapping[str, str]:
        """Those of the secrets that can be read, without the line end at their end."""
        if not names:
            return {}
        if self._directory is None:
            self._tell(dict.fromkeys(sorted(names), "server.agents.secrets_dir is not set"), "")
            return {}
        return await asyncio.to_thread(self._load, self._directory, sorted(names))

    def _load(self, directory: Path, names: Collection[str]) -> dict[str, str]:
        found: dict[str, tuple[_Stamp, str]] = {}
        troubles: dict[str, str] = {}
        for name in names:
            try:
                found[name] = self._read(directory, name)
            except (OSError, ValueError) as error:
                troubles[name] = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
        self._tell(troubles, f" in {directory}")
        # Renewed as a whole, so that a call that was given up and still runs cannot mix with this one.
        self._kept = found
        return {name: text for name, (_, text) in found.items()}

    def _tell(self, troubles: dict[str, str], where: str) -> None:
        """Logs what was not said the last time."""
        for name, text in troubles.items():
            if self._troubles.get(name) != text:
                log.warning("secret %s%s: %s", name, where, text)
        self._troubles = troubles

    def _read(self, directory: Path, name: str) -> tuple[_Stamp, str]:
        if not _NAME.fullmatch(name):
            raise ValueError("not a name of a secret")
        descriptor = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            about = os.fstat(descriptor)
            stamp = (about.st_ino, about.st_mtime_ns, about.st_size)
            kept = self._kept.get(name)
            if kept is not None and kept[0] == stamp:
                return kept
            if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
                raise ValueError("not a plain file of at most 64 KiB")
            body = os.read(descriptor, MAX_BYTES)
        finally:
            os.close(descriptor)
        try:
            text = body.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError("not text in UTF-8") from None
        if not text:
            raise ValueError("empty")
        return stamp, text
