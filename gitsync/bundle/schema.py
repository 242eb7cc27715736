"""Checking a file's tree against a JSON Schema, with findings that name the line and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gitsync.collector import document
from gitsync.collector.document import Node, kind, to_python
from gitsync.collector.findings import Findings
from gitsync.wording import did_you_mean, quoted

_MOST = 200
"""Errors that are looked at; more than are ever shown."""
_TYPES = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


class Schema:
    """One schema, ready to be used many times."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = Draft202012Validator(dict(schema))

    def check(self, node: Node, findings: Findings) -> None:
        """Reports every way in which the tree does not fit (GS0402 to GS0405)."""
        errors: Iterable[ValidationError] = self._validator.iter_errors(to_python(node))
        for error in islice(errors, _MOST):
            _report(error, node, findings)


def _report(error: ValidationError, root: Node, findings: Findings) -> None:
    node = _follow(root, error.absolute_path)
    where = _where(error.absolute_path)
    wanted: Any = error.validator_value
    if "propertyNames" in error.absolute_schema_path and isinstance(node, document.Mapping):
        key = node.entry(str(error.instance))
        at = node.origin if key is None else key.key_origin
        findings.error(at, "GS0404", f"the key {quoted(str(error.instance))} in {where} {_rule(error)}")
        return
    match error.validator:
        case "additionalProperties":
            _report_unknown_keys(error, node, where, findings)
        case "type":
            names = " or ".join(_TYPES[one] for one in ([wanted] if isinstance(wanted, str) else wanted))
            text = _unquoted(node)
            hint = f'put it in quotes: "{text}"' if text and "text" in names else ""
            findings.error(node.origin, "GS0403", f"{where} must be {names}, not {kind(node)}", hint)
        case "enum" | "const":
            known = wanted if error.validator == "enum" else [wanted]
            hint = did_you_mean(str(error.instance), known) or f"allowed: {', '.join(known)}"
            findings.error(node.origin, "GS0404", f"{where} cannot be {_show(error.instance)}", hint)
        case "required":
            for key in wanted:
                if isinstance(error.instance, dict) and key not in error.instance:
                    findings.error(node.origin, "GS0405", f"{where} needs the key {quoted(key)}")
        case _:
            findings.error(node.origin, "GS0404", f"{where} {_rule(error)}")


def _report_unknown_keys(error: ValidationError, node: Node, where: str, findings: Findings) -> None:
    known = list(error.schema["properties"]) if isinstance(error.schema, Mapping) else []
    for entry in node.entries if isinstance(node, document.Mapping) else ():
        if entry.key not in known:
            hint = did_you_mean(entry.key, known) or f"allowed: {', '.join(known)}"
            message = f"unknown key {quoted(entry.key)}" + ("" if where == "this file" else f" in {where}")
            findings.error(entry.key_origin, "GS0402", message, hint)


def _rule(error: ValidationError) -> str:
    """What a value breaks, for the rules that need only a number or a pattern."""
    value = error.validator_value
    return {
        "minimum": f"must be at least {value}",
        "maximum": f"must be at most {value}",
        "minLength": "must not be empty",
        "maxLength": f"is longer than {value} characters",
        "minItems": "must not be empty",
        "maxItems": f"has more than {value} items",
        "pattern": f"does not have the form {value}",
    }.get(str(error.validator), f"breaks the rule {error.validator} of the schema")


def _follow(root: Node, path: Sequence[str | int]) -> Node:
    node = root
    for step in path:
        if isinstance(node, document.Mapping):
            found = node.get(str(step))
            # `propertyNames` reports the key itself; its place is the map that it stands in.
            if found is None:
                break
            node = found
        elif isinstance(node, document.Sequence):
            node = node.items[int(step)]
    return node


def _where(path: Sequence[str | int]) -> str:
    if not path:
        return "this file"
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return quoted(text.removeprefix("."))


def _unquoted(node: Node) -> str:
    """The text of a number, true or false; "" for anything else."""
    return node.text if isinstance(node, document.Scalar) and node.tag in ("int", "float", "bool") else ""


def _show(value: object) -> str:
    return quoted(str(value)) if isinstance(value, str | int | float) else "this"
