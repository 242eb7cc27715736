"""`compile_bundle`: what one commit means, or every reason why it means nothing. All or nothing; it never raises.

1. The entries of the tree, then `gitsync.yaml`.
2. Which directories are targets, whom they select, and that no two of them select one agent.
3. Per target, parents first: the configuration of its parent, minus `remove`, then `include` in order, then its own
   files by name; or its objects. Each result is checked as a whole.
4. If nothing is wrong: payloads and target versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gitsync.bundle.catalog import Catalog
from gitsync.bundle.files import Files, beginning, refused_entry
from gitsync.bundle.judgement import Judgement
from gitsync.bundle.manifest import REPOSITORY_FILE, Manifests, Repository, TreeLimits
from gitsync.bundle.objects import load_object
from gitsync.bundle.removal import withdraw
from gitsync.bundle.targets import Discovery, SelectedTarget, check_overlaps, select
from gitsync.bundle.tree import BadEntry, ConfigTree
from gitsync.bundle.version import (
    COLLECTOR,
    COLLECTOR_CONTENT_TYPE,
    COLLECTOR_OBJECT,
    EMPTY_SLOT,
    Bundle,
    CompileResult,
    ConfigObject,
    MatchRules,
    Need,
    Payload,
    TargetVersion,
    config_hash,
    version_digest,
)
from gitsync.collector.document import Mapping, Origin
from gitsync.collector.emit import emit
from gitsync.collector.findings import Findings
from gitsync.collector.merge import hidden_lists, merge, not_there, provenance, remove
from gitsync.collector.policy import LACKING
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.ids import BlobId, ConfigHash
from gitsync.rollout.plan import Plan
from gitsync.wording import did_you_mean, quoted

MOST_DIAGNOSTICS = 1000
"""Findings of one commit that are kept; errors come before warnings."""


def compile_bundle(tree: ConfigTree, catalog: Catalog) -> CompileResult:
    """The bundle of a commit, or diagnostics; a pure function of its arguments.

    Returns:
        Diagnostics sorted by place, without repeats. `files` are the files that were judged: those that no manifest
        speaks of and no target contains (documents, other programs' files) are not looked at.
    """
    return _Compilation(tree, catalog).run()


@dataclass(slots=True)
class _Built:
    """The configuration of one target.

    Attributes:
        merged: of a Collector; None when something of it could not be read.
        levels: what each level adds, from the first one that counts.
        fragments: paths of everything that was merged or put in.
        whole: findings about the whole, for its children not to repeat.
    """

    merged: Mapping | None = None
    levels: list[Mapping] = field(default_factory=list)
    objects: dict[str, ConfigObject] = field(default_factory=dict)
    object_paths: dict[str, str] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    whole: set[tuple[str, str]] = field(default_factory=set)
    broken: bool = False


class _Compilation:
    """One run over one tree."""

    def __init__(self, tree: ConfigTree, catalog: Catalog) -> None:
        self._tree = tree
        self._manifests = Manifests(catalog)
        self._catalog = catalog
        self._judgement: Judgement | None = None
        self._files = Files(tree, TreeLimits())
        # Findings of one commit are capped at the end, together.
        self._findings = Findings("", limit=MOST_DIAGNOSTICS)
        self._diagnostics: list[Diagnostic] = [refused_entry(entry) for entry in tree.bad]
        self._repository = Repository()
        self._built: dict[str, _Built] = {}
        self._needs: dict[str, tuple[Need, ...]] = {}

    def run(self) -> CompileResult:
        if REPOSITORY_FILE not in self._tree.blobs:
            self._report_no_repository()
            return self._result(None, self._everything())
        repository = self._read_repository()
        targets = self._find_targets(repository)
        self._judgement = None if repository is None else Judgement(self._tree, self._catalog, repository)
        for target in targets:
            self._built[target.path] = self._build(target)
        found = self._everything()
        return self._result(None if has_errors(found) else self._bundle(targets), found)

    # ── What the repository says ────────────────────────────────────────────────────────────────────────────

    def _report_no_repository(self) -> None:
        if any(entry.path == REPOSITORY_FILE for entry in self._tree.bad):
            return
        hint = "add one; an empty file is enough"
        if "gitsync.yml" in self._tree.blobs:
            hint = f"rename gitsync.yml to {REPOSITORY_FILE}"
        message = f"there is no {REPOSITORY_FILE} at the root of the repository"
        self._diagnostics.append(Diagnostic(REPOSITORY_FILE, 0, 0, Severity.ERROR, "GS0401", message, hint))

    def _read_repository(self) -> Repository | None:
        """None when `gitsync.yaml` has an error: what depends on it is then not judged."""
        data = self._files.read(REPOSITORY_FILE)
        if data is None:
            return None
        repository, found = self._manifests.read_repository(REPOSITORY_FILE, data)
        self._diagnostics.extend(found)
        if repository is None:
            return None
        self._repository = repository
        before = self._files
        self._files = Files(self._tree, repository.limits)
        self._files.judged |= before.judged
        count, most = len(self._tree.blobs), repository.limits.files
        if count > most:
            detail = f"the commit has {count} files, limits.files is {most}"
            self._diagnostics.append(refused_entry(BadEntry(REPOSITORY_FILE, "file-count", detail)))
        return repository

    def _find_targets(self, repository: Repository | None) -> list[SelectedTarget]:
        discovery = Discovery(self._tree.blobs, self._files, self._manifests, self._findings)
        aliases = self._repository.aliases
        targets = select(discovery.find(), aliases, self._findings)
        if repository is not None:
            check_overlaps(targets, aliases, self._findings)
            self._check_types(targets, repository)
        return targets

    def _check_types(self, targets: Iterable[SelectedTarget], repository: Repository) -> None:
        known = {COLLECTOR, *(rule.type for rule in repository.types)}
        for target in targets:
            manifest = target.directory.manifest
            if manifest.agent_type is None:
                continue
            at = manifest.place("agentType")
            if manifest.agent_type not in known:
                hint = did_you_mean(manifest.agent_type, sorted(known))
                hint = hint or f"add a rule to agentTypes in {REPOSITORY_FILE}"
                message = f"no rule says which agents are of type {quoted(manifest.agent_type)}"
                self._findings.error(at, "GS0517", message, hint)
            parent = target.parent
            if parent is not None and parent.agent_type != target.agent_type and manifest.inherit:
                message = f"type {target.agent_type} cannot inherit the configuration of type {parent.agent_type}"
                self._findings.error(at, "GS0518", message, "add inherit: false")

    # ── The configuration of each target ────────────────────────────────────────────────────────────────────

    def _build(self, target: SelectedTarget) -> _Built:
        above = None if target.parent is None else self._built[target.parent.path]
        if not target.directory.manifest.inherit or (
            target.parent is not None and target.parent.agent_type != target.agent_type
        ):
            above = None
        if target.agent_type == COLLECTOR:
            return self._build_collector(target, above)
        return self._build_objects(target, above)

    def _build_collector(self, target: SelectedTarget, above: _Built | None) -> _Built:
        directory = target.directory
        built = _Built(broken=above is not None and above.broken)
        if directory.manifest.objects:
            at = directory.manifest.place("objects")
            hint = "write its configuration in YAML files, or set agentType"
            self._findings.error(at, "GS0513", "objects are for agents that are no Collector", hint)
        included = self._load([self._files.include(target.path, one) for one in directory.manifest.include], built)
        own = self._load(directory.fragments, built)
        if above is not None:
            built.levels = [self._without_removed(target, level) for level in above.levels]
            built.fragments = [*above.fragments, *built.fragments]
        if built.broken:
            return built
        inherited = above.merged if above is not None else None
        base, extra = self._remove(target, inherited, included)
        level = _merge_all([extra, own])
        merged = _merge_all([base, level])
        if merged is None or not merged.entries:
            hint = "add a YAML file, or include one"
            message = f"the target {quoted(target.path)} has no configuration"
            self._findings.error(self._place(target), "GS0519", message, hint)
            built.broken = True
            return built
        built.merged = merged
        if level is not None:
            built.levels.append(level)
        self._check_merged(target, built, above)
        return built

    def _load(self, paths: Sequence[str | None], built: _Built) -> Mapping | None:
        """The files on top of each other; what cannot be read makes the target broken."""
        nodes = []
        for path in paths:
            node = None if path is None else self._files.fragment(path)
            if path is None or node is None:
                built.broken = True
                continue
            built.fragments.append(path)
            nodes.append(node)
        return _merge_all(nodes)

    def _remove(
        self, target: SelectedTarget, inherited: Mapping | None, included: Mapping | None
    ) -> tuple[Mapping | None, Mapping | None]:
        """Both without what `remove` names: taken from what is inherited, else from what is included here."""
        for wanted in target.directory.manifest.remove:
            less = None if inherited is None else remove(inherited, wanted.text)
            if less is not None:
                inherited = less
                continue
            less = None if included is None else remove(included, wanted.text)
            if less is not None:
                included = less
                continue
            everything = _merge_all([inherited, included]) or Mapping((), wanted.at)
            self._diagnostics.append(not_there(everything, wanted.text, wanted.at))
        return inherited, included

    def _without_removed(self, target: SelectedTarget, level: Mapping) -> Mapping:
        for wanted in target.directory.manifest.remove:
            level = withdraw(level, wanted.text)
        return level

    def _check_merged(self, target: SelectedTarget, built: _Built, above: _Built | None) -> None:
        assert built.merged is not None, "only a complete configuration is checked"
        known = set() if above is None else above.whole
        for one in self._judged(target, built.merged):
            # A fault of the whole has no line; the parent's is not said again for each of its children.
            if one.line == 0:
                built.whole.add((one.code, one.message))
                if (one.code, one.message) in known:
                    continue
            self._diagnostics.append(one)
        self._diagnostics.extend(hidden_lists(built.levels))

    def _judged(self, target: SelectedTarget, merged: Mapping) -> Iterable[Diagnostic]:
        """What is found in a whole configuration, and in the OTTL beside it."""
        if self._judgement is None:
            return  # which Collector it is for could not be read
        yield from self._judgement.judge(merged, target.collector, self._place(target).path)
        self._needs[target.path] = self._judgement.needs(merged)
        for path in target.directory.scripts:
            if self._files.read(path) is not None:
                yield from self._judgement.judge_script(path, target.collector)

    def _build_objects(self, target: SelectedTarget, above: _Built | None) -> _Built:
        manifest = target.directory.manifest
        built = _Built(broken=above is not None and above.broken)
        if above is not None:
            built.objects = dict(above.objects)
            built.object_paths = dict(above.object_paths)
        for key, given in (("include", manifest.include), ("remove", manifest.remove)):
            if given:
                message = f"{quoted(key)} is for Collector configuration, this target is for type {target.agent_type}"
                self._findings.error(manifest.place(key), "GS0514", message, "use objects")
        named = set()
        for entry in manifest.objects:
            path, one = load_object(target.path, entry, self._files)
            named.add(path)
            if path is None or one is None:
                built.broken = True
                continue
            built.objects[one.name] = one
            built.object_paths[one.name] = path
        for path in target.directory.fragments:
            if path not in named:
                message = f"Collector configuration in a target for type {target.agent_type}"
                self._findings.error(beginning(path), "GS0514", message, "name the file in objects, or move it out")
        if not built.objects and not built.broken:
            message = f"the target {quoted(target.path)} has no configuration"
            self._findings.error(self._place(target), "GS0519", message, "add objects to its target.yaml")
        built.fragments = list(built.object_paths.values())
        return built

    def _place(self, target: SelectedTarget) -> Origin:
        """Where a fault of a target's whole configuration is shown: its own last file."""
        directory = target.directory
        return beginning(directory.fragments[-1]) if directory.fragments else directory.place

    # ── The result ──────────────────────────────────────────────────────────────────────────────────────────

    def _bundle(self, targets: Iterable[SelectedTarget]) -> Bundle:
        payloads: dict[ConfigHash, Payload] = {}
        versions: dict[str, TargetVersion] = {}
        for target in targets:
            payload = _payload(self._built[target.path])
            payloads.setdefault(payload.digest, payload)
            versions[target.path] = self._version(target, payload.digest)
        return Bundle(self._tree.source, self._tree.commit, versions, payloads)

    def _version(self, target: SelectedTarget, digest: ConfigHash) -> TargetVersion:
        rules = self._rules(target)
        slots = {EMPTY_SLOT: digest}
        return TargetVersion(
            source=self._tree.source,
            path=target.path,
            digest=version_digest(
                source=self._tree.source,
                path=target.path,
                selector=target.selector,
                trusted_only=target.trusted_only,
                priority=target.priority,
                agent_type=target.agent_type,
                rules=rules,
                variants=(),
                slots=slots,
            ),
            origin=self._tree.commit,
            selector=target.selector,
            trusted_only=target.trusted_only,
            priority=target.priority,
            agent_type=target.agent_type,
            rules=rules,
            slots=slots,
            inputs=self._inputs(target, rules),
            plan=Plan(),
            connection=target.connection,
        )

    def _rules(self, target: SelectedTarget) -> MatchRules:
        """Aliases of the names that matching this target looks at, and all rules for types."""
        types = self._repository.types
        keys = set() if target.selector is None else set(target.selector.keys())
        for rule in types:
            keys |= rule.selector.keys()
        aliases = self._repository.aliases
        return MatchRules({name: aliases[name] for name in sorted(keys & aliases.keys())}, types)

    def _inputs(self, target: SelectedTarget, rules: MatchRules) -> dict[str, BlobId]:
        paths = set(self._built[target.path].fragments)
        if rules.aliases or rules.types:
            paths.add(REPOSITORY_FILE)
        level: SelectedTarget | None = target
        while level is not None:
            if level.directory.has_manifest:
                paths.add(level.directory.manifest_path)
            level = level.parent
        return {path: self._files.blob(path) for path in sorted(paths, key=lambda one: one.encode())}

    def _everything(self) -> list[Diagnostic]:
        judged = () if self._judgement is None else self._judgement.findings.done()
        found = [*self._diagnostics, *self._files.diagnostics, *self._findings.done(), *judged]
        return list(self._repository.policy.judge(found))

    def _result(self, bundle: Bundle | None, found: Iterable[Diagnostic]) -> CompileResult:
        judged = self._files.judged | {entry.path for entry in self._tree.bad if entry.path}
        files = tuple(sorted(judged, key=lambda one: one.encode()))
        lacking = self._repository.policy.severity.get(LACKING, Severity.WARNING)
        unchecked = () if self._judgement is None else self._judgement.unchecked()
        needs = self._needs if bundle else {}
        return CompileResult(bundle, _tidy(found), files, needs, lacking, unchecked)


def _merge_all(nodes: Iterable[Mapping | None]) -> Mapping | None:
    """The trees on top of each other, in order; None when there is none."""
    result: Mapping | None = None
    for node in nodes:
        if node is not None:
            result = node if result is None else merge(result, node)
    return result


def _payload(built: _Built) -> Payload:
    if built.merged is None:
        objects = tuple(sorted(built.objects.values(), key=lambda one: one.name.encode()))
        return Payload(config_hash(objects), objects, {})
    whole = ConfigObject(COLLECTOR_OBJECT, COLLECTOR_CONTENT_TYPE, "", emit(built.merged))
    return Payload(config_hash((whole,)), (whole,), provenance(built.merged))


def _tidy(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    found = sorted(set(diagnostics))
    if len(found) <= MOST_DIAGNOSTICS:
        return tuple(found)
    found.sort(key=lambda one: one.severity is not Severity.ERROR)
    more = len(found) - MOST_DIAGNOSTICS
    severity = Severity.ERROR if has_errors(found) else Severity.WARNING
    last = Diagnostic("", 0, 0, severity, "GS0100", f"{more} more findings are not shown", "fix the ones above first")
    return (*sorted(found[:MOST_DIAGNOSTICS]), last)
