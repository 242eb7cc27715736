"""Config trees as values, made from texts: what the Git shell would have read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gitsync.bundle.tree import BadEntry, Commit, ConfigTree
from gitsync.ids import DEFAULT_SOURCE, BlobId, CommitId, SourceName

AUTHORED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

COLLECTOR_YAML = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:4317
exporters:
  debug:
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
"""
"""The smallest configuration that passes every check."""
QUIET = "policies: {severity: {GS1103: off}}\n"
"""A `gitsync.yaml` for which a debug exporter is no warning."""


def tree_of(
    files: Mapping[str, str | bytes],
    *,
    subject: str = "change the configuration",
    source: SourceName = DEFAULT_SOURCE,
    parents: tuple[CommitId, ...] = (),
    authored_at: datetime = AUTHORED_AT,
    bad: Iterable[BadEntry] = (),
    without_manifest: bool = False,
) -> ConfigTree:
    """The tree of these files; a `gitsync.yaml` (`QUIET`) is added unless there is one (or `without_manifest`).

    Ids are Git's own, computed from the contents: equal files give equal trees.
    """
    everything: dict[str, str | bytes] = {} if without_manifest else {"gitsync.yaml": QUIET}
    everything.update(files)
    contents = {path: data.encode() if isinstance(data, str) else data for path, data in everything.items()}
    blobs = {path: blob_id(data) for path, data in contents.items()}
    listing = "\0".join(f"{path}\t{blob}" for path, blob in sorted(blobs.items()))
    tree = hashlib.sha1(listing.encode()).hexdigest()
    text = f"{tree}\n{subject}\n{authored_at.isoformat()}\n{parents}"
    commit = Commit(
        id=CommitId(hashlib.sha1(text.encode()).hexdigest()),
        tree=tree,
        parents=parents,
        author="Ada <ada@example.com>",
        authored_at=authored_at,
        subject=subject,
    )
    data = {blobs[path]: content for path, content in contents.items()}
    return ConfigTree(source=source, commit=commit, blobs=blobs, data=data, bad=tuple(bad))


def tree_of_directory(directory: Path, **more: str) -> ConfigTree:
    """The tree of a directory's files, as if it were committed."""
    files = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    return tree_of(files, **more)  # type: ignore[arg-type]


def blob_id(data: bytes) -> BlobId:
    """Git's id of a file's content."""
    return BlobId(hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())
