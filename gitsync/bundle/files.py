"""`Files`: the files of a config tree, read and judged once each. A path is a name in the tree, never of a disk."""

from __future__ import annotations

from gitsync.bundle.manifest import MANIFESTS, Text, TreeLimits
from gitsync.bundle.tree import BadEntry, ConfigTree
from gitsync.collector.builder import Limits
from gitsync.collector.check import check_fragment
from gitsync.collector.document import Mapping, Origin, parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.paths import expand_paths
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.ids import BlobId
from gitsync.wording import did_you_mean, quoted

YAML_SUFFIXES = (".yaml", ".yml")
SCRIPT_SUFFIX = ".ottl"

_BAD_ENTRIES = {
    "symlink": ("GS0601", "a symbolic link", "commit the file itself, or include it"),
    "submodule": ("GS0602", "a submodule", "commit the files themselves"),
    "case-clash": ("GS0603", "a name that differs from another one only by case", "rename one of them"),
    "encoding": ("GS0604", "a name that is not UTF-8", "rename it"),
    "file-size": ("GS0605", "too large", "split it, or keep it out of this repository"),
    "file-count": ("GS0606", "beyond the number of files that a commit may have", "keep other files elsewhere"),
    "name": ("GS0607", "a name with characters that are not allowed", "rename it"),
}
"""By kind of a `BadEntry`: code, what the entry is, how to fix it."""


def refused_entry(entry: BadEntry) -> Diagnostic:
    """The error for a tree entry that is not served."""
    code, what, hint = _BAD_ENTRIES[entry.kind]
    detail = f": {entry.detail}" if entry.detail else ""
    message = f"{quoted(entry.path)} is {what}{detail}" if entry.path else f"an entry is {what}{detail}"
    if entry.kind in ("case-clash", "encoding", "name"):
        message = message.replace(" is a name", " has a name", 1)
    return Diagnostic(entry.path, 0, 0, Severity.ERROR, code, message, hint)


class Files:
    """Reads the files of one commit; what is wrong with them is gathered in `diagnostics`.

    Attributes:
        judged: paths of every file that was looked at.
        diagnostics: what was found in them.
    """

    def __init__(self, tree: ConfigTree, limits: TreeLimits) -> None:
        self._tree = tree
        self._limits = limits
        self._refused = {entry.path for entry in tree.bad}
        self._fragments: dict[str, Mapping | None] = {}
        self.judged: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def blob(self, path: str) -> BlobId:
        """Id of a file that exists."""
        return self._tree.blobs[path]

    def read(self, path: str) -> bytes | None:
        """Content of a file; None when it is not served, which is then said."""
        self.judged.add(path)
        data = self._tree.read(path)
        if data is not None and len(data) > self._limits.file_bytes:
            detail = f"{len(data)} bytes, more than the {self._limits.file_bytes} of limits.file_bytes"
            self.diagnostics.append(refused_entry(BadEntry(path, "file-size", detail)))
            return None
        if data is None and path not in self._refused:
            self.diagnostics.append(refused_entry(BadEntry(path, "file-size", "it was not read")))
        return data

    def fragment(self, path: str) -> Mapping | None:
        """The tree of a piece of Collector configuration, `::` keys expanded; None when it cannot be used."""
        if path not in self._fragments:
            self._fragments[path] = self._load_fragment(path)
        return self._fragments[path]

    def _load_fragment(self, path: str) -> Mapping | None:
        data = self.read(path)
        if data is None:
            return None
        node, found = parse_mapping(path, data, Limits(file_bytes=self._limits.file_bytes))
        self.diagnostics.extend(found)
        if node is None:
            return None
        node, found = expand_paths(node)
        self.diagnostics.extend(found)
        if has_errors(found):
            return None
        self.diagnostics.extend(check_fragment(node, path))
        return node

    def include(self, directory: str, wanted: Text) -> str | None:
        """The path that an entry of `include` means; None when it means none, which is then said."""
        path = self.locate(directory, wanted)
        if path is None:
            return None
        name = path.rpartition("/")[2]
        findings = Findings(wanted.at.path)
        if name in MANIFESTS:
            findings.error(wanted.at, "GS0512", f"{quoted(wanted.text)} is a manifest, not configuration")
        elif not name.endswith(YAML_SUFFIXES):
            hint = "only *.yaml and *.yml; JSON is YAML too, so a *.json file can be renamed"
            findings.error(wanted.at, "GS0512", f"{quoted(wanted.text)} is no YAML file", hint)
        self.diagnostics.extend(findings.done())
        return None if findings.errors else path

    def locate(self, directory: str, wanted: Text) -> str | None:
        """The file that a path in a manifest means: `/…` from the root of the tree, otherwise from `directory`."""
        findings = Findings(wanted.at.path)
        path = _resolve(directory, wanted.text)
        if path is None:
            hint = "paths begin with / at the root of the repository"
            findings.error(wanted.at, "GS0511", f"{quoted(wanted.text)} leads out of the repository", hint)
        elif path in self._refused:
            return None
        elif path not in self._tree.blobs:
            findings.error(wanted.at, "GS0510", *self._missing(wanted.text, path))
        self.diagnostics.extend(findings.done())
        return None if findings.errors else path

    def _missing(self, text: str, path: str) -> tuple[str, str]:
        if any(one.startswith(f"{path}/") for one in self._tree.blobs) or not path:
            return f"{quoted(text)} is a directory", "name the files"
        name = path.rpartition("/")[2]
        same_name = [one for one in self._tree.blobs if one.rpartition("/")[2] == name]
        hint = did_you_mean(path, same_name or sorted(self._tree.blobs))
        return f"there is no file {quoted(text)}", hint.replace('mean "', 'mean "/', 1)


def _resolve(directory: str, text: str) -> str | None:
    """The path in the tree; None when it leads out of it."""
    parts = [] if text.startswith("/") else directory.split("/")
    for part in text.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def beginning(path: str) -> Origin:
    """The place of a finding about a whole file that exists."""
    return Origin(path, 1, 1)
