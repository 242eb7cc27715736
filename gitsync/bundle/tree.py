"""A commit and its files as values: what the Git shell hands to the compiler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gitsync.ids import BlobId, CommitId, SourceName


@dataclass(frozen=True, slots=True)
class Commit:
    """Who changed what and when.

    Attributes:
        tree: id of the root tree.
        author: `Name <address>`.
        authored_at: aware, UTC.
        subject: first line of the message, at most 500 characters.
        signer: principal of a verified signature; None when unsigned or not checked.
    """

    id: CommitId
    tree: str
    parents: tuple[CommitId, ...]
    author: str
    authored_at: datetime
    subject: str
    signer: str | None = None


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A tree entry that gitsync refuses to read.

    Attributes:
        kind: symlink | submodule | case-clash | encoding | file-size | file-count | name.
        detail: what exactly (the other spelling, the size in bytes, ...).
    """

    path: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConfigTree:
    """The files of one commit.

    Attributes:
        blobs: path (with `/`, no leading slash) to blob id; every regular file of the commit.
        data: blob id to content; only files that a compiler can need (see `wanted`).
        bad: entries that cannot be served; each becomes an error of the commit.
    """

    source: SourceName
    commit: Commit
    blobs: Mapping[str, BlobId]
    data: Mapping[BlobId, bytes]
    bad: tuple[BadEntry, ...] = ()

    def read(self, path: str) -> bytes | None:
        """Content of the file at `path`; None when there is none (or it was not loaded)."""
        blob = self.blobs.get(path)
        return None if blob is None else self.data.get(blob)

    def paths(self) -> Iterator[str]:
        """All file paths, sorted by bytes."""
        return iter(sorted(self.blobs, key=lambda path: path.encode()))
