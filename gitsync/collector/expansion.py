"""`${…}` in values: what the Collector fills in, what it refuses, and what it leaves as it stands.

The rules are those of confmap (expand.go, resolver.go, provider/*), in the order in which it works:

1. A text is looked at only if it has both `${` and `}`. The first `}` closes the nearest `${` before it, so the
   inner one of nested references is filled in first.
2. An odd number of `$` in front of `${` is an escape, and ends the search: whatever follows in the same text is not
   filled in either, except where it repeats a reference that already was.
3. `${NAME}` is `${env:NAME}`. A reference needs a scheme of two characters or more that a provider serves, and has
   no `$` inside. The name of a variable is `[a-zA-Z_][a-zA-Z0-9_]*`, `:-` begins its default.
4. At the end `$$` becomes `$`, from left to right. Keys are never looked at.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection
from collections.abc import Mapping as Sources
from dataclasses import dataclass
from functools import lru_cache

from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Origin, Scalar, Sequence
from gitsync.collector.places import place
from gitsync.wording import did_you_mean, quoted

CORE_SCHEMES = frozenset({"env", "file", "http", "https", "yaml"})
"""Of the providers that every distribution has."""
CONTRIB_SCHEMES = CORE_SCHEMES | {"aes", "googlesecretmanager", "s3", "secretsmanager"}
"""Of the providers in the contrib distribution."""

_BRACES = re.compile(r"\$\{|\}")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DEFAULT = ":-"
_LOOKS_MEANT = re.compile(r"\$(?:([A-Z_][A-Z0-9_]+)(?![A-Za-z0-9_{(])|\(([A-Z_][A-Z0-9_]+)\))")
"""`$NAME` and `$(NAME)`; lower-case and numbered ones are groups of regular expressions."""
_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_MOST = 1000
"""References in one text: the Collector gives up at that many rounds, and fills in one each round."""
_LOOKED_AT = 2_000_000
"""Characters inside of references that are looked at; nested ones count once for each level."""
_FILLERS = "\x00\x01\x02\x03"
"""Stand for what a reference becomes; at least one of them is in no text that a person wrote."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One `${…}` that the Collector fills in.

    Attributes:
        start: offset of the `$`.
        end: offset behind the `}`.
        inside: what stands between the braces; references inside it are blanked out.
    """

    start: int
    end: int
    inside: str


@dataclass(frozen=True, slots=True)
class Expanded:
    """What a component sees of a text, as far as it is known here.

    Attributes:
        text: with `$$` as `$`; references stand in it as written.
        holes: offsets in `text` where a reference begins and ends; only the outer ones.
        drops: offsets in `text` before which a `$` was dropped.
    """

    text: str
    holes: tuple[tuple[int, int], ...] = ()
    drops: tuple[int, ...] = ()

    @property
    def known(self) -> bool:
        """Whether nothing is filled in by the agent."""
        return not self.holes

    @property
    def typed(self) -> bool:
        """Whether the value is nothing but references: the agent may find a number, a list, or nothing."""
        return bool(self.holes) and sum(end - start for start, end in self.holes) == len(self.text)

    @property
    def literal(self) -> str:
        """The text without its references."""
        starts, ends = [start for start, _ in self.holes], [end for _, end in self.holes]
        return "".join(self.text[end:start] for end, start in zip([0, *ends], [*starts, len(self.text)], strict=True))

    def offset(self, index: int) -> int:
        """The place in the scalar's content of the character at `index` of `text`."""
        return index + bisect_right(self.drops, index)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the Collector would do with a text.

    Attributes:
        references: in the order in which they are filled in.
        escape: offset of the escaped `${` at which it stops; None when there is none.
        left: references behind that escape, which stay as they are.
        open: offset of a `${` that nothing closes; None when there is none.
        filled: the text with every reference blanked out, of the same length.
        too_many: whether the Collector gives up on it.
    """

    references: tuple[Reference, ...]
    escape: int | None
    left: tuple[tuple[int, int], ...]
    open: int | None
    filled: str
    too_many: bool = False


def expand(text: str) -> Expanded:
    """What a component sees of a text."""
    return Expanded(text) if "$" not in text else _expanded(text)


@lru_cache(maxsize=64)
def _expanded(text: str) -> Expanded:
    """An alias may repeat a long text without end."""
    reading = _read(text)
    pieces: list[str] = []
    drops: list[int] = []
    at = 0
    for match in re.finditer(r"\$\$", reading.filled):
        pieces.append(text[at : match.start() + 1])
        at = match.end()
        drops.append(match.start() + 1 - len(drops))
    pieces.append(text[at:])
    ends = [-1]
    holes = []
    for one in sorted(reading.references, key=lambda one: (one.start, -one.end)):
        if one.start > ends[-1]:
            ends.append(one.end - 1)
            dropped = _dropped_before(drops, one.start)
            holes.append((one.start - dropped, one.end - dropped))
    return Expanded("".join(pieces), tuple(holes), tuple(drops))


def providers_of(text: str) -> tuple[str, ...]:
    """The scheme of every reference in a text that the Collector fills in; `env` for a bare name.

    Empty for one that is itself filled in: only the agent knows it.
    """
    filler = _filler(text)
    found: list[str] = []
    for one in _read(text).references:
        match = _URI.fullmatch(one.inside)
        filled = filler in one.inside.partition(":")[0]
        found.append("" if filled else "env" if match is None else match[1])
    return tuple(found)


def _dropped_before(drops: list[int], offset: int) -> int:
    """How many `$` were dropped before an offset of the content."""
    low, high = 0, len(drops)
    while low < high:
        middle = (low + high) // 2
        if drops[middle] + middle < offset:
            low = middle + 1
        else:
            high = middle
    return low


def check_expansions(
    node: Node,
    findings: Findings,
    schemes: Collection[str] | None = CONTRIB_SCHEMES,
    sources: Sources[str, str] | None = None,
) -> None:
    """Reports every `${…}` that the Collector refuses (GS0220 to GS0223) or leaves as it is (GS0224 to GS0227).

    Args:
        node: a whole tree.
        findings: takes the errors and warnings.
        schemes: of the distribution's providers; None when they are not known.
        sources: texts of files by path, for exact places inside of values; without them a finding stands at the value.
    """
    texts = sources or {}
    seen: set[int] = set()
    waiting: list[Node] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Scalar):
            if one.tag == "str" and "$" in one.text and id(one) not in seen:
                seen.add(id(one))
                _Check(one, texts.get(one.origin.path), findings, schemes).run()
        elif id(one) not in seen:
            # An alias shares its node: a bomb of aliases is looked at once.
            seen.add(id(one))
            if isinstance(one, Sequence):
                waiting.extend(one.items)
                continue
            for entry in one.entries:
                waiting.append(entry.value)
                if "${" in entry.key:
                    findings.warning(
                        entry.key_origin,
                        "GS0227",
                        f"the Collector does not fill in the key {quoted(entry.key)}",
                        "references work in values only; write the key out",
                    )


class _Check:
    """One text with a `$`."""

    def __init__(self, scalar: Scalar, source: str | None, findings: Findings, schemes: Collection[str] | None) -> None:
        self._scalar = scalar
        self._source = source
        self._findings = findings
        self._schemes = schemes

    def run(self) -> None:
        reading = _read(self._scalar.text)
        filler = _filler(self._scalar.text)
        if reading.too_many:
            message = f"more than {_MOST} references in one text"
            self._findings.error(self._scalar.origin, "GS0220", message, "the Collector gives up on it; split the text")
            return
        for one in reading.references:
            self._reference(one, filler)
        if reading.left and reading.escape is not None:
            start, end = reading.left[0]
            self._findings.warning(
                self._place(start),
                "GS0226",
                f"{_shown(self._scalar.text[start:end])} stays as it is, because an escaped reference stands before it",
                'after "$${" the Collector fills in nothing more in the same text; put the references first',
            )
        elif reading.open is not None:
            self._findings.warning(
                self._place(reading.open),
                "GS0224",
                'a "${" without "}" stays as it is',
                'add the "}", or write "$${" if it is meant as text',
            )
        self._single(reading.filled)

    def _place(self, offset: int) -> Origin:
        return self._scalar.origin if self._source is None else place(self._source, self._scalar, offset)

    def _error(self, one: Reference, code: str, message: str, hint: str) -> None:
        self._findings.error(self._place(one.start), code, message, hint)

    def _reference(self, one: Reference, filler: str) -> None:
        inside = one.inside
        written = _shown(self._scalar.text[one.start : one.end])
        if ":" not in inside:
            if filler not in inside:
                self._variable(one, inside, written)
            return
        match = _URI.fullmatch(inside)
        scheme = inside.partition(":")[0]
        if filler in scheme:
            return  # only the agent knows
        if match is None or not self._serves(scheme):
            self._scheme(one, scheme, written, certain=match is None or self._schemes is not None)
        elif "$" in match[2]:
            hint = 'write "${env:NAME}" for a variable inside it'
            self._error(one, "GS0223", f'{written} has a "$" inside, which the Collector refuses', hint)
        elif scheme == "env" and filler not in match[2].partition(_DEFAULT)[0]:
            self._variable(one, match[2], written)

    def _serves(self, scheme: str) -> bool:
        return scheme in (CONTRIB_SCHEMES if self._schemes is None else self._schemes)

    def _variable(self, one: Reference, inside: str, written: str) -> None:
        name, _, _ = inside.partition(_DEFAULT)
        if _NAME.fullmatch(name):
            return
        if name == "":
            self._error(one, "GS0220", f"{written} names nothing", 'write "${env:NAME}", or "$${" for a text')
            return
        before, colon, _ = name.partition(":")
        if name.isdigit():
            hint = f'write "$${{{name}}}" for a group of a regular expression'
        elif name.strip() != name:
            hint = "remove the spaces"
        elif ":" in name:
            hint = f'a default stands after ":-": "${{env:{before}:-…}}"'
        else:
            hint = 'letters, digits and "_", no digit first; write "$${" if it is meant as text'
        shown = f"{before}:…" if colon else name
        self._error(one, "GS0221", f"{quoted(shown)} is no name of an environment variable", hint)

    def _scheme(self, one: Reference, scheme: str, written: str, *, certain: bool) -> None:
        _, dash, _ = one.inside.partition(_DEFAULT)
        if self._findings.full:
            hint = ""
        elif _NAME.fullmatch(scheme) and dash and one.inside.startswith(scheme + _DEFAULT):
            hint = f'write "${{env:{scheme}:-…}}": only "env:" takes a default'
        else:
            hint = did_you_mean(scheme, sorted(self._schemes or CONTRIB_SCHEMES)) or (
                'write "${env:NAME}" for a variable, or "$${" for a text'
            )
        message = f"{written} has no scheme that a provider serves"
        report = self._findings.error if certain else self._findings.warning
        report(self._place(one.start), "GS0222", message, hint)

    def _single(self, filled: str) -> None:
        match = _WHOLE.fullmatch(filled) or _LOOKS_MEANT.search(filled.replace("$$", "  "))
        if match is not None:
            name = next(group for group in match.groups() if group)
            self._findings.warning(
                self._place(match.start()),
                "GS0225",
                f"{quoted(match[0])} stays as it is",
                f'write "${{env:{name}}}" for the variable, or "$${match[0][1:]}" for the text',
            )


def _shown(reference: str) -> str:
    """A reference for a message, without its default: that may be a password."""
    before, dash, _ = reference.partition(_DEFAULT)
    return quoted(f"{before}{dash}…}}" if dash else reference)


def _filler(text: str) -> str:
    return next((char for char in _FILLERS if char not in text), _FILLERS[0])


def _read(text: str) -> _Reading:
    """Works through a text as the Collector does, once, from left to right."""
    if "${" not in text or "}" not in text:
        start = text.find("${")
        return _Reading((), None, (), None if start < 0 or _is_escaped(text, start) else start, text)
    filler = _filler(text)
    filled = list(text)
    references: list[Reference] = []
    done: set[str] = set()
    left: list[tuple[int, int]] = []
    escape: int | None = None
    opened: list[int] = []
    looked_at = 0
    for match in _BRACES.finditer(text):
        if match[0] != "}":
            opened.append(match.start())
            continue
        if not opened:
            continue
        start, end = opened.pop(), match.end()
        looked_at += end - start
        if looked_at > _LOOKED_AT or len(done) >= _MOST:
            whole = (Reference(0, len(text), ""),)
            return _Reading(whole, None, (), None, filler * len(text), too_many=True)
        inside = "".join(filled[start + 2 : end - 1])
        escaped = _is_escaped(text, start)
        if escape is not None and inside not in done:
            if not escaped:
                left.append((start, end))
            continue
        if escaped and inside not in done:
            escape = start
            continue
        done.add(inside)
        references.append(Reference(start, end, inside))
        filled[start:end] = filler * (end - start)
    unclosed = next((one for one in opened if not _is_escaped(text, one)), None)
    return _Reading(tuple(references), escape, tuple(left), unclosed, "".join(filled))


def _is_escaped(text: str, start: int) -> bool:
    """Whether an odd number of `$` stands before the `${` at `start`."""
    before = start
    while before and text[before - 1] == "$":
        before -= 1
    return (start - before) % 2 == 1
