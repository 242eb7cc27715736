"""Where settings come from, and how it is said what is wrong with them and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from gitsync.collector.document import Mapping as Node
from gitsync.collector.document import parse_mapping, to_python
from gitsync.errors import SettingsError
from gitsync.settings.model import Settings
from gitsync.wording import did_you_mean

PREFIX = "GITSYNC_"
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "GITSYNC_DATA_DIR": ("data_dir",),
    "GITSYNC_WEBHOOK_SECRET_FILE": ("webhooks", "secret_file"),
}
"""Variables with a name of their own, and the keys that they set."""
BELOW_SERVER = ("config_store", "database", "package_registry", "auth")
"""Sections that may also be written below `server`."""
MOST_ERRORS = 5
_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def load_settings(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
    flags: Mapping[tuple[str, ...], str] | None = None,
) -> Settings:
    """The settings of one start.

    Args:
        path: the YAML file; None: no file.
        environment: the process's variables.
        overrides: from flags, nested like the file; values of None are left out.
        flags: how the flag of a key is called.

    Raises:
        SettingsError: unreadable file, unknown key, wrong value; the text names the key, where it was set, and
            the nearest known key.
    """
    root = None if path is None else _read(path)
    values: dict[str, Any] = {} if root is None else _lift(_expand(to_python(root), environment), path)
    variables, names = _from_environment(environment)
    _merge(values, variables)
    _merge(values, overrides)
    try:
        return Settings.model_validate(_without_nothing(values))
    except ValidationError as error:
        raise SettingsError(
            _explain(error, lambda key: _where(key, overrides, flags or {}, names, path, root)), code="settings.invalid"
        ) from None


def _read(path: Path) -> Node:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}", code="settings.file") from None
    root, diagnostics = parse_mapping(str(path), data)
    if root is None:
        text = "; ".join(str(one) for one in diagnostics[:3])
        raise SettingsError(f"the settings file cannot be used: {text}", code="settings.file")
    return root


def _lift(values: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """The file's sections at the top, where some write them below `server`.

    Raises:
        SettingsError: a section stands in both places.
    """
    server = values.get("server")
    if not isinstance(server, dict):
        return values
    inner = {key: server[key] for key in BELOW_SERVER if key in server}
    for key in inner:
        if values.get(key) is not None:
            raise SettingsError(f"{path}: {key} stands at the top and below server; keep one", code="settings.invalid")
    rest = {key: value for key, value in server.items() if key not in inner}
    return {**values, "server": rest, **inner}


def _expand(value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME}` and `${NAME:-default}` in texts, from the environment."""
    if isinstance(value, dict):
        return {key: _expand(one, environment) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, environment) for one in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name not in environment and default is None:
            raise SettingsError(f"the settings use ${{{name}}}, which is not set", code="settings.environment")
        return environment.get(name) or default or ""

    return _ENVIRONMENT.sub(fill, value)


def _from_environment(
    environment: Mapping[str, str],
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """What the variables set, nested like the file, and the variable of each key."""
    values: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    for name, text in sorted(environment.items()):
        keys = SHORT_NAMES.get(name)
        if keys is None and name.startswith(PREFIX) and "__" in name:
            keys = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
        if keys is None or not text:
            continue
        inner = values
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise SettingsError(
                    f"{name} sets a key inside of what another variable sets as a whole",
                    code="settings.environment",
                )
        inner[keys[-1]] = text
        names[keys] = name
    return values, names


def _merge(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping):
            inner = values.get(key)
            if not isinstance(inner, dict):
                values[key] = inner = {}
            _merge(inner, value)
        elif value is not None:
            values[key] = value


def _without_nothing(values: Any) -> Any:
    """Without keys that have no value: a section whose keys are all commented out is not set."""
    if not isinstance(values, dict):
        return values
    return {key: _without_nothing(one) for key, one in values.items() if one is not None}


def _explain(error: ValidationError, where: Callable[[tuple[str, ...]], str]) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    parts: list[str] = []
    for one in found[:MOST_ERRORS]:
        keys = tuple(str(part) for part in one["loc"])
        text = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            known = _known_keys(keys[:-1])
            text = f"unknown key; {did_you_mean(keys[-1], known) or 'known are ' + ', '.join(known)}"
        elif one["type"] == "model_type":
            text = f"must be a map of keys ({', '.join(_known_keys(keys))})"
        parts.append(f"{where(keys)}{'.'.join(keys) or 'settings'}: {text}")
    if len(found) > MOST_ERRORS:
        parts.append(f"and {len(found) - MOST_ERRORS} more")
    return "; ".join(parts)


def _known_keys(keys: tuple[str, ...]) -> list[str]:
    """The keys of the section at `keys`."""
    model: Any = Settings
    for key in keys:
        kinds = model.model_fields[key].annotation
        model = next((one for one in (kinds, *get_args(kinds)) if hasattr(one, "model_fields")), model)
    return list(model.model_fields)


def _is_given(value: Any) -> bool:
    """Whether something in it was given by a flag."""
    return any(_is_given(one) for one in value.values()) if isinstance(value, Mapping) else value is not None


def _where(
    keys: tuple[str, ...],
    overrides: Mapping[str, Any],
    flags: Mapping[tuple[str, ...], str],
    names: Mapping[tuple[str, ...], str],
    path: Path | None,
    root: Node | None,
) -> str:
    """Where a key was set, as the beginning of a sentence: `--flag: `, `GITSYNC_…: ` or `FILE:LINE:COLUMN: `."""
    value: Any = overrides
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if _is_given(value) and keys:
        return f"{flags.get(keys, 'a flag')}: "
    variables = sorted(name for set_keys, name in names.items() if set_keys[: len(keys)] == keys)
    if variables and keys:
        return f"{variables[0]}: "
    place, node = "", root
    below = keys and keys[0] in BELOW_SERVER and isinstance(root, Node) and root.entry(keys[0]) is None
    for key in ("server", *keys) if below else keys:
        entry = node.entry(key) if isinstance(node, Node) else None
        if entry is None:
            break
        place, node = f"{entry.key_origin}: ", entry.value if isinstance(entry.value, Node) else None
    return place or (f"{path}: " if path is not None else "")
