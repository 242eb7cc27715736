"""From a character of a value to its line and column in the file, for every way in which YAML writes a text.

A value's content is not what stands in the file: lines are folded, indentation goes, escapes become characters. The
source is read again along the content, in runs of characters that are the same in both; each run is compared. Where
anything differs from what is expected, the place of the whole value is the answer: late, but never wrong.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gitsync.collector.node import Origin, Scalar

_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""What the YAML parser counts as the end of a line."""
_FOLD = re.compile(r"[ \t]*(?:(?:\r\n|[\n\r\x85])[ \t]*)+")
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]+|(?:[ \t]*(?:#[^\n\r]*)?(?:\r\n|[\n\r]))+[ \t]*))+")
"""Anchor and tag in front of a value, with what separates them from it."""
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^xuU\r\n])")
_CONTINUED = re.compile(r"\\(?:\r\n|[\n\r\x85])[ \t]*")
_NORMAL = {
    "plain": re.compile(r"(?:[^ \t\n\r\x85\u2028\u2029]+|[ \t]+(?=[^ \t\n\r\x85\u2028\u2029]))+"),
    "'": re.compile(r"(?:[^ \t\n\r\x85\u2028\u2029']+|[ \t]+(?=[^ \t\n\r\x85\u2028\u2029]))+"),
    '"': re.compile(r"(?:[^ \t\n\r\x85\u2028\u2029\"\\]+|[ \t]+(?=[^ \t\n\r\x85\u2028\u2029]))+"),
}
"""Characters that stand for themselves; blanks only before something on the same line."""
_EMPTY_LINE = re.compile(r"(?:\r\n|[\n\r\x85])[ \t]*")
_HEADER = re.compile(r"[|>][0-9+-]*[ \t]*(?:#[^\n\r]*)?(\r\n|[\n\r\x85]|$)")
# A `\r\n` is one break and never two: with two ways to read it, a page of blank lines would take forever.
_FIRST = re.compile(r"(?:[ ]*(?:\r\n|\r(?!\n)|[\n\x85\u2028\u2029]))*([ ]*)(?=[^ \n\r\x85\u2028\u2029])")
_KNOWN = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/", "0": "\0", "r": "\r", " ": " ", "\t": "\t"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Runs in which content and source go side by side.

    Attributes:
        contents: offset in the content where each run begins, rising; the last one is the content's end.
        places: offset in the source of the same character.
    """

    contents: tuple[int, ...]
    places: tuple[int, ...]


def place(source: str, scalar: Scalar, offset: int) -> Origin:
    """Where the character at `offset` of a scalar's content stands in its file.

    Args:
        source: the text of the file that the scalar's origin names, without a byte order mark.
        scalar: as the parser gave it.
        offset: from 0 to the length of `scalar.text`, which means the end of the value.

    Returns:
        The place of the character, or of the escape that it is written as; for a space or line feed that folding
        makes, the end of the line. The scalar's own origin when the source does not fit to it.
    """
    layout = _layout(source, scalar)
    if layout is None or not 0 <= offset <= len(scalar.text):
        return scalar.origin
    run = bisect_right(layout.contents, offset) - 1
    at = layout.places[run] + offset - layout.contents[run]
    starts = _lines(source)
    line = bisect_right(starts, at) - 1
    return Origin(scalar.origin.path, line + 1, at - starts[line] + 1)


@lru_cache(maxsize=4)
def _lines(source: str) -> tuple[int, ...]:
    """Offsets at which lines begin."""
    return (0, *(match.end() for match in _BREAK.finditer(source)))


@lru_cache(maxsize=16)
def _layout(source: str, scalar: Scalar) -> _Layout | None:
    """How a scalar is laid out; None when the source does not fit to it."""
    starts = _lines(source)
    if not 1 <= scalar.origin.line <= len(starts):
        return None
    at = starts[scalar.origin.line - 1] + scalar.origin.column - 1
    if at > len(source):
        return None
    properties = _PROPERTIES.match(source, at) if source[at : at + 1] in ("&", "!") else None
    if properties is not None:
        at = properties.end()
    if scalar.style in ("|", ">"):
        runs = _block(source, at, scalar)
    else:
        if scalar.style != "plain":
            if source[at : at + 1] != scalar.style:
                return None
            at += 1
        runs = _flow(source, at, scalar)
    contents: list[int] = []
    places: list[int] = []
    done = 0
    for content, where, length in runs:
        if length < 0:
            return None
        contents.append(content)
        places.append(where)
        done = content + length
        at = where + length
    if done != len(scalar.text):
        return None
    contents.append(done)
    places.append(at)
    return _Layout(tuple(contents), tuple(places))


_Runs = Iterator[tuple[int, int, int]]
"""Offset in the content, offset in the source, length. A negative length: it does not fit."""
_MISFIT = (0, 0, -1)


def _flow(source: str, at: int, scalar: Scalar) -> _Runs:
    """Runs of a plain or quoted scalar."""
    text, style = scalar.text, scalar.style
    normal = _NORMAL[style]
    content = 0
    while content < len(text):
        # Not beyond the value: a file may be one line.
        match = normal.match(source, at, at + len(text) - content + 1)
        if match is not None:
            length = min(match.end() - at, len(text) - content)
            if source[at : at + length] != text[content : content + length]:
                yield _MISFIT
                return
            yield content, at, length
            content, at = content + length, at + length
            continue
        step = _quoted_step(source, at, text, content, style) if style != "plain" else None
        if step is None:
            fold = _FOLD.match(source, at)
            step = None if fold is None else _folded(fold, text, content)
        if step is None:
            yield _MISFIT
            return
        made, at_next, runs = step
        yield from runs
        content, at = content + made, at_next


_Step = tuple[int, int, list[tuple[int, int, int]]]
"""Characters of the content that were made, where the source goes on, and runs."""


def _quoted_step(source: str, at: int, text: str, content: int, style: str) -> _Step | None:
    r"""An escape, or a `\` at the end of a line; None when there is neither."""
    if style == "'":
        if source[at : at + 2] == "''" and text[content] == "'":
            return 1, at + 2, [(content, at, 1)]
        return None
    escape = _ESCAPE.match(source, at)
    if escape is not None:
        known = _KNOWN.get(escape[0][1])
        fits = known is None or text[content] == known
        return 1, escape.end(), [(content, at, 1 if fits else -1)]
    continued = _CONTINUED.match(source, at)
    if continued is None:
        return None
    # What follows are blank lines, if any: each is a line feed, without the one that was taken back.
    end = continued.end()
    runs: list[tuple[int, int, int]] = []
    while content + len(runs) < len(text) and text[content + len(runs)] == "\n":
        blank = _EMPTY_LINE.match(source, end)
        if blank is None:
            break
        runs.append((content + len(runs), end, 1))
        end = blank.end()
    return len(runs), end, runs


def _folded(fold: re.Match[str], text: str, content: int) -> _Step | None:
    """Line ends between two lines: one is a space, n of them are n - 1 line feeds."""
    ends = [match.start() + fold.start() for match in _BREAK.finditer(fold[0])]
    if len(ends) == 1:
        return (1, fold.end(), [(content, ends[0], 1)]) if text[content] == " " else None
    if text[content : content + len(ends) - 1] != "\n" * (len(ends) - 1):
        return None
    return len(ends) - 1, fold.end(), [(content + index, end, 1) for index, end in enumerate(ends[1:])]


def _block(source: str, at: int, scalar: Scalar) -> _Runs:
    """Runs of a literal or folded scalar."""
    header = _HEADER.match(source, at)
    if header is None or source[at] != scalar.style:
        yield _MISFIT
        return
    text, at, content = scalar.text, header.end(), 0
    indent, body = _indent(source, at, text), len(text.rstrip("\n"))
    ends: list[int] = []  # of lines that were passed, and whose trace in the content is not known yet
    while content < len(text):
        stop = _BREAK.search(source, at)
        end = len(source) if stop is None else stop.start()
        start = min(at + indent, end)
        if source[at:start].strip(" "):
            yield _MISFIT
            return
        if start < end:
            made = _between(ends, text, content)
            length = min(end - start, len(text) - content - len(made or ()))
            yield from (_MISFIT,) if made is None else made
            content += len(made or ())
            fits = source[start : start + length] == text[content : content + length]
            yield content, start, length if fits else -1
            content, ends = content + length, []
        if stop is None:
            return
        ends.append(end)
        at = stop.end()
        if content >= body and len(ends) == len(text) - content:
            yield from ((content + index, one, 1) for index, one in enumerate(ends))
            return


def _indent(source: str, at: int, text: str) -> int:
    """Columns that indentation takes: those of the first line with something on it, less its own blanks."""
    written = _blanks(source, at)
    return max(written - _blanks(text, 0), 0)


def _blanks(text: str, at: int) -> int:
    """Spaces in front of the first line, from an offset on, that is not blank."""
    match = _FIRST.match(text, at)
    return 0 if match is None else len(match[1])


def _between(ends: list[int], text: str, content: int) -> list[tuple[int, int, int]] | None:
    """What the ends of lines before a line became: line feeds, or one space, or all but one of them line feeds."""
    feeds = 0
    while feeds < len(ends) and text[content + feeds : content + feeds + 1] == "\n":
        feeds += 1
    if feeds == len(ends):
        return [(content + index, end, 1) for index, end in enumerate(ends)]
    if feeds and feeds == len(ends) - 1:
        return [(content + index, end, 1) for index, end in enumerate(ends[1:])]
    if len(ends) == 1 and text[content : content + 1] == " ":
        return [(content, ends[0], 1)]
    return None
