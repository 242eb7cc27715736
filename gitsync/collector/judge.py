"""The whole judgement about a configuration: every layer, for every version of the Collector that it must run on.

1. Shape and references (`check`), `${…}` (`expansion`): the same for all versions.
2. Per version: each component's settings by the schema (`walk`), by the rules of its type and of the types inside
   (`rules`), and its OTTL (`embedded`, `ottl`); `service::telemetry`; the graph of pipelines.
3. What is legal but wrong (`hazards`), and what the repository does not allow (`policy`).

A finding of all versions is said once; a finding of some names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitsync.collector import node as tree
from gitsync.collector.build import Build, CollectorVersion
from gitsync.collector.check import check_wiring
from gitsync.collector.component import ComponentCheck
from gitsync.collector.document import DEFAULT_LIMITS, Limits, parse_mapping
from gitsync.collector.expansion import check_expansions
from gitsync.collector.findings import Findings, joined
from gitsync.collector.graph import check_graph
from gitsync.collector.hazards import check_hazards
from gitsync.collector.merge import merge
from gitsync.collector.paths import expand_paths
from gitsync.collector.pipelines import KINDS, Wiring, read_wiring
from gitsync.collector.policy import AS_THE_COLLECTOR, Policy, check_providers, check_sections
from gitsync.collector.sources import Sources
from gitsync.collector.usage import Usage, read_usage
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.wording import quoted

MOST = 1000
"""Errors about components after which no more are looked at, and warnings about them that are kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a configuration is worth.

    Attributes:
        valid: there is no error.
        diagnostics: sorted by place, without repeats.
        unchecked: components, as `kind/type`, whose settings nobody here knows; sorted.
    """

    valid: bool
    diagnostics: tuple[Diagnostic, ...]
    unchecked: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Diagnostic], unchecked: tuple[str, ...] = ()) -> Verdict:
        """The verdict that follows from findings."""
        ordered = tuple(sorted(set(found)))
        return cls(not has_errors(ordered), ordered, unchecked)


def judge_files(
    files: Sequence[tuple[str, bytes]],
    build: Build,
    policy: Policy = AS_THE_COLLECTOR,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Judges plain Collector files, YAML or JSON, merged in order as several `--config` are; never raises.

    Args:
        files: path and content of each; the path is what findings name.
        build: what it must run on.
        policy: severities, and what is allowed.
        limits: of each file.
    """
    found: list[Diagnostic] = []
    merged: tree.Mapping | None = None
    for path, data in files:
        node, more = parse_mapping(path, data, limits, as_the_collector=True)
        found.extend(more)
        if node is None:
            continue
        node, more = expand_paths(node, as_the_collector=True)
        found.extend(more)
        merged = node if merged is None else merge(merged, node)
    if has_errors(found) or merged is None:
        return Verdict.of(policy.judge(found))
    judge = Judge(build, policy, Sources.of(dict(files)))
    found = [*policy.judge(found), *judge.judge(merged, path=files[-1][0])]
    return Verdict.of(found, judge.unchecked())


class Judge:
    """Judges configurations that run on one build; what they share is judged once."""

    def __init__(self, build: Build, policy: Policy, sources: Mapping[str, str]) -> None:
        self._build = build
        self._policy = policy
        self._sources = sources
        self._checks = {one.version: ComponentCheck(one, build, policy, sources) for one in build.versions}

    def unchecked(self) -> tuple[str, ...]:
        """Components, as `kind/type`, whose settings could not be checked so far; sorted."""
        return tuple(sorted({name for one in self._checks.values() for name in one.unchecked}))

    def judge(self, root: tree.Mapping, *, path: str) -> tuple[Diagnostic, ...]:
        """Every finding about a complete configuration, with the severities of the policy.

        Args:
            root: merged, `::` keys expanded.
            path: named by findings about the whole.
        """
        findings = Findings(path)
        check_expansions(root, findings, self._build.schemes, self._sources)
        wiring = read_wiring(root, findings)
        check_wiring(wiring, findings)
        usage = read_usage(wiring)
        check_hazards(root, wiring, usage, findings)
        check_providers(self._policy, root, findings)
        check_sections(self._policy, wiring, root, findings)
        found = [*self._policy.judge(findings.done()), *self._about_components(wiring, usage)]
        service = root.get("service")
        telemetry = service.get("telemetry") if isinstance(service, tree.Mapping) else None
        if isinstance(telemetry, tree.Mapping):
            about = {version: check.check_telemetry(telemetry) for version, check in self._checks.items()}
            found.extend(self._policy.judge(joined(about)))
        about = {one.version: self._about_graph(wiring, one, path) for one in self._build.versions}
        found.extend(self._policy.judge(joined(about)))
        return tuple(sorted(set(found)))

    def _about_components(self, wiring: Wiring, usage: Usage) -> Iterator[Diagnostic]:
        """Findings about components one by one, until there are so many errors that the rest does not matter."""
        errors = warnings = 0
        for section, kind in KINDS.items():
            for component in (wiring.sections[section] or {}).values():
                if errors >= MOST:
                    message = f"{section} from {quoted(component.id)} on are not judged: there are too many errors"
                    hint = "fix the ones above first"
                    yield Diagnostic(component.origin.path, 0, 0, Severity.ERROR, "GS0100", message, hint)
                    return
                signals = usage.of(section, component.id)
                used = usage.uses(section, component.id)
                about = {
                    version: check.check(kind, component, used=used, signals=signals)
                    for version, check in self._checks.items()
                }
                for one in self._policy.judge(joined(about)) if any(about.values()) else ():
                    is_error = one.severity is Severity.ERROR
                    errors += is_error
                    warnings += not is_error
                    if is_error or warnings <= MOST:
                        yield one

    def _about_graph(self, wiring: Wiring, version: CollectorVersion, path: str) -> tuple[Diagnostic, ...]:
        findings = Findings(path)
        check_graph(wiring, lambda section, name: self._signals(version, section, name), findings)
        return findings.done()

    def _signals(self, version: CollectorVersion, section: str, name: str) -> Mapping[str, str] | None:
        info = version.find(KINDS[section], name)
        return None if info is None else info.signals
