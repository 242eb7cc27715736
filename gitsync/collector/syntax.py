"""From the YAML parser's phrases to plain words: what is wrong, where it began, what was probably meant."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from gitsync.collector.node import Origin


@dataclass(frozen=True, slots=True)
class Explanation:
    """A syntax error, readable."""

    code: str
    at: Origin
    message: str
    hint: str


SYNTAX, INDENTATION, UNCLOSED = "GS0110", "GS0111", "GS0112"

_QUOTE = "put the value in double quotes"
_LEVELS = "keys of one map start in the same column, and its values are indented further than their key"

# (part of the context, part of the problem) -> code, message, hint; the first hit wins.
_PHRASES: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "",
        "unexpected ':'",
        SYNTAX,
        'a ":" is not allowed here',
        'write a space after the ":", or quote the text',
    ),
    ("", "found a tab character", INDENTATION, "a tab is used for indentation", "YAML allows spaces only"),
    (
        "",
        "mapping values are not allowed",
        SYNTAX,
        'a ":" is not allowed here',
        'quote a value that contains ": "; or the line before lacks its ":" or is indented wrongly',
    ),
    (
        "",
        "block sequence entries are not allowed",
        SYNTAX,
        'a list item "- " is not allowed here',
        "start the list on a line of its own",
    ),
    ("", "mapping keys are not allowed", SYNTAX, 'a key marked with "?" is not allowed here', ""),
    ("simple key", "could not find expected ':'", SYNTAX, 'a key without ":"', 'write "key: value"'),
    ("an alias", "did not find", SYNTAX, 'a value cannot start with "*"', f'"*" starts an alias; {_QUOTE}'),
    ("an anchor", "did not find", SYNTAX, 'a value cannot start with "&"', f'"&" starts an anchor; {_QUOTE}'),
    ("a tag", "", SYNTAX, 'a value cannot start with "!"', f'"!" starts a tag; {_QUOTE}'),
    (
        "",
        "found undefined tag handle",
        SYNTAX,
        'a value cannot start with "!"',
        f'"!" starts a tag; {_QUOTE}',
    ),
    (
        "a block scalar",
        "did not find expected comment or line break",
        SYNTAX,
        'unexpected text after "|" or ">"',
        "the text begins on the next line",
    ),
    (
        "a block scalar",
        "indentation indicator",
        SYNTAX,
        'a wrong number after "|" or ">"',
        "leave the number out",
    ),
    (
        "quoted scalar",
        "unknown escape character",
        SYNTAX,
        "an unknown escape in a double-quoted text",
        r"write \\ for one backslash, or use single quotes",
    ),
    (
        "quoted scalar",
        "",
        SYNTAX,
        "a wrong escape in a double-quoted text",
        r"write the character itself, or its full code as \UXXXXXXXX",
    ),
    ("a directive", "", SYNTAX, 'a line cannot start with "%" here', _QUOTE),
    (
        "",
        "incompatible YAML document",
        SYNTAX,
        "a %YAML directive with an unknown version",
        "leave the line out",
    ),
    ("", "directive", SYNTAX, "a directive stands twice", "leave the line out"),
    (
        "",
        "document start",
        SYNTAX,
        'text before the first "---"',
        'a "%" directive needs a line "---" after it',
    ),
    (
        "block collection",
        "expected '-' indicator",
        INDENTATION,
        'expected a list item "- " in this column',
        "a list and a map cannot be mixed; check the indentation",
    ),
    ("flow node", "expected node content", SYNTAX, "a value is missing between commas or brackets", ""),
    (
        "block node",
        "expected node content",
        SYNTAX,
        "a closing bracket or a comma that nothing opened",
        "remove it, or " + _QUOTE,
    ),
)
# Where the parser stops one character late, the place where the thing began says more.
_FROM_START = ("simple key", "an alias", "an anchor", "a tag")
_STARTS = {
    "\t": (INDENTATION, "a tab is used for indentation", "YAML allows spaces only"),
    "@": (SYNTAX, 'a value cannot start with "@"', _QUOTE),
    "`": (SYNTAX, "a value cannot start with a backquote", _QUOTE),
    "%": (SYNTAX, 'a value cannot start with "%"', _QUOTE),
}


def explain(error: yaml.YAMLError, path: str, lines: list[str]) -> Explanation:
    """Says in plain words what the parser found.

    Args:
        error: raised by the parser.
        path: of the file.
        lines: the file's lines, without line ends.
    """
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Explanation(SYNTAX, Origin(path, 1, 1), "the file is not valid YAML", "")
    context, problem = error.context or "", error.problem or ""
    at = Origin(path, error.problem_mark.line + 1, error.problem_mark.column + 1)
    began = at
    if error.context_mark is not None:
        began = Origin(path, error.context_mark.line + 1, error.context_mark.column + 1)
    unclosed = _unclosed(context, problem, at, began)
    if unclosed is not None:
        return unclosed
    if "flow node" in context and not any(line.strip() for line in _rest(lines, at)):
        last = max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)
        end = Origin(path, last, len(lines[last - 1].rstrip()))
        return Explanation(
            UNCLOSED, end, "the file ends inside brackets that are not closed", 'add the missing "]" or "}"'
        )
    if "cannot start any token" in problem:
        code, message, hint = _STARTS.get(
            _char(lines, at), (SYNTAX, "a value cannot start with this character", _QUOTE)
        )
        return Explanation(code, at, message, hint)
    if "block mapping" in context and "expected key" in problem:
        return _no_key(at, began, lines)
    for where, what, code, message, hint in _PHRASES:
        if where in context and what in problem:
            return Explanation(code, began if context.endswith(_FROM_START) else at, message, hint)
    return Explanation(SYNTAX, at, f"the file is not valid YAML: {problem or context}", "")


def _unclosed(context: str, problem: str, at: Origin, began: Origin) -> Explanation | None:
    if "quoted scalar" in context and ("end of stream" in problem or "document indicator" in problem):
        return Explanation(UNCLOSED, began, "a quote is opened here and never closed", "")
    for name, bracket in (("flow sequence", "]"), ("flow mapping", "}")):
        if name in context and "did not find expected" in problem:
            opened = {"]": "[", "}": "{"}[bracket]
            return Explanation(
                UNCLOSED,
                began,
                f'this "{opened}" is not closed: expected "," or "{bracket}" at {at.line}:{at.column}',
                "a text that contains brackets or commas needs quotes",
            )
    return None


def _no_key(at: Origin, began: Origin, lines: list[str]) -> Explanation:
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    indent = len(line) - len(line.lstrip(" "))
    if at.column - 1 > indent:
        return Explanation(
            SYNTAX,
            at,
            "unexpected text after a value",
            "a quote inside a text ends it early; or a comma is missing",
        )
    if line.lstrip(" ").startswith("- "):
        return Explanation(
            INDENTATION,
            at,
            "a list item where a key is expected",
            "a list and a map cannot be mixed under one key",
        )
    return Explanation(
        INDENTATION,
        at,
        f"wrong indentation: this line does not fit the map that begins at line {began.line}",
        _LEVELS,
    )


def _rest(lines: list[str], at: Origin) -> list[str]:
    """What follows a place, line by line."""
    if at.line > len(lines):
        return []
    return [lines[at.line - 1][at.column - 1 :], *lines[at.line :]]


def _char(lines: list[str], at: Origin) -> str:
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    return line[at.column - 1 : at.column]
