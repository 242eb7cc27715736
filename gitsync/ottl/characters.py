"""What is wrong with single characters of an OTTL text, and what was meant: quotes, foreign operators, escapes.

Only called for a text that the lexer refused; the place of the first fault is known then.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gitsync.diagnostics import Severity
from gitsync.ottl.finding import Finding
from gitsync.wording import quoted

MOST: Final = 5
"""Findings about the characters of one text."""

_DOUBLE: Final = "“”„‟″«»＂"
_SINGLE: Final = "'‘’‚‛′`´"
_SAME_QUOTE: Final = re.compile(r"'[^'\"]*+'|`[^`\"]*+`|[‘‚‛’][^‘’\"]*+[’‘]|[“„”][^“”\"]*+[”“]|«[^»\"]*+»")
_NEXT: Final = re.compile(
    r'"(?:[^"\\]|\\[^\n])*+"|[^\x21-\x7e \t\n\f\r]|["\'`!#$%&;?@\\^|~]|(?<![A-Za-z0-9_])_[A-Za-z0-9_]'
)
_WORD: Final = re.compile(r"[\w]+")

_OPERATORS: Final = {
    "&&": ("&& is no operator", "write and"),
    "||": ("|| is no operator", "write or"),
    "=~": ("=~ is no operator", 'write IsMatch(value, "expression")'),
    "!~": ("!~ is no operator", 'write not IsMatch(value, "expression")'),
    "&": ("& is no operator", "write and"),
    "|": ("| is no operator", "write or"),
    "!": ("! is no operator", "write not, or != to compare"),
    "~": ("~ is no operator", 'write IsMatch(value, "expression")'),
    "%": ("% is no operator", "there is no remainder of a division in OTTL"),
    "^": ("^ is no operator", "OTTL calculates with + - * / only"),
    ";": ("; has no place here: a text holds one statement", "write each statement as an entry of its own"),
    "#": ("# has no place here: OTTL has no comments", "write the comment in the YAML, outside the statement"),
    "//": ("// has no place here: OTTL has no comments", "write the comment in the YAML, outside the statement"),
    "$": ("$ has no place here", "a name stands for its value without a mark"),
    "@": ("@ has no place here", "a name stands for its value without a mark"),
    "?": ("? is no operator", "write one statement for each case, with where"),
    "\\": ("\\ has no place outside a string", "a statement may go on in the next line without a mark"),
}


def character_findings(text: str, start: int) -> tuple[Finding, ...]:
    """Every wrong character from `start` on, at most `MOST`; `start` is the first one."""
    findings: list[Finding] = []
    at = start
    while at < len(text) and len(findings) < MOST:
        finding = _finding(text, at, findings[-1].end if findings else 0)
        findings.append(finding)
        if text[at] == '"' or (finding.code == "GS1002" and text[at] in "#;"):
            break  # what follows is text, or a statement of its own
        following = _following(text, max(finding.end, at + 1))
        if following is None:
            break
        at = following
    return tuple(findings)


def _following(text: str, at: int) -> int | None:
    """The next wrong character outside of strings."""
    for found in _NEXT.finditer(text, at):
        char = found[0]
        if char[0] == '"' and len(char) > 1:
            continue
        if char == "!" and text[found.end() : found.end() + 1] == "=":
            continue
        return found.start()
    return None


def _finding(text: str, at: int, least: int) -> Finding:
    """What is wrong with the character at `at`. It begins at `least` or later: what is before has one of its own."""
    char = text[at]
    if char == '"':
        return _error(at, at + 1, "GS1004", "this string is not closed", _unclosed_hint(text, at))
    if char in _SINGLE or char in _DOUBLE:
        return _quote(text, at)
    if char == "_":
        end = at + 1
        while end < len(text) and (text[end] == "_" or text[end].isalnum()):
            end += 1
        if at and text[at - 1].isdigit():
            return _error(at, end, "GS1002", "there is no _ in a number", "write the digits without it")
        return _error(at, end, "GS1002", f"a name cannot begin with _: {quoted(text[at:end])}", "")
    before = at - 1 if char == "~" and text[at - 1 : at] in ("=", "!") and at > 0 else at
    for length in (2, 1):
        written = text[before : before + length]
        known = _OPERATORS.get(written)
        if known is not None:
            return _error(before, before + len(written), "GS1002", *known)
    return _foreign(text, at, least)


def _quote(text: str, at: int) -> Finding:
    whole = _SAME_QUOTE.match(text, at)
    end = whole.end() if whole else at + 1
    if text[at] in "'`":
        mark = "single quotes" if text[at] == "'" else "backticks"
        message = f"a string stands in double quotes, not in {mark}"
    else:
        message = f"a string stands in double quotes, but {quoted(text[at])} is another character"
    is_plain = whole is not None and end - at <= 60 and "\\" not in whole[0] and whole[0].isprintable()
    hint = f'write "{text[at + 1 : end - 1]}"' if is_plain else 'write "…"'
    return _error(at, end, "GS1003", message, hint)


def _unclosed_hint(text: str, at: int) -> str:
    if text.endswith('\\"'):
        return 'the last quote is escaped: write \\\\" for a backslash at the end of a string'
    if '\\"' in text[at + 1 :]:
        return 'write " at its end; \\" is a quote inside the string'
    return 'write " at its end'


def _foreign(text: str, at: int, least: int) -> Finding:
    char = text[at]
    if char.isspace() or char in "\u200b\u200c\u200d\u2060\ufeff":
        name = unicodedata.name(char, "a control character").lower()
        return _error(
            at, at + 1, "GS1002", f"this is no ordinary space: {quoted(ascii(char)[1:-1])} ({name})", "write a space"
        )
    if char.isalpha():
        word = _WORD.match(text, at)
        while at > least and (text[at - 1] == "_" or text[at - 1].isalnum()):
            at -= 1
        end = word.end() if word else at + 1
        return _error(
            at,
            end,
            "GS1002",
            f"names have the letters a to z and A to Z only: {quoted(text[at:end])}",
            'write it in a string: attributes["…"]',
        )
    dash = unicodedata.category(char) == "Pd" or char == "\u2212"
    same = {"×": "*", "÷": "/", "≠": "!=", "≤": "<=", "≥": ">=", "→": "=>", "⇒": "=>", "，": ",", "（": "(", "）": ")"}
    meant = "-" if dash else same.get(char)
    return _error(
        at,
        at + 1,
        "GS1002",
        f"the character {quoted(char)} has no place outside a string",
        f"write {meant}" if meant else "",
    )


def string_finding(inner: str, offset: int, start: int, end: int) -> Finding:
    """The finding about an escape that is none.

    Args:
        inner: the text between the quotes.
        offset: where `inner` begins in the whole text.
        start: where the escape begins in `inner`.
        end: behind the escape.
    """
    escape = inner[start:end]
    kind = escape[1:2]
    if kind == "'":
        hint = "a single quote needs no backslash"
    elif kind in ("x", "u", "U"):
        digits = {"x": 2, "u": 4, "U": 8}[kind]
        hint = f"\\{kind} needs {digits} hexadecimal digits of a character; for the two characters write \\\\{kind}"
    elif kind.isdigit():
        hint = f"a backslash takes three octal digits up to \\377; for the two characters write \\\\{kind}"
    else:
        hint = f"write \\\\{kind}" if kind.isprintable() else "write \\\\"
    return _error(offset + start, offset + end, "GS1005", f"{quoted(escape)} is no escape of a string", hint)


def _error(start: int, end: int, code: str, message: str, hint: str) -> Finding:
    return Finding(start, end, Severity.ERROR, code, message, hint)
