"""`CollectorVersion`: what is known of one release of the Collector. `Build`: those that must take a configuration.

The data files of a release (`schemas/collector/README.md`) come as bytes, and are parsed when they are first needed:
most runs use one release of several, and not each of its files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gitsync.collector.expansion import CONTRIB_SCHEMES, CORE_SCHEMES
from gitsync.collector.schema import Schema, Schemas
from gitsync.ottl.tables import OttlTables

DISTRIBUTIONS = {
    "contrib": "contrib",
    "core": "core",
    "k8s": "k8s",
    "custom": "custom",  # somebody's own: whatever components it has
    "otelcol-contrib": "contrib",
    "otelcol": "core",
    "otelcol-k8s": "k8s",
}
"""Every name of a distribution, with the one that is used inside."""
_SCHEMES = {"contrib": CONTRIB_SCHEMES, "core": CORE_SCHEMES, "k8s": CORE_SCHEMES}
_ENDING = ("deprecated", "unmaintained")


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """What is known of a type of component.

    Attributes:
        kind: `receiver`, `processor`, `exporter`, `connector` or `extension`.
        type: its newest name.
        module: of its Go code; may be empty.
        signals: stability by signal; of connectors by pair (`traces_to_metrics`); empty for extensions.
        aliases: old names that still work.
        deprecated: whether the component itself is.
        stability: of an extension; of others the one that all signals share; else empty.
        fields: whether there is a schema of its settings.
        stale: whether that schema is of a much older release: what it does not know may be new.
    """

    kind: str
    type: str
    module: str
    signals: Mapping[str, str]
    aliases: tuple[str, ...]
    deprecated: bool
    stability: str
    fields: bool
    stale: bool

    @property
    def ends(self) -> str:
        """`deprecated` or `unmaintained` when it will go away; else empty."""
        if self.deprecated or self.stability == "deprecated":
            return "deprecated"
        return "unmaintained" if self.stability == "unmaintained" else ""


class CollectorVersion:
    """One release. Its parts are parsed at first use; a copy in another process parses again.

    Attributes:
        version: `0.159.0`.
        number: `(0, 159, 0)`.
    """

    def __init__(self, version: str, components: bytes, settings: bytes, ottl: bytes) -> None:
        """Takes the content of `components.json`, `settings.json` and `ottl.json`.

        Raises:
            ValueError: `version` is none of three numbers.
        """
        number = parse_version(version)
        if number is None:
            raise ValueError(f"{version!r} is no version")
        self.version = version
        self.number = number
        self._files = (components, settings, ottl)

    def __reduce__(self) -> tuple[type[CollectorVersion], tuple[str, bytes, bytes, bytes]]:
        return CollectorVersion, (self.version, *self._files)

    def find(self, kind: str, type: str) -> ComponentInfo | None:  # noqa: A002
        """A component by its newest name or an old one; None when the release has none of that name."""
        return self._names.get((kind, type))

    def has_name(self, kind: str, type: str) -> bool:  # noqa: A002
        """Whether a configuration may use this name."""
        return (kind, type) in self._names

    def types(self, kind: str) -> tuple[str, ...]:
        """Every name of a kind that a configuration may use, sorted."""
        return tuple(sorted(name for one, name in self._names if one == kind))

    def schema(self, kind: str, type: str) -> Schema | None:  # noqa: A002
        """What a component takes, by any of its names; None when it is not known."""
        info = self.find(kind, type)
        return None if info is None or not info.fields else self._schemas.component(f"{kind}/{info.type}")

    @property
    def telemetry(self) -> Schema:
        """What `service::telemetry` takes."""
        return self._schemas.telemetry()

    @cached_property
    def distributions(self) -> Mapping[str, frozenset[str]]:
        """The components of each distribution, as `kind/type`."""
        return {name: frozenset(ids) for name, ids in self._components.get("distributions", {}).items()}

    @cached_property
    def ottl(self) -> OttlTables:
        """Contexts, paths, functions."""
        return OttlTables.from_json(json.loads(self._files[2]))

    @cached_property
    def _components(self) -> Mapping[str, Any]:
        parsed: Mapping[str, Any] = json.loads(self._files[0])
        return parsed

    @cached_property
    def _schemas(self) -> Schemas:
        return Schemas(json.loads(self._files[1]))

    @cached_property
    def _names(self) -> Mapping[tuple[str, str], ComponentInfo]:
        infos = [_info(name, one, self.number) for name, one in self._components.get("components", {}).items()]
        names = {(one.kind, alias): one for one in infos for alias in one.aliases}
        # Where an old name of one is the newest of another, the newest counts.
        return {**names, **{(one.kind, one.type): one for one in infos}}


@dataclass(frozen=True, slots=True)
class Build:
    """What a configuration must run on.

    Attributes:
        distribution: `contrib`, `core`, `k8s` or `custom`.
        versions: at least one, the newest last.
        known: every release that is known: a component has names in others, too.
    """

    distribution: str
    versions: tuple[CollectorVersion, ...]
    known: tuple[CollectorVersion, ...] = ()

    @property
    def newest(self) -> CollectorVersion:
        """The newest of the releases."""
        return self.versions[-1]

    @property
    def schemes(self) -> frozenset[str] | None:
        """Schemes of `${…}` that the distribution has providers for; None when they are not known."""
        return _SCHEMES.get(self.distribution)

    def holds(self, version: CollectorVersion, kind: str, type: str) -> bool:  # noqa: A002
        """Whether the distribution contains a component of a release, by its newest name; true when not known."""
        known = version.distributions.get(self.distribution)
        return not known or f"{kind}/{type}" in known


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The numbers of `0.159.0`, with or without `v`; a missing last one is 0. None when it is no version."""
    parts = text.strip().removeprefix("v").split(".")
    if not 2 <= len(parts) <= 3 or not all(
        part.isascii() and part.isdigit() and len(part) < _LONGEST for part in parts
    ):
        return None
    major, minor, patch = (*map(int, parts), 0)[:3]
    return major, minor, patch


_LONGEST = 9
_FRESH = 4
"""Minor releases by which a component's schema may be older and still count as the release's own."""


def _info(name: str, data: Mapping[str, Any], release: tuple[int, int, int]) -> ComponentInfo:
    kind, _, type_ = name.partition("/")
    signals = dict(data.get("signals", {}))
    shared = set(signals.values())
    if len(shared) > 1 and shared <= set(_ENDING):
        shared = {"deprecated"}
    stability = data.get("stability") or (shared.pop() if len(shared) == 1 else "")
    return ComponentInfo(
        kind,
        type_,
        data.get("module", ""),
        signals,
        tuple(data.get("aliases", ())),
        bool(data.get("deprecated")),
        stability,
        bool(data.get("fields")),
        release[1] - (parse_version(data.get("taken_from", "")) or release)[1] > _FRESH,
    )
