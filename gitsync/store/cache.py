"""The published state on this machine's disk, so that a start without the database can serve agents.

The file is one line with the SHA-256 of the rest, then the rest. Write order: the whole content under another name,
fsync, rename, fsync of the directory. A crash at any point leaves the old file or the new one, never a mixture; a
leftover of the other name is overwritten by the next save and never read.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from gitsync.control.records import StoredSource
from gitsync.errors import GitsyncError, SettingsError, TrustError, Unavailable
from gitsync.store.codec import decode_sources, encode_sources

logger = logging.getLogger(__name__)

_PREFIX = b"sha256:"


class LocalCache:
    """The driver of the port `Cache`: one file."""

    __slots__ = ("_path", "_turn")

    def __init__(self, path: Path) -> None:
        """Names the file; touches nothing.

        Args:
            path: the file; its directory is made when it is missing.
        """
        self._path = path
        self._turn = asyncio.Lock()

    async def save(self, sources: Sequence[StoredSource]) -> None:
        """Replaces the cache by an atomic rename; the file is readable by its owner only.

        Raises:
            Unavailable: the disk is full, or the directory cannot be written.
        """
        # One at a time, in order: an older state must not be renamed over a newer one.
        async with self._turn:
            try:
                await asyncio.to_thread(self._replace, tuple(sources))
            except OSError as error:
                raise Unavailable(
                    f"the cache {self._path} cannot be written: {error.strerror or error}", code="cache.write"
                ) from error

    async def load(self) -> Sequence[StoredSource] | None:
        """The state that was saved last; None when there is none, or (with a warning) when it cannot be read."""
        try:
            return await asyncio.to_thread(self._read)
        except FileNotFoundError:
            return None
        except (OSError, TrustError, SettingsError) as error:
            logger.warning("the cache %s is not used: %s", self._path, error)
            return None

    def _replace(self, sources: Sequence[StoredSource]) -> None:
        content = encode_sources(sources).encode()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        other = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_seal(content) + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        other.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self) -> Sequence[StoredSource]:
        seal, _, content = self._path.read_bytes().partition(b"\n")
        if seal != _seal(content):
            raise TrustError("its content is not what was written", code="cache.digest")
        try:
            return decode_sources(content)
        except GitsyncError as error:
            raise TrustError(str(error), code="cache.content") from error


def _seal(content: bytes) -> bytes:
    return _PREFIX + hashlib.sha256(content).hexdigest().encode()
