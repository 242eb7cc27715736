"""`gitsync ottl check`: statements, conditions and values of OTTL by themselves, one or a stream of them."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitsync.cli.failure import ExitCode
from gitsync.diagnostics import Diagnostic, Severity, has_errors
from gitsync.errors import SettingsError
from gitsync.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from gitsync.ottl.finding import Finding
    from gitsync.ottl.tables import OttlTables
    from gitsync.ottl.tree import Kind as TextKind

app = typer.Typer(help="OTTL outside of a configuration.", rich_markup_mode=None)

LONGEST_LINE = 1 << 20
"""Bytes of one line of a stream."""


class Kind(enum.StrEnum):
    """What a text is."""

    STATEMENT = "statement"
    CONDITION = "condition"
    VALUE = "value"


class TextFormat(enum.StrEnum):
    """How findings about one text are shown."""

    TEXT = "text"
    JSON = "json"


@app.command("check")
def check(
    text: Annotated[str | None, typer.Argument(metavar="STATEMENT", help="The text; - reads it from stdin.")] = None,
    context: Annotated[
        str | None, typer.Option("--context", "-c", metavar="NAME", help="In which it runs: span, log, metric, …")
    ] = None,
    kind: Annotated[Kind, typer.Option("--kind", help="What it is.")] = Kind.STATEMENT,
    version: Annotated[
        str | None, typer.Option("--collector-version", metavar="VERSION", help="Of the Collector; else the newest.")
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--jsonl", help='Reads {"context", "kind", "text"} lines from stdin, writes a line for each.'),
    ] = False,
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How findings are shown.")] = TextFormat.TEXT,
) -> None:
    """Checks OTTL as the transform processor would; paths carry their context: span.name, not name.

    Exit codes: 0 valid, 1 invalid, 2 could not be checked.
    """
    from gitsync.cli.validate import load_build

    if stream and (text is not None or context is not None):
        raise SettingsError("--jsonl takes no text and no --context", code="options", hint="each line has its own")
    tables = load_build(None, [version] if version else []).newest.ottl
    if stream:
        raise typer.Exit(_exit_code(_check_stream(tables)))
    raise typer.Exit(_exit_code(_check_one(_read(text), kind, _known(context, tables), tables, output)))


def _exit_code(valid: bool) -> ExitCode:
    return ExitCode.FINE if valid else ExitCode.DIFFERENT


def judge(text: str, kind: TextKind, context: str, tables: OttlTables) -> tuple[Diagnostic, ...]:
    """What is wrong with a text; lines and columns are those of the text, the path is empty."""
    from gitsync.ottl.judge import judge_text

    return tuple(_placed(one, text) for one in judge_text(text, kind, context, tables))


def _check_one(text: str, kind: Kind, context: str, tables: OttlTables, output: TextFormat) -> bool:
    from gitsync.cli.report import counts, excerpt
    from gitsync.cli.table import is_coloured
    from gitsync.ottl.judge import judge_text

    findings = judge_text(text, kind.value, context, tables)
    found = [_placed(one, text) for one in findings]
    valid = not has_errors(found)
    if output is TextFormat.JSON:
        typer.echo(json.dumps(_verdict(found), indent=2))
        return valid
    coloured, lines = is_coloured(), text.split("\n")
    for finding, one in zip(findings, found, strict=True):
        for line in excerpt(one, lines, width=max(1, finding.end - finding.start), coloured=coloured):
            typer.echo(line, color=coloured)
    verdict = "valid" if valid else "invalid"
    typer.echo(f"{verdict}: {kind.value} in the context {context}, Collector {tables.version}, {counts(found)}")
    return valid


def _check_stream(tables: OttlTables) -> bool:
    """One line out for each line in, at once: another program may wait for it before it writes the next."""
    valid = True
    source, out = sys.stdin.buffer, sys.stdout
    while line := source.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = source.readline(LONGEST_LINE)
            found: Iterable[Diagnostic] = (_refusal(f"the line has more than {LONGEST_LINE} bytes"),)
        else:
            found = _judge_line(line, tables)
        verdict = _verdict(found)
        valid = valid and verdict["valid"]
        out.write(json.dumps(verdict) + "\n")
        out.flush()
    return valid


def _judge_line(line: bytes, tables: OttlTables) -> tuple[Diagnostic, ...]:
    if not line.strip():
        return (_refusal("the line is empty"),)
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, json.JSONDecodeError) else ""
        return (_refusal(f"the line is not JSON{reason}"),)
    if not isinstance(request, dict):
        return (_refusal("the line is not a JSON object"),)
    context, kind, text = (request.get(name) for name in ("context", "kind", "text"))
    if not isinstance(text, str):
        return (_refusal('the line has no "text"'),)
    if not isinstance(context, str):
        return (_refusal('the line has no "context"'),)
    if not isinstance(kind, str):
        return (_refusal('the line has no "kind"'),)
    if context not in tables.contexts:
        return (_refusal(f"there is no context {quoted(context)}", _contexts_hint(context, tables)),)
    if kind not in list(Kind):
        return (_refusal(f"there is no kind {quoted(str(kind))}", f"one of: {', '.join(Kind)}"),)
    return judge(text, Kind(kind).value, context, tables)


def _refusal(message: str, hint: str = "") -> Diagnostic:
    hint = hint or '{"context": "span", "kind": "statement", "text": "…"}'
    return Diagnostic("", 0, 0, Severity.ERROR, "GS0001", message, hint)


def _verdict(found: Iterable[Diagnostic]) -> dict[str, Any]:
    listed = tuple(found)
    return {"valid": not has_errors(listed), "diagnostics": [one.as_json() for one in listed]}


def _placed(one: Finding, text: str) -> Diagnostic:
    start = min(one.start, len(text))
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return Diagnostic("", line, column, one.severity, one.code, one.message, one.hint)


def _known(context: str | None, tables: OttlTables) -> str:
    if context is None:
        hint = f"one of: {', '.join(sorted(tables.contexts))}"
        raise SettingsError("the context is missing: --context NAME", code="options", hint=hint)
    if context not in tables.contexts:
        raise SettingsError(
            f"there is no context {quoted(context)}", code="options", hint=_contexts_hint(context, tables)
        )
    return context


def _contexts_hint(context: str, tables: OttlTables) -> str:
    return did_you_mean(context, tables.contexts) or f"one of: {', '.join(sorted(tables.contexts))}"


def _read(text: str | None) -> str:
    if text is None:
        raise SettingsError("the text is missing", code="options", hint="put it in quotes: 'set(span.name, \"x\")'")
    if text != "-":
        return text
    data = sys.stdin.buffer.read(LONGEST_LINE + 1)
    if len(data) > LONGEST_LINE:
        raise SettingsError(f"the text has more than {LONGEST_LINE} bytes", code="options")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise SettingsError("the text is not UTF-8", code="options") from error
