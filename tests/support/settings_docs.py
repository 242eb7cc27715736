"""The settings as a JSON Schema and as a table, made from the model that the service itself uses.

`python -m tests.support.settings_docs` writes both; `tests/unit/test_settings.py` shows that they are up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from gitsync.settings import PREFIX, SHORT_NAMES, Settings, show_duration
from gitsync.settings.loading import BELOW_SERVER

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "schemas" / "settings.v1.json"
PAGE = ROOT / "docs" / "reference" / "settings.md"
BEGIN, END = "<!-- begin: made from the model -->\n", "<!-- end -->\n"
ID = "urn:gitsync:schema:settings.v1.json"


@dataclass(frozen=True)
class Key:
    """One key of the file."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def environment(self) -> str:
        short = next((name for name, path in SHORT_NAMES.items() if path == self.path), None)
        return short or PREFIX + "__".join(self.path).upper()

    @property
    def default(self) -> str:
        return show_default(self.field)


class _Schema(GenerateJsonSchema):
    """Durations as people write them, also when they are defaults."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return show_duration(dft)
        if isinstance(dft, BaseModel):
            return None  # the keys of the section have their own defaults
        return super().encode_default(dft)


def schema_text() -> str:
    """The schema file."""
    schema = Settings.model_json_schema(schema_generator=_Schema)
    for one in (schema, *schema["$defs"].values()):
        for field in one["properties"].values():
            field.pop("title", None)
            if field.get("default", "") is None:
                field.pop("default")
    # Sections that may also be written below `server`.
    schema["$defs"]["Server"]["properties"].update({key: schema["properties"][key] for key in BELOW_SERVER})
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Settings of gitsync serve",
    }
    return json.dumps({**head, **{key: value for key, value in schema.items() if key not in head}}, indent=2) + "\n"


def list_keys(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> list[Key]:
    """All keys that have a value: those of a section before those of its sections, in the order of the model."""
    found = [(name, field, section_of(field)) for name, field in model.model_fields.items()]
    listed = [Key((*path, name), field) for name, field, section in found if section is None]
    for name, _, section in found:
        listed += [] if section is None else list_keys(section, (*path, name))
    return listed


def sections(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, type[BaseModel]]]:
    """All sections with keys of their own: dotted name and model."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield ".".join((*path, name)), section
            yield from sections(section, (*path, name))


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *get_args(field.annotation))
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def show_default(field: FieldInfo) -> str:
    value = field.get_default()
    if value is None or field.default_factory is not None:
        return ""
    if isinstance(value, timedelta):
        return f"`{show_duration(value)}`"
    return f"`{json.dumps(value)}`" if isinstance(value, bool) else f"`{value}`"


def reference_text() -> str:
    """The generated part of the page."""
    lines: list[str] = []
    shown = ""
    models = dict(sections())
    for key in list_keys():
        section = ".".join(key.path[:-1])
        if section != shown or not lines:
            shown = section
            lines += ["", f"### {section or 'top level'}", ""]
            if section:
                lines += [" ".join((models[section].__doc__ or "").split()), ""]
            lines += ["| key | default | meaning | environment |", "|---|---|---|---|"]
        lines.append(f"| `{key.name}` | {key.default} | {key.field.description} | `{key.environment}` |")
    return "\n".join([*lines, "", ""])


def page_text(page: str) -> str:
    """The page with its generated part made new."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + reference_text() + END + after


if __name__ == "__main__":
    SCHEMA.write_text(schema_text())
    PAGE.write_text(page_text(PAGE.read_text()))
