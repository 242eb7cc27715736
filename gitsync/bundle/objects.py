"""Raw objects: what agents that are no Collector get, verbatim."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from gitsync.bundle.files import Files, beginning
from gitsync.bundle.manifest import ObjectEntry
from gitsync.bundle.version import ConfigObject
from gitsync.collector.document import Origin, parse_yaml
from gitsync.collector.findings import Findings
from gitsync.diagnostics import Diagnostic, has_errors
from gitsync.wording import quoted

_CONTENT_TYPES = {
    ".json": "application/json",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
    ".toml": "application/toml",
    ".txt": "text/plain",
}
_YAML_TYPES = frozenset({"text/yaml", "application/yaml", "application/x-yaml"})


def load_object(directory: str, entry: ObjectEntry, files: Files) -> tuple[str | None, ConfigObject | None]:
    """The file and the object that an entry of `objects` means; what is missing has an error, which is said."""
    path = files.locate(directory, entry.file)
    body = None if path is None else files.read(path)
    if path is None or body is None:
        return path, None
    content_type = entry.content_type or _known_type(path)
    if content_type is None:
        findings = Findings(entry.file.at.path)
        message = f"the content type of {quoted(entry.file.text)} is unknown"
        findings.error(entry.file.at, "GS0515", message, "add contentType, such as application/octet-stream")
        files.diagnostics.extend(findings.done())
        return path, None
    found = _check(path, body, content_type)
    files.diagnostics.extend(found)
    return path, None if has_errors(found) else ConfigObject(entry.name.text, content_type, entry.role, body)


def _known_type(path: str) -> str | None:
    return next((kind for suffix, kind in _CONTENT_TYPES.items() if path.endswith(suffix)), None)


def _check(path: str, body: bytes, content_type: str) -> tuple[Diagnostic, ...]:
    """Whether the content is what its type says, for the types that we can read."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _YAML_TYPES or kind.endswith("+yaml"):
        return parse_yaml(path, body).diagnostics
    findings = Findings(path)
    if kind == "application/json" or kind.endswith("+json"):
        _check_json(path, body, findings)
    return findings.done()


def _check_json(path: str, body: bytes, findings: Findings) -> None:
    try:
        json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=str)
    except json.JSONDecodeError as error:
        at = Origin(path, error.lineno, error.colno)
        findings.error(at, "GS0516", f"this is not JSON: {error.msg}")
    except UnicodeDecodeError:
        findings.error(beginning(path), "GS0516", "this is not JSON: it is not UTF-8")
    except ValueError as error:
        findings.error(beginning(path), "GS0516", f"this is not JSON: {error}")
    except RecursionError:
        findings.error(beginning(path), "GS0516", "this JSON is nested too deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ValueError(f"the key {quoted(key)} stands twice in one object")
        members[key] = value
    return members


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
