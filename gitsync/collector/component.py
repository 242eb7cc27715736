"""`ComponentCheck`: one component's settings, by its schema, by the rules of its code, and by the OTTL inside.

The same settings of the same component, used for the same signals, are judged once: in a tree of targets, most of a
configuration is inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.collector import node as tree
from gitsync.collector.build import Build, CollectorVersion, ComponentInfo
from gitsync.collector.embedded import Site, sites
from gitsync.collector.findings import LIMIT, Findings
from gitsync.collector.node import Node, Origin, is_null
from gitsync.collector.pipelines import KINDS, Component
from gitsync.collector.policy import Policy, check_component, check_endpoints, check_telemetry
from gitsync.collector.rules.packs import CONSTRUCT, TYPES, VALIDATE
from gitsync.collector.rules.telemetry import without_removed
from gitsync.collector.settings import Settings
from gitsync.collector.texts import check_site
from gitsync.collector.walk import walk
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from gitsync.collector.schema import Schema

_GONE = {
    ("exporter", "logging"): 'use "debug"; the logging exporter was removed',
    ("exporter", "jaeger"): 'Jaeger takes OTLP: use "otlp_grpc"',
    ("processor", "queued_retry"): "exporters have sending_queue and retry_on_failure",
    ("extension", "memory_ballast"): "use the memory_limiter processor and the variable GOMEMLIMIT",
    ("receiver", "opencensus"): 'use "otlp"',
}
"""Types that people still write, by kind: what took their place."""
_LISTENING = frozenset({"prometheus"})
"""Exporters that are asked for their data: their endpoint is their own."""
_NAMES_PARTS = ("GS0272", "GS0286")
_UNDECODED = ("GS0233", "GS0234", "GS0235", "GS0237", "GS0240")
_UNKNOWN_KEYS = ("GS0231", "GS0232")
"""What a schema of an older release says about a key may not be true any more."""
_OWN_BUILD = "for a build of your own: --distribution custom, or collector: {distribution: custom} in gitsync.yaml"
_TELEMETRY = "service/telemetry"


class ComponentCheck:
    """Checks components for one version of the Collector.

    Attributes:
        unchecked: components, as `kind/type`, whose settings were written and could not be checked: nothing but their
            names and signals is known.
    """

    def __init__(self, version: CollectorVersion, build: Build, policy: Policy, sources: Mapping[str, str]) -> None:
        self._version = version
        self.unchecked: set[str] = set()
        self._build = build
        self._policy = policy
        self._sources = sources
        self._done: dict[tuple[str, str, int, Origin, bool, frozenset[str]], tuple[Node, tuple[Diagnostic, ...]]] = {}
        self._sites: dict[Site, tuple[Diagnostic, ...]] = {}
        self._telemetry: dict[int, tuple[Node, tuple[Diagnostic, ...]]] = {}

    def check(self, kind: str, component: Component, *, used: bool, signals: frozenset[str]) -> tuple[Diagnostic, ...]:
        """Every finding about one configured component.

        Args:
            kind: `receiver`, `processor`, `exporter`, `connector` or `extension`.
            component: with its settings.
            used: whether a pipeline (or the service) names it: only then does the Collector build it.
            signals: of the pipelines that name it.
        """
        key = (kind, component.id, id(component.node), component.origin, used, signals)
        known = self._done.get(key)
        if known is None:
            findings = Findings(component.origin.path)
            self._check(kind, component, used=used, signals=signals, findings=findings)
            # The node is kept, so that no other one can get its identity.
            known = self._done[key] = (component.node, _without_echoes(findings.done()))
        return known[1]

    def check_telemetry(self, node: tree.Mapping) -> tuple[Diagnostic, ...]:
        """Every finding about `service::telemetry`."""
        known = self._telemetry.get(id(node))
        if known is None:
            known = self._telemetry[id(node)] = (node, self._check_telemetry(node))
        return known[1]

    def _check_telemetry(self, node: tree.Mapping) -> tuple[Diagnostic, ...]:
        findings = Findings(node.origin.path)
        schema = self._version.telemetry
        settings = self._settings(_TELEMETRY, "telemetry", node.origin, without_removed(node, findings), schema)
        self._walk(settings, schema, findings)
        for rule in VALIDATE.get(_TELEMETRY, ()):
            rule(settings, findings)
        check_telemetry(self._policy, node, findings)
        return findings.done()

    def _check(
        self, kind: str, component: Component, *, used: bool, signals: frozenset[str], findings: Findings
    ) -> None:
        written = component.id.partition("/")[0]
        info = self._version.find(kind, written)
        if info is None and self._build.distribution != "custom":
            self._report_unknown(kind, written, component, findings)
            return
        names = [written] if info is None else [info.type, *info.aliases]
        if self._policy.restricts_components:
            shown = f"{kind} {quoted(component.id)}"
            check_component(self._policy, self._every_name(kind, written), shown, component.origin, findings)
        here = component.node if isinstance(component.node, tree.Mapping) else tree.Mapping((), component.origin)
        if kind == "exporter" and names[0] not in _LISTENING:
            check_endpoints(self._policy, component.node, findings)
        if info is None:
            return
        name = f"{kind}/{info.type}"
        self._check_name(kind, written, info, component, findings, used=used)
        if not is_null(component.node) and not isinstance(component.node, tree.Mapping):
            return
        schema = self._version.schema(kind, info.type)
        settings = self._settings(name, component.id, component.origin, here, schema, signals)
        if schema is not None:
            self._walk(settings, schema, findings, stale=info.stale)
        elif here.entries:
            self.unchecked.add(name)
        self._apply_rules(settings, findings, used=used)

    def _apply_rules(self, settings: Settings, findings: Findings, *, used: bool) -> None:
        """What the component's own code refuses, and the OTTL inside."""
        before = findings.errors
        for rule in VALIDATE.get(settings.component, ()):
            rule(settings, findings)
        if used and not settings.component.startswith("extension/") and findings.errors == before:
            for rule in CONSTRUCT.get(settings.component, ()):
                rule(settings, findings)
        # An alias repeats its texts at the same places.
        for site in dict.fromkeys(sites(settings, findings)):
            if findings.errors > LIMIT:
                break
            if used or site.stage == "validate":
                self._check_site(site, findings)

    def _every_name(self, kind: str, written: str) -> tuple[str, ...]:
        """A component with its kind, by each name that it has in any release; the newest first."""
        found = (one.find(kind, written) for one in reversed(self._build.known or self._build.versions))
        names = [name for info in found if info is not None for name in (info.type, *info.aliases)]
        return tuple(dict.fromkeys(f"{kind}/{one}" for one in (*names, written)))

    def _check_site(self, site: Site, findings: Findings) -> None:
        """Judges each group of texts once, however many components have it by an alias."""
        known = self._sites.get(site)
        if known is None:
            own = Findings(site.texts[0].origin.path)
            check_site(site, self._version.ottl, self._sources, own)
            known = self._sites[site] = own.done()
        for one in known:
            findings.add(one)

    def _settings(
        self,
        name: str,
        shown: str,
        origin: Origin,
        here: tree.Mapping,
        schema: Schema | None,
        signals: frozenset[str] = frozenset(),
    ) -> Settings:
        defaults = {} if schema is None else schema.defaults
        return Settings(name, shown, origin, here, (), defaults, self._version.number, signals)

    def _walk(self, settings: Settings, schema: Schema, findings: Findings, *, stale: bool = False) -> None:
        found = Findings(settings.origin.path) if stale else findings
        visits = walk(settings, schema, found)
        if stale:
            for one in found.done():
                findings.add(replace(one, severity=Severity.WARNING) if one.code in _UNKNOWN_KEYS else one)
        for visited in visits:
            for rule in TYPES.get(visited.name, ()):
                rule(visited.settings, findings)

    def _report_unknown(self, kind: str, written: str, component: Component, findings: Findings) -> None:
        hint = _GONE.get((kind, written), "")
        others = [one for one in KINDS.values() if one != kind and self._version.find(one, written) is not None]
        if not hint and others:
            hint = f"{written} is known as {_article(others[0])}: put it under {others[0]}s"
        hint = hint or did_you_mean(written, sorted(self._version.types(kind)))
        hint = hint or _OWN_BUILD
        message = f"there is no {kind} of the type {quoted(written)}"
        findings.error(component.origin, "GS0230", message, hint)

    def _check_name(
        self,
        kind: str,
        written: str,
        info: ComponentInfo,
        component: Component,
        findings: Findings,
        *,
        used: bool,
    ) -> None:
        at = component.origin
        if not self._build.holds(self._version, kind, info.type):
            holders = sorted(one for one, ids in self._version.distributions.items() if f"{kind}/{info.type}" in ids)
            message = f"the distribution {self._build.distribution} has no {kind} {quoted(written)}"
            findings.error(at, "GS0241", message, f"it is in {', '.join(holders) or 'no distribution that is known'}")
        elif written != info.type and all(one.has_name(kind, info.type) for one in self._build.versions):
            new = "/".join([info.type, *component.id.split("/", 1)[1:]])
            message = f"the {kind} {quoted(written)} is now called {quoted(info.type)}"
            findings.warning(at, "GS0238", message, f'write "{new}", here and where it is used')
        if used and info.ends:
            message = f"the {kind} {quoted(info.type)} is {info.ends}"
            findings.warning(at, "GS0239", message, "it will be removed from a later Collector")


def _without_echoes(found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """One fault is said once.

    An unknown key is named by the rule that knows what was expected there, if there is one; of a value that cannot be
    decoded, no rule says anything more.
    """
    named = {_place(one) for one in found if one.code in _NAMES_PARTS}
    undecoded = {_place(one) for one in found if one.code in _UNDECODED}
    return tuple(
        one
        for one in found
        if not (one.code == "GS0231" and _place(one) in named)
        and not ("GS0260" <= one.code < "GS0280" and _place(one) in undecoded)
    )


def _place(one: Diagnostic) -> tuple[str, int, int]:
    return one.path, one.line, one.column


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
