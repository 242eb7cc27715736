r"""Regular expressions as the Collector's language takes them (Go, package regexp).

RE2 does the work: Go has the same syntax but for a few details, which are handled here. Go refuses `\C`, names of
groups beyond ASCII, and a thousand nested groups; it knows more words for `\p{…}`, and has no limit of memory.
Source: regexp/syntax/parse.go of Go 1.25.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # ships without types

from gitsync.ottl.literals.unicode_names import UNICODE_NAMES
from gitsync.wording import quoted

DEEPEST: Final = 999
"""Nested groups; Go counts the height of the tree, and refuses 1000."""
LONGEST: Final = 65_536
"""Characters that are compiled; a longer pattern is not judged."""
HEAVIEST: Final = 512
"""Instructions of a compiled pattern, beside two for each character; a heavier one is parsed, but not compiled: some
twenty characters can make a hundred thousand."""
REMEMBERED: Final = 512
"""Characters of a pattern whose verdict is remembered."""

_PIECE: Final = re.compile(r"\\Q.*?(?:\\E|\Z)|\\[pP]\{[^}]{0,99}\}|\\.|\(\?P?<[^>]{0,999}>|\[\^?\]?|.", re.DOTALL)
_WEIGHED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}|" + _PIECE.pattern, re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half a character, as JSON can write it; Go reads a replacement character."""
_WORD_WEIGHT: Final = 400
r"""Instructions of a class such as `\pL`, about."""
_ANY_WEIGHT: Final = 10
_PARSED_ONLY: Final = 4096
"""Bytes of memory with which nothing can be compiled."""
_HUGE: Final = re.compile(r"\{(?:\d{9,}(?:,\d*)?|\d+,\d{9,})\}")
_LOOKAROUND: Final = ("(?=", "(?!", "(?<=", "(?<!")


@dataclass(frozen=True, slots=True)
class Regex:
    """What is known of a pattern.

    Attributes:
        problem: why it is refused; empty when it is not.
        hint: what to do about it; may be empty.
        names: of its groups; empty too when nothing is known.
        known: whether it was compiled.
        groups: how many there are, with and without names; 0 too when nothing is known.
    """

    problem: str = ""
    hint: str = ""
    names: frozenset[str] = frozenset()
    known: bool = True
    groups: int = 0


def read_regex(pattern: str) -> Regex:
    """Judges one pattern. Time and memory are bounded; what is too large to compile counts as right, but not known."""
    return _remembered(pattern) if len(pattern) <= REMEMBERED else _read(pattern)


@lru_cache(maxsize=2048)
def _remembered(pattern: str) -> Regex:
    return _read(pattern)


def _read(pattern: str) -> Regex:
    if len(pattern) > LONGEST:
        return Regex(known=False)
    problem = (
        _go_only(pattern) if ("\\C" in pattern or "<" in pattern or "{" in pattern or len(pattern) > DEEPEST) else ""
    )
    if problem:
        return Regex(problem)
    try:
        compiled = _compile(pattern)
    except re2.error as error:
        return _refused(pattern, _reason(error))
    return Regex(names=frozenset(compiled.groupindex), groups=compiled.groups)


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    if _weight(pattern) > HEAVIEST + 2 * len(pattern):
        options.max_mem = _PARSED_ONLY
    return re2.compile(_SURROGATE.sub("\ufffd", pattern), options)


def _weight(pattern: str) -> int:
    """About how many instructions a pattern has once its repetitions are written out."""
    if "{" not in pattern and "\\p" not in pattern and "\\P" not in pattern:
        return 0
    levels, last, in_class = [0], 0, False
    for match in _WEIGHED.finditer(pattern):
        piece = match[0]
        is_word = piece[:2] in ("\\p", "\\P")
        if in_class:
            last, in_class = (_WORD_WEIGHT if is_word else 0), piece != "]"
        elif match[1]:
            last *= max(1, int(match[1][:4]), int((match[2] or "0")[:4])) - 1
        elif piece[0] == "(":
            levels.append(0)
            continue
        elif piece == ")" and len(levels) > 1:
            last = levels.pop()
        else:
            last, in_class = _WORD_WEIGHT if is_word else _ANY_WEIGHT if piece in (".", "[^") else 1, piece[0] == "["
        levels[-1] += last
    return sum(levels)


def _reason(error: Exception) -> str:
    words = error.args[0] if error.args else b""
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)


def _refused(pattern: str, reason: str) -> Regex:
    if "too large" in reason:
        return Regex(known=False)
    if "\\p" in reason or "\\P" in reason:
        replaced = _with_known_words(pattern)
        if replaced != pattern:
            try:
                compiled = _compile(replaced)
                return Regex(names=frozenset(compiled.groupindex), groups=compiled.groups)
            except re2.error as error:
                reason = _reason(error)
                if "too large" in reason:
                    return Regex(known=False)
    kind, _, what = reason.partition(": ")
    problem = f"the regular expression is wrong: {kind}" + (f" {quoted(what)}" if what else "")
    return Regex(problem, _advice(pattern, what))


def _advice(pattern: str, what: str) -> str:
    if any(one in pattern for one in _LOOKAROUND):
        return "there is no lookahead and no lookbehind: the Collector's expressions are RE2"
    if re.fullmatch(r"\\[1-9]", what):
        return "there are no backreferences: the Collector's expressions are RE2"
    if what.endswith(("*+", "++", "?+")) or "(?>" in pattern:
        return "there are no possessive or atomic groups: the Collector's expressions are RE2"
    if what == "\\Z":
        return "the end of the text is \\z"
    if what.startswith("*") or pattern.startswith(("*", "+", "?")):
        return "to match anything, write .*"
    return ""


def _go_only(pattern: str) -> str:
    """What RE2 takes and Go does not; empty when there is nothing."""
    if _HUGE.search(pattern):
        return "the regular expression is wrong: a repetition may count to 1000 at most"
    depth = 0
    in_class = False
    for piece in _PIECE.findall(pattern):
        if piece == "\\C" and not in_class:
            return "the regular expression is wrong: there is no \\C"
        if in_class:
            in_class = piece != "]"
        elif piece[0] == "[":
            in_class = True
        elif piece[0] == "(":
            depth += 1
            if depth > DEEPEST:
                return "the regular expression nests too deeply"
            if len(piece) > 1 and not piece.isascii():
                return f"the name of a group may hold letters a to z, digits and _ only: {quoted(piece)}"
        elif piece == ")":
            depth -= 1
    return ""


def _with_known_words(pattern: str) -> str:
    """The same pattern with a class that RE2 knows in place of every word that only Go knows."""

    def known(match: re.Match[str]) -> str:
        piece = match[0]
        if not piece.startswith(("\\p{", "\\P{")):
            return piece
        word = piece[3:-1].removeprefix("^").replace("-", "").replace("_", "").replace(" ", "").lower()
        return "\\pL" if word in UNICODE_NAMES else piece

    return _PIECE.sub(known, pattern)
