"""Findings as annotations of GitHub Actions: lines of a job's output that the forge shows beside the code.

Source: GitHub's documentation of workflow commands (`error`, `warning`).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.cli.report import Judgement
from gitsync.cli.table import clean
from gitsync.diagnostics import Diagnostic

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def list_annotations(judgement: Judgement) -> Iterator[str]:
    """One line for each finding."""
    for one in judgement.diagnostics:
        message = clean(one.message + (f" ({one.hint})" if one.hint else ""))
        yield f"::{one.severity} {','.join(_properties(judgement, one))}::{_escaped(message, _DATA)}"


def _properties(judgement: Judgement, one: Diagnostic) -> Iterator[str]:
    if one.path:
        yield f"file={clean(_escaped(judgement.root + one.path, _PROPERTY))}"
    if one.path and one.line:
        yield f"line={one.line}"
        if one.column:
            yield f"col={one.column}"
    yield f"title={one.code}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(one, one) for one in text)
