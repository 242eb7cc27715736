"""`Judgement`: the configurations of one commit, judged for the Collectors that their targets name."""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.bundle.catalog import Catalog
from gitsync.bundle.manifest import CollectorBuild, Repository, Text
from gitsync.bundle.tree import ConfigTree
from gitsync.bundle.version import Need
from gitsync.collector.build import DISTRIBUTIONS, Build, CollectorVersion
from gitsync.collector.components import normal_id
from gitsync.collector.document import Mapping
from gitsync.collector.findings import Findings
from gitsync.collector.judge import Judge
from gitsync.collector.pipelines import KINDS
from gitsync.collector.script import check_script
from gitsync.collector.sources import Sources
from gitsync.diagnostics import Diagnostic
from gitsync.wording import did_you_mean, quoted


class Judgement:
    """Judges each configuration once per build; what targets share is judged once.

    Attributes:
        findings: about the builds that manifests name (GS0410, GS0411).
    """

    def __init__(self, tree: ConfigTree, catalog: Catalog, repository: Repository) -> None:
        self._catalog = catalog
        self._repository = repository
        self._sources = Sources(tree.blobs, tree.read)
        self._known: dict[CollectorBuild, tuple[Build, Judge] | None] = {}
        self._judges: dict[tuple[str, tuple[CollectorVersion, ...]], tuple[Build, Judge]] = {}
        self.findings = Findings("")
        self._for(None)  # what the repository says is judged, even when no target asks

    def judge(self, merged: Mapping, collector: CollectorBuild | None, path: str) -> Iterable[Diagnostic]:
        """Every finding about a target's configuration; none when its build is not known, which is then said.

        Args:
            merged: the whole configuration.
            collector: what the target's manifests say of the Collector; None: the repository's.
            path: named by findings about the whole.
        """
        known = self._for(collector)
        return () if known is None else known[1].judge(merged, path=path)

    def judge_script(self, path: str, collector: CollectorBuild | None) -> Iterable[Diagnostic]:
        """Every finding about a file of OTTL beside a target's configuration."""
        known = self._for(collector)
        return () if known is None else check_script(path, self._sources[path], known[0], self._repository.policy)

    def needs(self, merged: Mapping) -> tuple[Need, ...]:
        """The components of a configuration, with every name that a build may tell for them."""
        found: list[Need] = []
        for section, kind in KINDS.items():
            entries = merged.get(section)
            for entry in entries.entries if isinstance(entries, Mapping) else ():
                written = normal_id(entry.key)
                types = self._told_as(kind, written.partition("/")[0])
                found.append(Need(section, written, types, entry.key_origin))
        return tuple(found)

    def unchecked(self) -> tuple[str, ...]:
        """Components, as `kind/type`, whose settings could not be checked; sorted."""
        return tuple(sorted({name for _, judge in self._judges.values() for name in judge.unchecked()}))

    def _told_as(self, kind: str, written: str) -> frozenset[str]:
        """Names of a type that takes this one: a release that renamed it tells the new name, and takes the old one.

        A build that tells only the old name does not take the new one.
        """
        names = {written}
        for release in self._catalog.collectors.values():
            info = release.find(kind, written)
            if info is not None and info.type != written:
                names |= {info.type, *info.aliases}
        return frozenset(names)

    def _for(self, collector: CollectorBuild | None) -> tuple[Build, Judge] | None:
        wanted = collector or self._repository.collector or CollectorBuild()
        if wanted not in self._known:
            self._known[wanted] = self._find(wanted)
        return self._known[wanted]

    def _find(self, wanted: CollectorBuild) -> tuple[Build, Judge] | None:
        if wanted.distribution is not None and wanted.distribution.text not in DISTRIBUTIONS:
            hint = did_you_mean(wanted.distribution.text, DISTRIBUTIONS) or f"known: {', '.join(DISTRIBUTIONS)}"
            message = f"there is no distribution {quoted(wanted.distribution.text)}"
            self.findings.error(wanted.distribution.at, "GS0410", message, hint)
            return None
        versions = [self._version(one) for one in wanted.versions]
        name = None if wanted.distribution is None else wanted.distribution.text
        build = self._catalog.build(name, versions)
        # Others may say the same in other words, or in another place.
        key = (build.distribution, build.versions)
        if key not in self._judges:
            self._judges[key] = (build, Judge(build, self._repository.policy, self._sources))
        return self._judges[key]

    def _version(self, wanted: Text) -> str:
        """The known version that stands for one that was written."""
        text = wanted.text.removeprefix("v")
        if text in self._catalog.collectors:
            return text
        nearest = self._catalog.nearest(text)
        message = f"nothing is known of Collector {quoted(wanted.text)}: {nearest} is checked instead"
        known = ", ".join(sorted(self._catalog.collectors))
        self.findings.warning(wanted.at, "GS0411", message, f"known versions: {known}")
        return nearest
