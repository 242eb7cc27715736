"""`ComponentCheck`: one component's settings, by its schema, by the rules of its code, and by the OTTL inside.

The same settings of the same component, used for the same signals, are judged once: in a tree of targets, most of a
configuration is inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitsync.collector import node as tree
from gitsync.collector.build import Build, CollectorVersion, ComponentInfo
from gitsync.collector.embedded import sites
from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Origin, is_null
from gitsync.collector.pipelines import Component
from gitsync.collector.policy import Policy, check_component, check_endpoints
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
_UNKNOWN_KEYS = ("GS0231", "GS0232")
"""What a schema of an older release says about a key may not be true any more."""
_TELEMETRY = "service/telemetry"


class ComponentCheck:
    """Checks components for one version of the Collector."""

    def __init__(self, version: CollectorVersion, build: Build, policy: Policy, sources: Mapping[str, str]) -> None:
        self._version = version
        self._build = build
        self._policy = policy
        self._sources = sources
        self._done: dict[tuple[str, str, int, Origin, bool, frozenset[str]], tuple[Node, tuple[Diagnostic, ...]]] = {}

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
            known = self._done[key] = (component.node, findings.done())
        return known[1]

    def check_telemetry(self, node: tree.Mapping) -> tuple[Diagnostic, ...]:
        """Every finding about `service::telemetry`."""
        findings = Findings(node.origin.path)
        schema = self._version.telemetry
        settings = self._settings(_TELEMETRY, "telemetry", node.origin, without_removed(node, findings), schema)
        self._walk(settings, schema, findings)
        for rule in VALIDATE.get(_TELEMETRY, ()):
            rule(settings, findings)
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
        shown = f"{kind} {quoted(component.id)}"
        check_component(self._policy, tuple(f"{kind}/{one}" for one in names), shown, component.origin, findings)
        here = component.node if isinstance(component.node, tree.Mapping) else tree.Mapping((), component.origin)
        if kind == "exporter" and names[0] not in _LISTENING:
            check_endpoints(self._policy, here, findings)
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
        before = findings.errors
        for rule in VALIDATE.get(name, ()):
            rule(settings, findings)
        if used and kind != "extension" and findings.errors == before:
            for rule in CONSTRUCT.get(name, ()):
                rule(settings, findings)
        for site in sites(settings, findings):
            if used or site.stage == "validate":
                check_site(site, self._version.ottl, self._sources, findings)

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
                at = Origin(one.path, one.line, one.column)
                wrong = one.severity is Severity.ERROR and one.code not in _UNKNOWN_KEYS
                say = findings.error if wrong else findings.warning
                say(at, one.code, one.message, one.hint)
        for visited in visits:
            for rule in TYPES.get(visited.name, ()):
                rule(visited.settings, findings)

    def _report_unknown(self, kind: str, written: str, component: Component, findings: Findings) -> None:
        hint = _GONE.get((kind, written), "")
        others = [one for one in _KINDS if one != kind and self._version.find(one, written) is not None]
        if not hint and others:
            hint = f"{written} is known as {_article(others[0])}: put it under {others[0]}s"
        hint = hint or did_you_mean(written, sorted(self._version.types(kind)))
        hint = hint or "for a build of your own: collector: {distribution: custom} in gitsync.yaml"
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


_KINDS = ("receiver", "processor", "exporter", "connector", "extension")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
