"""expr-lang expressions of log operators: a check of syntax, and of the types that are certain.

Everything that a log record brings is unknown, so is what functions give back: only faults that the Collector's
compiler must find are reported (expr-lang/expr parser/parser.go, checker/checker.go). Depth and length are bounded;
what goes beyond is not judged.
"""

from __future__ import annotations

from gitsync.collector.rules.stanza.operands import (
    COMPARED,
    CONSTANTS,
    NAMES,
    Type,
    check_pattern,
    combined,
    negated,
    number_type,
)
from gitsync.collector.rules.stanza.tokens import BadExpression, Token, tokens_of

_DEPTH = 60
_LENGTH = 10_000
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    ">=": 20,
    "<=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_RIGHT = ("**", "^")
_NEGATED = ("contains", "matches", "startsWith", "endsWith", "in")
_QUESTIONS = frozenset({"all", "none", "any", "one"})
_PREDICATES = _QUESTIONS | {
    "count",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "groupBy",
    "map",
    "reduce",
    "sortBy",
    "sum",
}
"""Functions whose second argument looks at one element (`#`)."""


class _TooDeep(Exception):
    """Beyond what is judged."""


def check_expression(text: str, *, condition: bool = True) -> tuple[str, int] | None:
    """Why a text is no expression, and the offset of the fault; None when it is one, or is not judged.

    Args:
        text: the expression.
        condition: it must be true or false (helper/expr_string.go `ExprCompileBool`).
    """
    if len(text) > _LENGTH:
        return None
    try:
        parser = _Parser(tokens_of(text))
        kind = parser.whole()
    except BadExpression as bad:
        return bad.message, bad.at
    except _TooDeep:
        return None
    if condition and kind not in ("bool", "unknown"):
        return f"it is {NAMES[kind]}, but must be true or false", 0
    return None


class _Parser:
    """Reads tokens by precedence and gives back types; one per expression."""

    __slots__ = ("_at", "_depth", "_predicates", "_tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._predicates = 0

    def whole(self) -> Type:
        kind = self._sequence()
        if self._now.kind != "end":
            raise self._unexpected()
        return kind

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self._now
        if token.kind != "end":
            self._at += 1
        return token

    def _unexpected(self) -> BadExpression:
        token = self._now
        if token.kind == "end":
            return BadExpression("it ends too early", token.at)
        if token.is_operator("="):
            return BadExpression('"=" has no meaning here; "==" compares', token.at)
        if token.is_operator("&"):
            return BadExpression('"&" has no meaning here; write "and" or "&&"', token.at)
        return BadExpression(f'"{token.value}" is not expected here', token.at)

    def _bracket(self, value: str) -> None:
        if not self._now.is_bracket(value):
            raise self._unexpected()
        self._advance()

    def _operator(self, value: str) -> None:
        if not self._now.is_operator(value):
            raise self._unexpected()
        self._advance()

    def _name(self) -> Token:
        if self._now.kind != "name":
            raise self._unexpected()
        return self._advance()

    def _sequence(self) -> Type:
        kind = self._expression(0)
        while self._now.is_operator(";"):
            self._advance()
            if self._now.kind == "end":
                break
            kind = self._expression(0)
        return kind

    def _expression(self, precedence: int) -> Type:
        self._depth += 1
        if self._depth > _DEPTH:
            raise _TooDeep
        try:
            if precedence == 0 and self._now.is_operator("let"):
                return self._variable()
            if precedence == 0 and self._now.is_operator("if"):
                return self._if()
            kind = self._operators(self._primary(), precedence)
            return self._ternary(kind) if precedence == 0 else kind
        finally:
            self._depth -= 1

    def _operators(self, left: Type, precedence: int) -> Type:
        before = ""
        while self._now.kind == "operator":
            start = self._at
            token = self._advance()
            negated = token.value == "not"
            if negated:
                token = self._now
                if token.value not in _NEGATED:
                    raise self._unexpected()
                self._advance()
            level = _BINARY.get(token.value)
            if level is None or level < precedence:
                self._at = start
                break
            if before == "??" and token.value != "??":
                raise BadExpression(f'"??" and "{token.value}" need parentheses', token.at)
            left = self._binary(left, token, level)
            before = token.value
        return left

    def _binary(self, left: Type, token: Token, level: int) -> Type:
        if token.value == "|":
            return self._call(self._name(), piped=True)
        if token.value in COMPARED:
            return self._comparison(left, token, level)
        beside = self._now
        right = self._expression(level if token.value in _RIGHT else level + 1)
        if token.value == "matches" and beside.kind == "string" and self._tokens[self._at - 1] is beside:
            check_pattern(beside)
        return combined(left, token, right)

    def _comparison(self, left: Type, token: Token, level: int) -> Type:
        """Comparisons can be chained: `1 < a < 5`."""
        while True:
            right = self._expression(level + 1)
            combined(left, token, right)
            if not self._now.is_operator(*COMPARED):
                return "bool"
            left, token = right, self._advance()

    def _ternary(self, kind: Type) -> Type:
        while self._now.is_operator("?"):
            at = self._advance().at
            if kind not in ("bool", "unknown"):
                raise BadExpression(f'what stands before "?" is {NAMES[kind]}, not true or false', at)
            if self._now.is_operator(":"):
                self._advance()
                self._expression(0)
                kind = "unknown"
                continue
            first = self._expression(0)
            self._operator(":")
            second = self._expression(0)
            kind = first if first == second else "unknown"
        return kind

    def _variable(self) -> Type:
        self._advance()
        self._name()
        self._operator("=")
        self._expression(0)
        self._operator(";")
        return self._sequence()

    def _if(self) -> Type:
        kinds: list[Type] = []
        while True:
            self._advance()
            self._expression(0)
            kinds.append(self._block())
            self._operator("else")
            if not self._now.is_operator("if"):
                break
        kinds.append(self._block())
        return kinds[0] if len(set(kinds)) == 1 else "unknown"

    def _block(self) -> Type:
        self._bracket("{")
        kind = self._sequence()
        self._bracket("}")
        return kind

    def _primary(self) -> Type:
        token = self._now
        if token.kind == "operator":
            if token.value in _UNARY:
                self._advance()
                return self._postfix(negated(token, self._expression(_UNARY[token.value])))
            if self._predicates and token.value in ("#", "."):
                return self._pointer(token)
            if token.value == "::":
                self._advance()
                return self._postfix(self._call(self._name()))
        if token.is_bracket("("):
            self._advance()
            kind = self._sequence()
            self._bracket(")")
            return self._postfix(kind)
        return self._literal(token)

    def _pointer(self, token: Token) -> Type:
        """`#`, `#name` or `.name`: the element that a predicate looks at."""
        if token.value == "#":
            self._advance()
            if self._now.kind == "name" and self._now.at == token.at + 1:
                self._advance()
        return self._postfix("unknown")

    def _literal(self, token: Token) -> Type:
        if token.kind == "name":
            self._advance()
            if token.value in CONSTANTS:
                return CONSTANTS[token.value]
            return self._postfix(self._call(token) if self._now.is_bracket("(") else "unknown")
        if token.kind == "number":
            self._advance()
            return number_type(token)
        if token.kind in ("string", "bytes"):
            self._advance()
            return self._postfix("text" if token.kind == "string" else "bytes")
        if token.is_bracket("["):
            self._advance()
            self._items("]")
            return self._postfix("list")
        if token.is_bracket("{"):
            self._advance()
            self._pairs()
            return self._postfix("map")
        raise self._unexpected()

    def _items(self, closing: str) -> int:
        count = 0
        while not self._now.is_bracket(closing):
            if count:
                self._operator(",")
                if self._now.is_bracket(closing):
                    break
            self._expression(0)
            count += 1
        self._advance()
        return count

    def _pairs(self) -> None:
        count = 0
        while not self._now.is_bracket("}"):
            if count:
                self._operator(",")
                if self._now.is_bracket("}"):
                    break
            if self._now.kind in ("number", "string", "name"):
                self._advance()
            elif self._now.is_bracket("("):
                self._expression(0)
            else:
                raise self._unexpected()
            self._operator(":")
            self._expression(0)
            count += 1
        self._advance()

    def _call(self, function: Token, *, piped: bool = False) -> Type:
        if function.value not in _PREDICATES:
            self._bracket("(")
            self._items(")")
            return "unknown"
        self._bracket("(")
        place = int(piped)
        while not self._now.is_bracket(")"):
            if place == 1:
                self._predicate()
            else:
                self._expression(0)
            place += 1
            if not self._now.is_operator(","):
                break
            self._advance()
        self._bracket(")")
        return "bool" if function.value in _QUESTIONS else "unknown"

    def _predicate(self) -> None:
        self._predicates += 1
        if self._now.is_bracket("{"):
            self._block()
        else:
            self._expression(0)
        self._predicates -= 1

    def _postfix(self, kind: Type) -> Type:
        while True:
            token = self._now
            if token.is_operator(".", "?."):
                self._advance()
                if token.value == "?." and self._now.is_bracket("["):
                    continue
                name = self._advance()
                if name.kind != "name" and not (name.kind == "operator" and name.value.isalpha()):
                    raise BadExpression(f'a name must follow "{token.value}"', name.at)
                if self._now.is_bracket("("):
                    self._advance()
                    self._items(")")
            elif token.is_bracket("["):
                self._advance()
                self._index()
            else:
                return kind
            kind = "unknown"

    def _index(self) -> None:
        if not self._now.is_operator(":"):
            self._expression(0)
        if self._now.is_operator(":"):
            self._advance()
            if not self._now.is_bracket("]"):
                self._expression(0)
        self._bracket("]")
