"""XPath expressions as the XML functions take them.

Source: github.com/antchfx/xpath v1.3.8, parse.go and build.go. What follows a whole expression is ignored there, so it
is here; expressions that this reader is not sure about count as right.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from gitsync.wording import quoted

DEEPEST: Final = 60
"""Nested expressions that are judged; the Collector takes 200."""
LONGEST: Final = 8192
"""Characters that are judged."""

AXES: Final = frozenset(
    {
        "ancestor",
        "ancestor-or-self",
        "attribute",
        "child",
        "descendant",
        "descendant-or-self",
        "following",
        "following-sibling",
        "namespace",
        "parent",
        "preceding",
        "preceding-sibling",
        "self",
    }
)
FUNCTIONS: Final = {
    **dict.fromkeys(("true", "false", "last", "position", "name", "local-name", "namespace-uri"), 0),
    **dict.fromkeys(("boolean", "number", "string", "normalize-space", "lower-case"), 0),
    **dict.fromkeys(("string-length", "not", "count", "sum", "ceiling", "floor", "round", "reverse"), 1),
    **dict.fromkeys(("starts-with", "ends-with", "contains", "matches", "substring"), 2),
    **dict.fromkeys(("substring-before", "substring-after", "concat", "string-join"), 2),
    **dict.fromkeys(("replace", "translate"), 3),
}
"""How many arguments each takes at least."""
NODE_TESTS: Final = frozenset({"node", "text", "comment", "processing-instruction"})

_NAME: Final = r"[A-Za-z_\u00c0-\ud7ff][A-Za-z0-9_.\-\u00b7-\ud7ff]*"
_TOKEN: Final = rf"""\s*(?:
      (?P<end>\Z)
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)
    | (?P<axis>{_NAME})\s*::
    | (?P<name>{_NAME}(?::(?:\*|[A-Za-z0-9_.\-\u00b7-\ud7ff]+))?)
    | (?P<sign>//|\.\.|<=|>=|!=|[,@()|*\[\]+\-=$<>./!])
    )"""


@cache
def _token() -> re.Pattern[str]:
    """Compiled when there is an XPath at all: its large ranges of letters take longer than most judgements."""
    return re.compile(_TOKEN, re.VERBOSE)


class _XPathError(Exception):
    pass


class _UnsureError(Exception):
    pass


def xpath_problem(expression: str) -> str | None:
    """Why this is no XPath expression; None when it is one, or when that is not clear."""
    if not expression:
        return "the XPath expression must not be empty"
    if len(expression) > LONGEST:
        return None
    try:
        _Reader(expression).expression(0)
    except _XPathError as error:
        return f"the XPath expression is wrong: {error}"
    except _UnsureError:
        return None
    return None


class _Reader:
    """Reads tokens one by one, as the original does: what follows the expression is never looked at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = ""
        self.word = ""
        self._next()

    def _next(self) -> None:
        found = _token().match(self._text, self._at)
        if found is None:
            rest = self._text[self._at :].lstrip()
            if rest[:1] in ('"', "'"):
                raise _XPathError("a text is not closed")
            if not rest[:1].isascii():
                raise _UnsureError
            raise _XPathError(f"{quoted(rest[:1])} means nothing here")
        self._at = found.end()
        self.kind = str(found.lastgroup)
        self.word = str(found[self.kind])

    def _sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.word in signs

    def _skip(self, sign: str) -> None:
        if not self._sign(sign):
            raise _XPathError(f"{quoted(sign)} is missing")
        self._next()

    def expression(self, depth: int) -> None:
        """Reads operands with operators between them; which binds tighter does not matter here."""
        if depth > DEEPEST:
            raise _UnsureError
        while True:
            while self._sign("-"):
                self._next()
            self._operand(depth)
            operator = self._sign("=", "!=", "<", ">", "<=", ">=", "+", "-", "*", "|")
            if not operator and not (self.kind == "name" and self.word in ("or", "and", "div", "mod")):
                return
            self._next()

    def _operand(self, depth: int) -> None:
        if self._primary(depth):
            if self._sign("["):
                self._predicate(depth)
            if not self._sign("/", "//"):
                return
            self._next()
        elif self._sign("/"):
            self._next()
            if not (self.kind in ("name", "axis") or self._sign(".", "..", "@", "*")):
                return
        elif self._sign("//"):
            self._next()
        self._steps(depth)

    def _is_call(self) -> bool:
        return self.kind == "name" and self._text[self._at :].lstrip().startswith("(")

    def _primary(self, depth: int) -> bool:
        if self.kind in ("text", "number"):
            self._next()
            return True
        if self._sign("$"):
            raise _XPathError("there are no variables")
        if self._sign("("):
            self._next()
            self.expression(depth + 1)
            self._skip(")")
            return True
        if self._is_call() and self.word not in NODE_TESTS:
            self._call(depth)
            return True
        return False

    def _call(self, depth: int) -> None:
        name = self.word
        self._next()
        self._skip("(")
        count = 0
        while not self._sign(")"):
            self.expression(depth + 1)
            count += 1
            if not self._sign(")"):
                self._skip(",")
        self._next()
        least = FUNCTIONS.get(name)
        if least is None:
            raise _XPathError(f"there is no function {quoted(name)}")
        if count < least:
            raise _XPathError(f"{name} takes {least} argument{'s' if least > 1 else ''} at least")

    def _predicate(self, depth: int) -> None:
        self._skip("[")
        self.expression(depth + 1)
        self._skip("]")

    def _steps(self, depth: int) -> None:
        while True:
            self._step(depth)
            if not self._sign("/", "//"):
                return
            self._next()

    def _step(self, depth: int) -> None:
        if self._sign(".", ".."):
            self._next()
        elif self._sign("("):
            raise _UnsureError
        else:
            if self._sign("@"):
                self._next()
            elif self.kind == "axis":
                if self.word not in AXES:
                    raise _XPathError(f"there is no axis {quoted(self.word)}")
                self._next()
            self._node_test()
        while self._sign("["):
            self._predicate(depth)

    def _node_test(self) -> None:
        if self._is_call() and self.word in NODE_TESTS:
            instruction = self.word == "processing-instruction"
            self._next()
            self._skip("(")
            if instruction and self.kind == "text":
                self._next()
            self._skip(")")
        elif self.kind == "name" or self._sign("*"):
            self._next()
        elif self.kind == "end":
            raise _XPathError("it ends where a name should follow")
        else:
            raise _XPathError(f"a name should stand in place of {quoted(self.word)}")
