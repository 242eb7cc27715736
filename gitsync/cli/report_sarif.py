"""Findings as a SARIF 2.1.0 log, which code scanning of forges and many editors read.

Source: the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from gitsync.cli.page import address, load_page
from gitsync.cli.report import Judgement
from gitsync.diagnostics import Diagnostic

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME = "https://github.com/gitsync/gitsync"
_WHOLE = "gitsync.yaml"
"""Where a finding about a whole commit is shown: a result without a place is not shown at all."""


def sarif(judgement: Judgement) -> dict[str, Any]:
    """A log with one run: a rule for each code that was found, a result for each finding."""
    codes = sorted({one.code for one in judgement.diagnostics})
    driver = {
        "name": "gitsync",
        "informationUri": _HOME,
        "semanticVersion": version("gitsync-opamp"),
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(judgement, one, codes.index(one.code)) for one in judgement.diagnostics],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": code, "helpUri": address(code)}
    page = load_page(code)
    if page is not None:
        rule["shortDescription"] = {"text": page.title}
        rule["fullDescription"] = {"text": page.cause}
        rule["help"] = {"text": page.text, "markdown": page.text}
        rule["defaultConfiguration"] = {"level": page.severity}
    return rule


def _result(judgement: Judgement, one: Diagnostic, index: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(judgement.root + (one.path or _WHOLE))}}
    if one.path and one.line:
        place["region"] = {"startLine": one.line} | ({"startColumn": one.column} if one.column else {})
    return {
        "ruleId": one.code,
        "ruleIndex": index,
        "level": str(one.severity),
        "message": {"text": one.message + (f" ({one.hint})" if one.hint else "")},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """A path as a URI reference; an absolute one as a file URI."""
    # A first segment with a colon would be read as a scheme, so colons are written out. Names need not be text.
    relative = quote(path.encode(errors="surrogateescape"), safe="/=+,@~")
    return f"file://{relative}" if path.startswith("/") else relative
