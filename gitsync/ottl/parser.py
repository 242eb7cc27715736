"""The tree of an OTTL text, or what is wrong with it and where.

Source: pkg/ottl/grammar.go. The Collector's parser tries one alternative after the other; this one looks ahead instead
and never reads a token twice, but accepts the same texts. What that rests on:

- `=>` is read by a lambda only, an operator by arithmetic only, a comparison by a comparison only: whoever meets one
  must go on with it, there is no other way to a valid text.
- `(` in a condition holds a condition or arithmetic. One function reads both (`_mixed`), and what came out decides.
- `[…]` behind a path is an index, or the next entry of a list whose comma is missing (`[a [1, 2]]`). It is read as a
  list, and becomes an index when it is one; if not, the list around it finds it in `_spare`.
- A name in front of `(` is a call, except for `[foo (_) => 1]`: `_` cannot be an argument, so that this is two entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gitsync.diagnostics import Severity
from gitsync.ottl import lexer as t
from gitsync.ottl import mistakes
from gitsync.ottl.finding import Finding
from gitsync.ottl.lexer import Tokens, tokenize
from gitsync.ottl.tree import (
    Argument,
    Arithmetic,
    Boolean,
    Bytes,
    Call,
    Comparison,
    Condition,
    Field,
    Float,
    Integer,
    Items,
    Key,
    Kind,
    Lambda,
    Logic,
    Name,
    Nil,
    Not,
    Pair,
    Pairs,
    Path,
    Root,
    Signed,
    Statement,
    Text,
    Value,
)

DEEPEST: Final = 64
"""Brackets inside each other. Reading and checking recurse, so that there must be a bound."""
MOST_OPERATORS: Final = 150
"""Operators of arithmetic in one text: each makes the tree higher by one."""
LARGEST_INT: Final = 2**63 - 1

Operator: TypeAlias = Literal["+", "-", "*", "/"]
Comparator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
_OPERATOR: Final[dict[str, Operator]] = {"+": "+", "-": "-", "*": "*", "/": "/"}
_COMPARISON: Final[dict[str, Comparator]] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONDITIONS: Final = (Comparison, Boolean, Call, Not, Logic)
_NUMERIC: Final = (Path, Integer, Call, Arithmetic, Signed, Float)
_OPERATORS: Final = frozenset((t.ADD, t.MULTIPLY))
_WORDS: Final = frozenset((t.LOWER, t.UPPER))
_PARAMETERS: Final = frozenset((t.LOWER, t.BLANK))


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of a text.

    Attributes:
        root: None when there is an error.
        findings: errors, in the order of the text.
    """

    root: Root | None
    findings: tuple[Finding, ...] = ()


def parse(text: str, kind: Kind) -> Parsed:
    """Reads a text of OTTL. Whatever the text, nothing is raised, and time grows linearly with it."""
    tokens, findings = tokenize(text)
    if findings:
        return Parsed(None, findings)
    parser = _Parser(tokens)
    try:
        return Parsed(parser.root(kind))
    except _RefusedError as refused:
        return Parsed(None, (refused.finding,))


class _RefusedError(Exception):
    """The text is wrong; nothing else was read."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class _Parser:
    """One pass over the tokens of one text; `at` is the next token."""

    __slots__ = ("_blank", "_name", "_spare", "at", "depth", "ends", "kinds", "operators", "starts", "tokens", "values")

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.kinds = tokens.kinds
        self.values = tokens.values
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.at = 0
        self.depth = 0
        self.operators = 0
        self._name = (0, 0)
        self._blank = (0, False)
        self._spare: tuple[int, Items, int] | None = None

    # roots

    def root(self, kind: Kind) -> Root:
        if self.kinds[0] == t.END:
            raise self._refused(0, "GS1001", f"the {kind} is empty", "write something, or leave the entry out")
        found: Root
        if kind == "statement":
            found = self._statement()
        elif kind == "condition":
            found = self._condition()
        else:
            found = self._value()
        if self.kinds[self.at] != t.END:
            raise _RefusedError(mistakes.trailing(self.tokens, self.at, kind))
        return found

    def _statement(self) -> Statement:
        start = self.at
        behind = self._behind_name(start) if self.kinds[start] in _WORDS else start
        if behind == start or self.kinds[behind] != "(" or self.kinds[start] == t.UPPER:
            raise _RefusedError(mistakes.no_editor(self.tokens, start, behind))
        editor = self._call(behind, with_keys=False)
        condition: Condition | None = None
        if self.kinds[self.at] == t.LOWER and self.values[self.at] == "where":
            self.at += 1
            condition = self._condition()
        return Statement(self.starts[start], self.ends[self.at - 1], editor, condition)

    # conditions

    def _condition(self) -> Condition:
        start = self.at
        return self._must_hold(self._mixed(), start)

    def _mixed(self) -> Condition | Value:
        """A condition, or a value alone: a body of a lambda and what stands in brackets may be either."""
        start = self.at
        kinds = self.kinds
        first = self._clause()
        kind = kinds[self.at]
        if kind != t.AND and kind != t.OR:
            return first
        branches = [self._conjunction(start, first)]
        while kinds[self.at] == t.OR:
            self.at += 1
            branch = self.at
            branches.append(self._conjunction(branch, self._clause()))
        if len(branches) == 1:
            return branches[0]
        return Logic(self.starts[start], self.ends[self.at - 1], "or", tuple(branches))

    def _conjunction(self, start: int, first: Condition | Value) -> Condition:
        """`first`, which begins at token `start`, and all that `and` joins to it."""
        parts = [self._must_hold(first, start)]
        while self.kinds[self.at] == t.AND:
            self.at += 1
            part = self.at
            parts.append(self._must_hold(self._clause(), part))
        if len(parts) == 1:
            return parts[0]
        return Logic(self.starts[start], self.ends[self.at - 1], "and", tuple(parts))

    def _clause(self) -> Condition | Value:
        """Between two words: a comparison, a condition, or a value alone."""
        start = self.at
        kind = self.kinds[start]
        if kind == t.NOT:
            self.at += 1
            if self.kinds[self.at] == t.NOT:
                raise _RefusedError(mistakes.double_not(self.tokens, self.at))
            inner = self._must_hold(self._clause(), start + 1)
            return Not(self.starts[start], self.ends[self.at - 1], inner)
        left: Condition | Value
        if kind == "(" and not self._is_lambda(start):
            left = self._group()
            if isinstance(left, (Comparison, Boolean, Not, Logic)):
                return left
            if self.kinds[self.at] in _OPERATORS:
                left = self._sum(start, left)
        else:
            left = self._value()
        if self.kinds[self.at] != t.COMPARE:
            return left
        operator = _COMPARISON[self.values[self.at]]
        self.at += 1
        right = self._value()
        return Comparison(self.starts[start], self.ends[self.at - 1], operator, left, right)

    def _group(self) -> Condition | Value:
        """`(` something that holds or not, or arithmetic, and `)`."""
        start = self.at
        self._enter()
        inner_start = self.at
        inner = self._mixed()
        self._close(")", "a comparison, and, or, or )")
        if not isinstance(inner, (*_CONDITIONS, *_NUMERIC)):
            self._must_hold(inner, inner_start, brackets=start)
        return inner

    def _must_hold(self, node: Condition | Value, start: int, brackets: int | None = None) -> Condition:
        """The node, if it can be true or false."""
        if isinstance(node, _CONDITIONS):
            return node
        raise _RefusedError(
            mistakes.no_condition(self.tokens, start, self.at - (brackets is not None), node.start, node.end)
        )

    # values

    def _value(self) -> Value:
        at = self.at
        kind = self.kinds[at]
        if kind == t.STRING:
            self.at = at + 1
            return Text(self.starts[at], self.ends[at], self.values[at])
        if kind == t.LOWER or kind == t.INT or kind == t.FLOAT or kind == t.ADD:
            return self._sum(at, None)
        if kind == t.UPPER:
            return self._upper()
        if kind == "(":
            return self._lambda() if self._is_lambda(at) else self._sum(at, None)
        if kind == "[":
            return self._list()
        if kind == "{":
            return self._map()
        return self._word(at, kind)

    def _word(self, at: int, kind: str) -> Value:
        if kind == t.BOOL:
            node: Value = Boolean(self.starts[at], self.ends[at], self.values[at] == "true")
        elif kind == t.NIL:
            node = Nil(self.starts[at], self.ends[at])
        elif kind == t.BYTES:
            node = self._bytes(at)
        else:
            raise self._unexpected("a value")
        self.at = at + 1
        return node

    def _bytes(self, at: int) -> Bytes:
        digits = self.values[at][2:]
        if len(digits) % 2:
            raise self._refused(
                at,
                "GS1007",
                f"bytes need two hexadecimal digits each, but there are {len(digits)}",
                f"write 0x0{digits}" if len(digits) <= 32 else "write one more 0 behind 0x",
            )
        return Bytes(self.starts[at], self.ends[at], bytes.fromhex(digits))

    def _upper(self) -> Value:
        """A converter, with what is calculated from it; or the symbol of an enum."""
        at = self.at
        kind = self.kinds[at + 1]
        behind = at + 1 if kind not in _WORDS else self._behind_name(at)
        if self.kinds[behind] == "(" and not self._is_blank_lambda(behind):
            return self._sum(at, None)
        if kind == t.LOWER:
            raise _RefusedError(mistakes.capitals(self.tokens, at, behind))
        self.at = at + 1
        return Name(self.starts[at], self.ends[at], self.values[at])

    def _sum(self, start: int, first: Value | None) -> Value:
        """Arithmetic from token `start` on; `first` was read already, if given."""
        kinds = self.kinds
        left = first if first is not None else self._factor()
        if kinds[self.at] not in _OPERATORS:
            return left
        left = self._product(start, left)
        while kinds[self.at] == t.ADD:
            operator = self._operator()
            term = self.at
            right = self._product(term, self._factor())
            left = Arithmetic(self.starts[start], self.ends[self.at - 1], operator, left, right)
        return left

    def _product(self, start: int, left: Value) -> Value:
        while self.kinds[self.at] == t.MULTIPLY:
            operator = self._operator()
            right = self._factor()
            left = Arithmetic(self.starts[start], self.ends[self.at - 1], operator, left, right)
        return left

    def _operator(self) -> Operator:
        """Takes an operator of arithmetic."""
        operator = _OPERATOR[self.values[self.at]]
        self.operators += 1
        if self.operators > MOST_OPERATORS:
            raise self._refused(
                self.at,
                "GS1019",
                f"there are more than {MOST_OPERATORS} operators in one text",
                "calculate in several statements, with cache in between",
            )
        self.at += 1
        return operator

    def _factor(self) -> Value:
        at = self.at
        kind = self.kinds[at]
        if kind == t.ADD:
            self.at = at + 1
            if self.kinds[at + 1] == t.ADD:
                raise _RefusedError(mistakes.double_sign(self.tokens, at))
            value = self._plain_factor()
            return Signed(self.starts[at], self.ends[self.at - 1], "-" if self.values[at] == "-" else "+", value)
        return self._plain_factor()

    def _plain_factor(self) -> Value:
        at = self.at
        kind = self.kinds[at]
        if kind == t.LOWER:
            return self._path()
        if kind == t.UPPER:
            behind = self._behind_name(at)
            if self.kinds[behind] == "(":
                return self._call(behind, with_keys=True)
        elif kind == t.INT:
            value = self._int(at)
            self.at = at + 1
            return Integer(self.starts[at], self.ends[at], value)
        elif kind == t.FLOAT:
            self.at = at + 1
            return self._float(at)
        elif kind == "(":
            self._enter()
            inner = self._sum(self.at, None)
            self._close(")", "an operator or )")
            return inner
        raise _RefusedError(mistakes.no_operand(self.tokens, at))

    def _int(self, at: int) -> int:
        """Digits as Go reads them: a zero in front makes them octal."""
        piece = self.values[at]
        digits = piece.lstrip("0")
        octal = piece[0] == "0" and digits
        if octal and not set(digits).isdisjoint("89"):
            raise self._refused(
                at,
                "GS1006",
                "a number with a zero in front is octal, so it cannot have the digits 8 and 9",
                "leave the zero out" if len(digits) > 18 else f"write {digits}",
            )
        if len(digits) <= 22:
            value = int(digits or "0", 8 if octal else 10)
            if value <= LARGEST_INT:
                return value
        raise self._refused(
            at,
            "GS1006",
            f"the number is larger than {LARGEST_INT}, the largest integer",
            "the smallest integer cannot be written, because the sign is read apart from the digits"
            if digits == "9223372036854775808" and self.values[at - 1] == "-"
            else "write it with a point to make it a float",
        )

    def _float(self, at: int) -> Float:
        value = float(self.values[at])
        if value == float("inf"):
            raise self._refused(at, "GS1006", "the number is larger than the largest float, 1.8e308")
        return Float(self.starts[at], self.ends[at], value)

    # paths and calls

    def _path(self) -> Value:
        kinds = self.kinds
        start = at = self.at
        behind = at + 1
        if kinds[behind] in _WORDS:
            behind = self._behind_name(at)
        if kinds[behind] == "(" and not self._is_blank_lambda(behind):
            raise _RefusedError(mistakes.editor_as_value(self.tokens, at, behind))
        fields: list[Field] = []
        while True:
            self.at = at + 1
            keys = self._keys() if kinds[at + 1] == "[" else ()
            fields.append(Field(self.starts[at], self.ends[self.at - 1], self.values[at], keys, self.ends[at]))
            if kinds[self.at] != ".":
                break
            at = self.at + 1
            if kinds[at] != t.LOWER:
                raise _RefusedError(mistakes.no_field(self.tokens, at))
        return Path(self.starts[start], self.ends[self.at - 1], tuple(fields))

    def _call(self, behind: int, *, with_keys: bool) -> Call:
        """A function; its name ends before token `behind`, which is `(`."""
        start = self.at
        name = self.values[start] if behind == start + 1 else "".join(self.values[start:behind])
        name_end = self.ends[behind - 1]
        self.at = behind
        self._enter()
        arguments: list[Argument] = []
        if self.kinds[self.at] == ")":
            self.at += 1
            self.depth -= 1
        else:
            arguments.append(self._argument())
            while self.kinds[self.at] == ",":
                self.at += 1
                arguments.append(self._argument())
            self._close(")", ", or )")
        keys: tuple[Key, ...] = ()
        if self.kinds[self.at] == "[":
            if not with_keys:
                raise _RefusedError(mistakes.editor_with_index(self.tokens, self.at, name))
            keys = self._keys()
        return Call(self.starts[start], self.ends[self.at - 1], name, name_end, tuple(arguments), keys)

    def _argument(self) -> Argument:
        start = self.at
        kinds = self.kinds
        name: str | None = None
        if kinds[start] == t.LOWER:
            behind = start + 1 if kinds[start + 1] not in _WORDS else self._behind_name(start)
            if kinds[behind] == "=":
                name = "".join(self.values[start:behind])
                self.at = behind + 1
        at = self.at
        if kinds[at] == t.UPPER and kinds[at + 1] == t.LOWER:
            behind = self._behind_name(at)
            if kinds[behind] != "(":
                self.at = behind
                function = Name(self.starts[at], self.ends[behind - 1], "".join(self.values[at:behind]))
                return Argument(self.starts[start], function.end, name, function)
        value = self._value()
        return Argument(self.starts[start], self.ends[self.at - 1], name, value)

    def _keys(self) -> tuple[Key, ...]:
        """Every `[…]` from here on that is an index."""
        keys: list[Key] = []
        while self.kinds[self.at] == "[":
            start = self.at
            items = self._list()
            key = items.items[0] if len(items.items) == 1 and self.kinds[start + 1] != "," else None
            first = self.kinds[start + 1]
            if key is None or not isinstance(
                key, Text if first == t.STRING else Integer if first == t.INT else _NUMERIC
            ):
                self._spare = (start, items, self.at)
                self.at = start
                break
            keys.append(Key(items.start, items.end, key))
        return tuple(keys)

    # lists, maps, lambdas

    def _list(self) -> Items:
        start = self.at
        if self._spare is not None and self._spare[0] == start:
            _, items, self.at = self._spare
            return items
        self._enter()
        kinds = self.kinds
        found: list[Value] = []
        # Commas may be missing up to the first one, which may also stand in front of everything.
        while kinds[self.at] not in (",", "]"):
            if found and not self._begins_value():
                raise self._unexpected(", or ]")
            found.append(self._value())
        while kinds[self.at] == ",":
            self.at += 1
            found.append(self._value())
        self._close("]", ", or ]")
        return Items(self.starts[start], self.ends[self.at - 1], tuple(found))

    def _begins_value(self) -> bool:
        return self.kinds[self.at] in mistakes.BEGIN_VALUE

    def _map(self) -> Pairs:
        start = self.at
        self._enter()
        kinds = self.kinds
        pairs: list[Pair] = []
        while kinds[self.at] == t.STRING:
            at = self.at
            key = Text(self.starts[at], self.ends[at], self.values[at])
            if kinds[at + 1] != ":":
                self.at = at + 1
                raise self._unexpected(":")
            self.at = at + 2
            value = self._value()
            pairs.append(Pair(key.start, self.ends[self.at - 1], key, value))
            if kinds[self.at] == ",":
                self.at += 1
        self._close("}", ", or }" if pairs and kinds[self.at - 1] != "," else f"{mistakes.KEY}, or }}")
        return Pairs(self.starts[start], self.ends[self.at - 1], tuple(pairs))

    def _is_lambda(self, at: int) -> bool:
        """Whether `(` at this token opens the parameters of a lambda."""
        kinds = self.kinds
        at += 1
        if kinds[at] in _PARAMETERS:
            at += 1
            while kinds[at] == "," and kinds[at + 1] in _PARAMETERS:
                at += 2
        return kinds[at] == ")" and kinds[at + 1] == t.ARROW

    def _is_blank_lambda(self, at: int) -> bool:
        """Whether `(` at this token opens the parameters of a lambda that could not be arguments."""
        if self._blank[0] != at:
            self._blank = (at, self._is_lambda(at) and t.BLANK in self.kinds[at : self.kinds.index(")", at)])
        return self._blank[1]

    def _lambda(self) -> Lambda:
        start = self.at
        self._enter()
        parameters: list[Name] = []
        seen: set[str] = set()
        while self.kinds[self.at] != ")":
            at = self.at
            name = self.values[at]
            if self.kinds[at] in _PARAMETERS:
                if name in seen:
                    raise _RefusedError(mistakes.parameter_twice(self.tokens, at))
                if name != "_":
                    seen.add(name)
                parameters.append(Name(self.starts[at], self.ends[at], name))
            self.at += 1
        self.at += 2
        body_start = self.at
        body = self._mixed()
        if isinstance(body, Lambda):
            raise _RefusedError(mistakes.lambda_in_lambda(self.tokens, body_start, body.end))
        self.depth -= 1
        return Lambda(self.starts[start], self.ends[self.at - 1], tuple(parameters), body)

    # tokens

    def _behind_name(self, at: int) -> int:
        """The first token that does not belong to the name that begins here."""
        first, behind = self._name
        if first <= at < behind:
            return behind
        first, kinds = at, self.kinds
        at += 1
        while kinds[at] in _WORDS:
            at += 1
        self._name = (first, at)
        return at

    def _enter(self) -> None:
        """Takes an opening bracket."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._refused(
                self.at,
                "GS1019",
                f"there are more than {DEEPEST} brackets inside each other",
                "calculate in several statements, with cache in between",
            )
        self.at += 1

    def _close(self, bracket: str, expected: str) -> None:
        """Takes a closing bracket."""
        if self.kinds[self.at] != bracket:
            raise self._unexpected(expected)
        self.at += 1
        self.depth -= 1

    # refusals

    def _unexpected(self, expected: str) -> _RefusedError:
        return _RefusedError(mistakes.unexpected(self.tokens, self.at, expected))

    def _refused(self, at: int, code: str, message: str, hint: str = "") -> _RefusedError:
        return _RefusedError(Finding(self.starts[at], self.ends[at], Severity.ERROR, code, message, hint))
