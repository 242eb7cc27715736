"""Which directories are targets, and whom each of them selects.

    agents/            has a target.yaml          its selector
    agents/env=prod/   is named key=value         the parent's selector and the label
    env=dev/           the same at the top        the label alone
    teams/             neither, above targets     only a directory

Everything below a target is a target (or an add-on): a directory that is nothing would be silently ignored.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitsync.bundle.disjoint import Aliases, as_yaml, candidate_pairs, common_labels, separation, show_labels
from gitsync.bundle.files import SCRIPT_SUFFIX, YAML_SUFFIXES, Files, beginning
from gitsync.bundle.manifest import (
    ADDON_FILE,
    MANIFESTS,
    REPOSITORY_FILE,
    TARGET_FILE,
    CollectorBuild,
    Manifests,
    Target,
)
from gitsync.bundle.version import COLLECTOR
from gitsync.collector.document import Origin
from gitsync.collector.findings import Findings
from gitsync.labels import Requirement, Selector, equals
from gitsync.wording import quoted

Json = Mapping[str, Any]
DEFAULT_PRIORITY = -(2**31)
"""Of the default target and all below it: it takes what no other target matches."""
_LABEL_NAME = re.compile(r"([^\s=]+)=(\S+)")
_MISSPELLED = {"target.yml": TARGET_FILE, "addon.yml": ADDON_FILE}


@dataclass(frozen=True, slots=True)
class TargetDirectory:
    """A directory that is a target.

    Attributes:
        manifest: what its target.yaml says; the defaults when it has none.
        has_manifest: whether it has one.
        label: of a `key=value` directory.
        fragments: its own YAML files, by name, without manifests.
        scripts: its own files of OTTL, by name.
        place: where a finding about the whole target is shown.
    """

    path: str
    parent: TargetDirectory | None
    manifest: Target
    has_manifest: bool
    label: Requirement | None
    fragments: tuple[str, ...]
    scripts: tuple[str, ...]
    place: Origin

    @property
    def manifest_path(self) -> str:
        """Path of its target.yaml, there or not."""
        return f"{self.path}/{TARGET_FILE}"

    def own_selector(self) -> Selector:
        """What the target adds to the selector of its parent."""
        own = self.manifest.selector or Selector()
        return own if self.label is None else own.and_(Selector.of([self.label]))


@dataclass(frozen=True, slots=True)
class SelectedTarget:
    """A target with everything that it takes from the targets above it.

    Attributes:
        selector: own and all ancestors'; None for the default target.
        priority: of the root target.
        connection: the nearest one; None when no target says anything, or when nothing is to be offered.
        collector: the nearest one; None when no target says anything.
    """

    directory: TargetDirectory
    parent: SelectedTarget | None
    selector: Selector | None
    trusted_only: bool
    priority: int
    agent_type: str
    connection: Json | None = None
    collector: CollectorBuild | None = None
    heads: dict[str, list[SelectedTarget]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def path(self) -> str:
        """Its directory."""
        return self.directory.path


class Discovery:
    """Finds the targets of a tree, parents first; what is wrong is gathered in `findings`."""

    def __init__(self, paths: Iterable[str], files: Files, manifests: Manifests, findings: Findings) -> None:
        self._names: dict[str, list[str]] = {}
        self._first: dict[str, str] = {}
        for path in sorted(paths, key=lambda one: one.encode()):
            directory, _, name = path.rpartition("/")
            self._names.setdefault(directory, []).append(name)
            while directory and directory not in self._first:
                self._first[directory] = path
                directory = directory.rpartition("/")[0]
        self._files = files
        self._manifests = manifests
        self._findings = findings

    def find(self) -> Iterator[TargetDirectory]:
        """The targets whose manifest can be read; nothing below one that cannot."""
        for name in (TARGET_FILE, ADDON_FILE):
            if name in self._names.get("", ()):
                self._refuse_place(name, "the root of the repository is never a target", "move it into a directory")
        targets: dict[str, TargetDirectory | None] = {}
        skipped: set[str] = set()
        for path in sorted(self._first, key=lambda one: one.encode().split(b"/")):
            above = path.rpartition("/")[0]
            if above in skipped:
                skipped.add(path)
                continue
            parent = targets.get(above)
            found = self._look_at(path, parent)
            if found is None:
                skipped.add(path)
            elif isinstance(found, TargetDirectory):
                targets[path] = found
                yield found

    def _look_at(self, path: str, parent: TargetDirectory | None) -> TargetDirectory | str | None:
        """A target, the path of a plain directory, or None: nothing below it is looked at."""
        names = self._names.get(path, [])
        misspelled = [name for name in names if name in _MISSPELLED]
        for name in misspelled:
            self._refuse_place(f"{path}/{name}", f"the file must be named {_MISSPELLED[name]}", "rename it")
        if misspelled:
            return None
        if ADDON_FILE in names:
            self._addon(path, names)
            return None
        name = path.rpartition("/")[2]
        label = _LABEL_NAME.fullmatch(name)
        if "=" in name and label is None:
            message = f"the directory name {quoted(name)} is no label"
            hint = "write key=value, without spaces, or use a target.yaml"
            self._findings.error(beginning(self._first[path]), "GS0501", message, hint)
            return None
        if TARGET_FILE in names or label is not None:
            return self._target(path, parent, names, label)
        if parent is not None:
            message = f"the directory {quoted(path)} stands in target {quoted(parent.path)}, but is no target itself"
            hint = "name it key=value, give it a target.yaml, or move it out (fragments to include belong in /lib)"
            self._findings.error(beginning(self._first[path]), "GS0502", message, hint)
            return None
        return path

    def _addon(self, path: str, names: list[str]) -> None:
        addon = f"{path}/{ADDON_FILE}"
        if TARGET_FILE in names:
            hint = f"keep {TARGET_FILE} or {ADDON_FILE}"
            self._refuse_place(addon, "a directory is a target or an add-on, not both", hint)
        data = self._files.read(addon)
        if data is not None:
            self._files.diagnostics.extend(self._manifests.read_addon(addon, data))

    def _target(
        self, path: str, parent: TargetDirectory | None, names: list[str], label: re.Match[str] | None
    ) -> TargetDirectory | None:
        if REPOSITORY_FILE in names:
            hint = "there is one, at the root of the repository"
            self._refuse_place(f"{path}/{REPOSITORY_FILE}", "a target cannot have this file", hint)
        place = beginning(self._first[path])
        manifest: Target | None = Target(place)
        has_manifest = TARGET_FILE in names
        if has_manifest:
            place = beginning(f"{path}/{TARGET_FILE}")
            data = self._files.read(place.path)
            manifest, found = (None, ()) if data is None else self._manifests.read_target(place.path, data)
            self._files.diagnostics.extend(found)
        if manifest is None:
            return None
        fragments = tuple(
            f"{path}/{name}"
            for name in names
            if name.endswith(YAML_SUFFIXES) and name not in MANIFESTS and not name.startswith(".")
        )
        requirement = None if label is None else equals(label[1], label[2])
        scripts = tuple(f"{path}/{name}" for name in names if name.endswith(SCRIPT_SUFFIX) and not name.startswith("."))
        return TargetDirectory(path, parent, manifest, has_manifest, requirement, fragments, scripts, place)

    def _refuse_place(self, path: str, message: str, hint: str) -> None:
        self._findings.error(beginning(path), "GS0409", message, hint)


def select(directories: Iterable[TargetDirectory], aliases: Aliases, findings: Findings) -> list[SelectedTarget]:
    """Whom each target selects, parents first; a target with an error, and all below it, is left out."""
    selected: dict[str, SelectedTarget] = {}
    defaults: list[TargetDirectory] = []
    for directory in directories:
        parent = None if directory.parent is None else selected.get(directory.parent.path)
        if directory.parent is not None and parent is None:
            continue
        if directory.manifest.default:
            defaults.append(directory)
        if not _may_stand_there(directory, defaults, findings):
            continue
        target = _select(directory, parent)
        if target.selector is not None and common_labels(aliases, target.selector) is None:
            message = f"no agent can match this target: {target.selector}"
            hint = "the selectors of the targets above it hold here too" if parent is not None else ""
            findings.error(_selector_place(directory), "GS0505", message, hint)
            continue
        selected[directory.path] = target
    return list(selected.values())


def _may_stand_there(directory: TargetDirectory, defaults: list[TargetDirectory], findings: Findings) -> bool:
    manifest, before = directory.manifest, findings.errors
    if manifest.priority is not None and directory.parent is not None:
        hint = "it holds for the whole subtree of a root target"
        findings.error(manifest.place("priority"), "GS0509", "only a root target can have a priority", hint)
    if manifest.default:
        at = manifest.place("default")
        if directory.parent is not None or directory.label is not None:
            findings.error(at, "GS0508", "only a root target that is no label can be the default target")
        elif manifest.selector is not None:
            hint = "remove the selector, or the default"
            findings.error(at, "GS0508", "the default target takes the rest, it has no selector", hint)
        elif manifest.priority is not None:
            hint = "remove the priority: it comes last"
            findings.error(at, "GS0508", "the default target has no priority", hint)
        elif defaults[0] is not directory:
            message = f"there can be one default target, and {quoted(defaults[0].path)} is it"
            findings.error(at, "GS0507", message, f"see {defaults[0].manifest.place('default')}")
    elif manifest.selector is None and directory.label is None:
        hint = "add a selector, or default: true; selector: {} selects every agent"
        findings.error(directory.place, "GS0503", f"the target {quoted(directory.path)} has no selector", hint)
    return findings.errors == before


def _select(directory: TargetDirectory, parent: SelectedTarget | None) -> SelectedTarget:
    manifest = directory.manifest
    own = directory.own_selector()
    if parent is None:
        selector = None if manifest.default else own
        priority = DEFAULT_PRIORITY if manifest.default else manifest.priority or 0
        agent_type = manifest.agent_type or COLLECTOR
        return SelectedTarget(
            directory,
            None,
            selector,
            manifest.trusted_only,
            priority,
            agent_type,
            manifest.connection or None,
            manifest.collector,
        )
    return SelectedTarget(
        directory,
        parent,
        own if parent.selector is None else parent.selector.and_(own),
        manifest.trusted_only or parent.trusted_only,
        parent.priority,
        manifest.agent_type or parent.agent_type,
        parent.connection if manifest.connection is None else manifest.connection or None,
        manifest.collector or parent.collector,
    )


def check_overlaps(targets: Iterable[SelectedTarget], aliases: Aliases, findings: Findings) -> None:
    """Targets that stand beside each other must not select one agent twice (GS0506).

    Compared are targets with the same parent, and root targets of the same priority, where both speak to the same
    type of agent. A target whose parent speaks to another type is compared as if it stood in its parent's place.
    """
    children: dict[str, list[SelectedTarget]] = defaultdict(list)
    for target in targets:
        key = f"/{target.priority}" if target.parent is None else target.parent.path
        children[key].append(target)
    # Deepest first, so that the heads of a subtree are complete when its parent's siblings are compared.
    for target in sorted(targets, key=lambda one: -one.path.count("/")):
        _gather_heads(target, children.get(target.path, []))
    for group in children.values():
        by_type: dict[str, list[tuple[int, SelectedTarget]]] = defaultdict(list)
        for index, sibling in enumerate(group):
            for kind, heads in sibling.heads.items():
                by_type[kind].extend((index, head) for head in heads)
        for rows in by_type.values():
            _compare(rows, aliases, findings)


def _gather_heads(target: SelectedTarget, below: list[SelectedTarget]) -> None:
    """For each type of agent, the topmost targets of this subtree that speak to it."""
    for child in below:
        for kind, heads in child.heads.items():
            target.heads.setdefault(kind, []).extend(heads)
    target.heads[target.agent_type] = [target]


def _compare(rows: list[tuple[int, SelectedTarget]], aliases: Aliases, findings: Findings) -> None:
    selectors = [target.selector or Selector() for _, target in rows]
    for a, b in candidate_pairs(selectors):
        if rows[a][0] == rows[b][0] or rows[a][1].selector is None or rows[b][1].selector is None:
            continue
        labels = common_labels(aliases, selectors[a], selectors[b])
        if labels is not None:
            _report_overlap(rows[a][1], rows[b][1], labels, aliases, findings)


def _report_overlap(
    one: SelectedTarget, other: SelectedTarget, labels: Mapping[str, str], aliases: Aliases, findings: Findings
) -> None:
    # The later one is asked to step aside, unless it selects only agents that the first selects too.
    for keep, change in ((one, other), (other, one)):
        line = separation(aliases, keep.selector or Selector(), change.selector or Selector())
        if line is not None:
            break
    at, there = _selector_place(change.directory), _selector_place(keep.directory)
    message = (
        f"an agent with {show_labels(labels)} matches both {quoted(change.path)} and {quoted(keep.path)} ({there})"
    )
    hint = "both select the same agents: join them, or give one a priority"
    if line is not None:
        hint = f"add to selector.matchExpressions in {change.directory.manifest_path}: {as_yaml(line)}"
    findings.error(at, "GS0506", message, hint)


def _selector_place(directory: TargetDirectory) -> Origin:
    return directory.manifest.place("selector") if directory.has_manifest else directory.place
