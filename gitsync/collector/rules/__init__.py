"""What the components' own Go code checks in `Validate()` and in constructors: a pack of rules per area. Pure.

A rule looks at the `Settings` of one component and reports to `Findings`. It never repeats what the schema says (types,
unknown keys), and says nothing about a value that only the agent knows.

Each module has up to three tables:

- `VALIDATE`: rules by component (`receiver/otlp`, its newest name), as its `Validate()`; for every declared component.
- `CONSTRUCT`: rules by component, as its constructor; only for components that a pipeline uses (extensions: never, the
  Collector's `validate` does not build them).
- `TYPES`: rules by name of a shared type in the schemas (`configtls.ClientConfig`); for every place where a component's
  settings have that type, as the Collector calls `Validate()` of every nested value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gitsync.collector.findings import Findings
from gitsync.collector.settings import Settings

Rule: TypeAlias = Callable[[Settings, Findings], None]
Rules: TypeAlias = Mapping[str, tuple[Rule, ...]]
