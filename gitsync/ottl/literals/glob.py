"""Globs as `replace_match` and `replace_all_matches` take them.

Source: github.com/gobwas/glob v0.2.3, syntax/lexer/lexer.go and syntax/ast/parser.go. Only what stands in `[…]` can be
wrong: a range `[a-z]` or `[!a-z]` of two single characters, or a list `[abc]` up to the first `]`.
"""

from __future__ import annotations


def glob_problem(pattern: str) -> str | None:
    """Why this is no glob; None when it is one. The end of the text or a NUL inside ends a glob early."""
    if "\ufffd" in pattern:
        return "the glob is wrong: it holds a character that stands for broken text"
    at = 0
    while at < len(pattern) and pattern[at] != "\0":
        char = pattern[at]
        if char == "\\":
            at += 2
        elif char == "[":
            end = _range_end(pattern, at + 1)
            if isinstance(end, str):
                return end
            at = end
        else:
            at += 1
    return None


def _range_end(pattern: str, at: int) -> int | str:
    """The offset behind `]`, or what is wrong; `at` is behind `[`."""
    if pattern[at : at + 1] == "!":
        at += 1
    first = pattern[at : at + 1]
    if first in ("", "\0"):
        return "the glob is wrong: [ is not closed"
    if pattern[at + 1 : at + 2] == "-":
        last, closing = pattern[at + 2 : at + 3], pattern[at + 3 : at + 4]
        if last in ("", "\0") or closing in ("", "\0"):
            return "the glob is wrong: [ is not closed"
        if closing != "]":
            return "the glob is wrong: a range holds two characters and a - only"
        if last < first:
            return "the glob is wrong: the range ends before it begins"
        return at + 4
    found = False
    while at < len(pattern) and pattern[at] not in "]\0":
        at += 2 if pattern[at] == "\\" else 1
        found = True
    if at >= len(pattern) or pattern[at] == "\0":
        return "the glob is wrong: [ is not closed"
    return at + 1 if found else "the glob is wrong: there is nothing between [ and ]"
