"""What git lists and prints of a tree, as values: which files there are, which of them are refused, and
their bytes.

No process and no file is touched here. A path is a name in a tree object, never a path of the file system.
"""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitsync.bundle.tree import BadEntry
from gitsync.errors import Unavailable
from gitsync.ids import BlobId, CommitId
from gitsync.repo.source import Limits

_SYMLINK, _SUBMODULE = b"120000", b"160000"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one commit.

    Attributes:
        blobs: path to blob id, of every regular file with a usable name.
        load: blob id to size in bytes, of the contents to read: within the limits of one file and of all.
        bad: sorted by path; each is an error of the commit.
    """

    blobs: Mapping[str, BlobId]
    load: Mapping[BlobId, int]
    bad: tuple[BadEntry, ...]


def parse_listing(output: bytes, limits: Limits, *, truncated: bool = False) -> Listing:
    """Reads what `ls-tree -r -z -l` printed.

    Args:
        output: records `<mode> SP <type> SP <id> SP+ <size> TAB <path> NUL`.
        limits: of files, bytes a file, and bytes in all.
        truncated: the output was cut because it was too long: there are more files than allowed.
    """
    blobs: dict[str, BlobId] = {}
    load: dict[BlobId, int] = {}
    bad: list[BadEntry] = []
    records = output.split(b"\0")[:-1]
    total = 0
    for count, record in enumerate(records):
        meta, _, raw = record.partition(b"\t")
        mode, _, oid, size_text = meta.split()
        path = raw.decode(errors="backslashreplace")
        if count >= limits.files:
            bad.append(BadEntry(path, "file-count", f"more than {limits.files} files"))
            break
        problem = _refused(path, raw, mode)
        if problem:
            bad.append(problem)
            continue
        blob, size = BlobId(oid.decode()), int(size_text)
        blobs[path] = blob
        if size > limits.file_bytes:
            bad.append(BadEntry(path, "file-size", f"{size} bytes, more than {limits.file_bytes}"))
        elif blob not in load:
            total += size
            if total > limits.tree_bytes:
                bad.append(BadEntry(path, "file-size", f"all files together have more than {limits.tree_bytes} bytes"))
                break
            load[blob] = size
    if truncated and not any(entry.kind == "file-count" for entry in bad):
        last = next(reversed(blobs), "")
        bad.append(BadEntry(last, "file-count", "the list of files is too long"))
    bad.extend(_clashes(blobs))
    return Listing(blobs, load, tuple(sorted(bad, key=lambda entry: (entry.path.encode(), entry.kind))))


def parse_batch(output: bytes, wanted: Mapping[BlobId, int]) -> dict[BlobId, bytes]:
    """Reads what `cat-file --batch` printed for `wanted`.

    Raises:
        Unavailable: `git.mirror_broken`: a blob is missing or has another size than its tree said.
    """
    contents: dict[BlobId, bytes] = {}
    view, at = memoryview(output), 0
    for blob, size in wanted.items():
        end = output.find(b"\n", at)
        header = output[at:end] if end >= 0 else output[at : at + 100]
        if header != f"{blob} blob {size}".encode():
            shown = header[:100].decode(errors="replace")
            raise Unavailable(f"the mirror lacks the file content {blob}: {shown!r}", code="git.mirror_broken")
        start = end + 1
        contents[blob] = bytes(view[start : start + size])
        at = start + size + 1
    if at != len(output):
        raise Unavailable("git printed less or more than the wanted file contents", code="git.mirror_broken")
    return contents


def parse_commit_object(output: bytes, commit: CommitId) -> bytes | None:
    """The commit object that `cat-file --batch` printed; None when there is none, or it is no whole
    commit.
    """
    header, _, rest = output.partition(b"\n")
    words = header.split(b" ")
    if len(words) != 3 or words[0] != commit.encode() or words[1] != b"commit":
        return None
    size = int(words[2])
    return rest[:size] if len(rest) == size + 1 else None


class BlobCache:
    """File contents by id, the least recently used ones dropped: commits share most of their files."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._blobs: OrderedDict[BlobId, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blobs)

    def take(self, blobs: Iterable[BlobId]) -> dict[BlobId, bytes]:
        """Those of `blobs` that are here."""
        found = {}
        for blob in blobs:
            content = self._blobs.get(blob)
            if content is not None:
                self._blobs.move_to_end(blob)
                found[blob] = content
        return found

    def put(self, contents: Mapping[BlobId, bytes]) -> None:
        """Keeps `contents` as far as there is room for them."""
        for blob, content in contents.items():
            if blob not in self._blobs:
                self._blobs[blob] = content
                self._used_bytes += len(content)
        while self._used_bytes > self._limit_bytes:
            _, dropped = self._blobs.popitem(last=False)
            self._used_bytes -= len(dropped)


def _refused(path: str, raw: bytes, mode: bytes) -> BadEntry | None:
    shown = "".join(char if char >= " " and char != "\x7f" else ascii(char)[1:-1] for char in path)
    if not _is_utf8(raw):
        return BadEntry(shown, "encoding", "the name is not UTF-8")
    if shown != path:
        return BadEntry(shown, "name", "the name has a control character")
    if mode == _SYMLINK:
        return BadEntry(path, "symlink")
    if mode == _SUBMODULE:
        return BadEntry(path, "submodule")
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _clashes(paths: Iterable[str]) -> list[BadEntry]:
    """Files and directories that one file system could not hold beside each other."""
    seen: dict[str, str] = {}
    clashes: dict[str, BadEntry] = {}
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            name = "/".join(parts[:end])
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
            other = seen.setdefault(folded, name)
            if other != name:
                clashes[name] = BadEntry(name, "case-clash", f"differs from {other} only by case")
                break
    return list(clashes.values())
