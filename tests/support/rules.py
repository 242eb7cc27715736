"""Settings of one component out of a few lines of YAML, and what rules say about them."""

from collections.abc import Iterable, Mapping
from typing import Any

from gitsync.collector.document import Origin, parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.settings import Settings
from gitsync.diagnostics import Diagnostic

NEWEST = (0, 159, 0)
ID_PLACE = (0, 0)
"""Line and column of findings about the component as a whole, at its id."""


def settings_of(
    component: str,
    yaml: str = "",
    defaults: Mapping[str, Any] | None = None,
    version: tuple[int, int, int] = NEWEST,
    signals: Iterable[str] = (),
) -> Settings:
    """The settings of `receiver/otlp` (or of a shared type, `configtls.ClientConfig`), written as YAML from line 1."""
    node, problems = parse_mapping("c.yaml", yaml.encode())
    assert node is not None, problems
    name = component.rpartition("/")[2]
    origin = Origin("c.yaml", *ID_PLACE)
    return Settings(component, name, origin, node, (), defaults or {}, version, frozenset(signals))


def judged(
    component: str,
    text: str,
    options: Mapping[str, Any],
    defaults: Mapping[str, Mapping[str, Any]],
    usual: Mapping[str, Iterable[str]],
) -> Settings:
    """The settings with the defaults of the component, as one that pipelines of its usual signals use.

    Args:
        component: `processor/batch`.
        text: YAML.
        options: `version` and `signals`, where a case is about others.
        defaults: by component.
        usual: signals by component.
    """
    version, signals = options.get("version", NEWEST), options.get("signals", usual.get(component, ()))
    return settings_of(component, text, defaults.get(component), version, signals)


def diagnostics(rules: Rules | Iterable[Rules], settings: Settings) -> tuple[Diagnostic, ...]:
    """What the rules of the settings' component say, from one table or from several."""
    findings = Findings("c.yaml")
    for table in [rules] if isinstance(rules, Mapping) else rules:
        for rule in table.get(settings.component, ()):
            rule(settings, findings)
    return findings.done()


def found(rules: Rules | Iterable[Rules], settings: Settings) -> list[tuple[str, int, int]]:
    """Code, line and column of every finding, by place."""
    return [(one.code, one.line, one.column) for one in diagnostics(rules, settings)]
