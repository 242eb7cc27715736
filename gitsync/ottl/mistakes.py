"""What is wrong with the order of tokens, and what was meant: the habits of other languages, lost commas and brackets.

Each function is called for the first token that fits nowhere, and gives the finding for it. Only a refused text gets
here, so that looking back over all tokens costs nothing that matters.
"""

from __future__ import annotations

from typing import Final

from gitsync.diagnostics import Severity
from gitsync.ottl import lexer as t
from gitsync.ottl.finding import Finding
from gitsync.ottl.lexer import Tokens
from gitsync.ottl.tree import Kind
from gitsync.wording import quoted

BEGIN_VALUE: Final = frozenset(
    (t.STRING, t.INT, t.FLOAT, t.BYTES, t.LOWER, t.UPPER, t.NIL, t.BOOL, t.ADD, "(", "[", "{")
)
"""Kinds of tokens with which a value can begin."""

KEY: Final = "a string as a key"
"""What a map begins with, as `unexpected` is told."""

_END_VALUE: Final = frozenset((t.STRING, t.INT, t.FLOAT, t.BYTES, t.LOWER, t.UPPER, t.NIL, t.BOOL, ")", "]", "}"))
_WORDS: Final = frozenset((t.LOWER, t.UPPER))
_CLOSES: Final = {")": "(", "]": "[", "}": "{"}
_NAMES: Final = {
    t.STRING: "a string",
    t.BOOL: "true or false",
    t.NIL: "nil",
    t.BYTES: "bytes",
    t.INT: "a number",
    t.FLOAT: "a number",
    t.UPPER: "an enum",
    t.LOWER: "a path",
    "[": "a list",
    "{": "a map",
    "(": "what stands in brackets",
    t.ADD: "a number",
}
_HABITS: Final = {
    "in": "compare with each value: a == 1 or a == 2; for a list there is ContainsValue(list, value)",
    "is": "write == or !=",
    "isnt": "write !=",
    "eq": "write ==",
    "ne": "write !=",
    "gt": "write >",
    "lt": "write <",
    "like": 'write IsMatch(value, "expression")',
    "matches": 'write IsMatch(value, "expression")',
    "contains": 'write IsMatch(value, "expression"), or ContainsValue(list, value)',
    "startswith": "write HasPrefix(value, start)",
    "endswith": "write HasSuffix(value, end)",
    "exists": "write != nil",
    "isnull": "write == nil",
    "then": "the editor stands in front of where: set(a, b) where condition",
    "else": "write a second statement with the opposite condition",
    "mod": "there is no remainder of a division in OTTL",
    "xor": "write a != b",
}
_CONDITIONAL: Final = frozenset(("if", "when", "unless", "with", "for", "having"))
_LITERALS: Final = {"True": "true", "False": "false", "Nil": "nil", "Null": "nil", "None": "nil"}
_LOGIC: Final = {"AND": "and", "And": "and", "OR": "or", "Or": "or", "NOT": "not", "Not": "not"}
_EDITORS: Final = frozenset(
    (
        *("set", "append", "delete_index", "delete_key", "delete_keys", "delete_matching_keys", "flatten", "keep_keys"),
        *("keep_matching_keys", "limit", "merge_maps", "replace_all_matches", "replace_all_patterns", "replace_match"),
        *("replace_pattern", "truncate_all"),
    )
)


def unexpected(tokens: Tokens, at: int, expected: str) -> Finding:
    """Token `at` has no place here; `expected` says what would have."""
    for found in (
        _comma(tokens, at, expected),
        _pair(tokens, at, expected),
        _habit(tokens, at),
        _bracket(tokens, at),
    ):
        if found is not None:
            return found
    return _plain(tokens, at, expected)


def trailing(tokens: Tokens, at: int, kind: Kind) -> Finding:
    """The text could end before token `at`."""
    value, type_ = tokens.values[at], tokens.kinds[at]
    if type_ in _CLOSES:
        return _error(tokens, at, "GS1009", f"{value} closes nothing", f"leave it out, or write {_CLOSES[type_]}")
    if kind == "statement" and "where" not in tokens.values[:at]:
        return _behind_editor(tokens, at)
    if type_ == t.LOWER and value == "where":
        text = "there is a second where" if kind == "statement" else f"a {kind} has no where"
        return _error(tokens, at, "GS1010", text, "write and" if kind == "statement" else "write what stands behind it")
    if type_ == t.COMPARE:
        return _comparison(tokens, at)
    found = _habit(tokens, at) or _index(tokens, at)
    if found is not None:
        return found
    if kind == "statement" and type_ == t.LOWER and value in _EDITORS:
        return _second_statement(tokens, at)
    if type_ in BEGIN_VALUE or type_ == t.NOT:
        hint = "" if kind == "value" else "join two conditions by and or or"
        return _error(tokens, at, "GS1010", f"the {kind} ends in front of {_shown(tokens, at)}", hint)
    return _plain(tokens, at, "the end")


def _behind_editor(tokens: Tokens, at: int) -> Finding:
    """Something else than `where` stands behind the editor."""
    value, type_ = tokens.values[at], tokens.kinds[at]
    behind = _behind_name(tokens, at)
    if type_ == t.LOWER and value in _CONDITIONAL:
        hint = "write where not (…)" if value == "unless" else "write where"
        return _error(tokens, at, "GS1010", f"{quoted(value)} is no word of OTTL", hint)
    if type_ == t.LOWER and tokens.kinds[behind] == "(" and value not in ("and", "or"):
        return _second_statement(tokens, at)
    if type_ == t.UPPER and "".join(tokens.values[at:behind]) in ("WHERE", "Where"):
        return _span(tokens, at, behind, "GS1010", "where is written in lower-case letters", "write where")
    if type_ in BEGIN_VALUE or type_ in (t.NOT, t.AND, t.OR):
        hint = "write where instead" if type_ in (t.AND, t.OR) else "write where in front of it"
        return _error(tokens, at, "GS1010", "a condition begins with where", hint)
    return _habit(tokens, at) or _plain(tokens, at, "where or the end")


def _second_statement(tokens: Tokens, at: int) -> Finding:
    text = "a second statement begins here, but a text holds one"
    return _error(tokens, at, "GS1010", text, "write each statement as an entry of its own")


def no_editor(tokens: Tokens, at: int, behind: int) -> Finding:
    """A statement does not begin with an editor and `(`; its name would end before token `behind`."""
    name = "".join(tokens.values[at:behind])
    if behind > at and tokens.kinds[behind] == "(":
        snake = _snake(name)
        hint = f"write {snake}(" if snake in _EDITORS else "write it as a value: set(target, …)"
        return _span(
            tokens,
            at,
            behind,
            "GS1012",
            f"a statement begins with an editor, a function in lower-case letters, but {quoted(name)} gives a value",
            hint,
        )
    first = tokens.values[at]
    if first == "where":
        return _error(tokens, at, "GS1012", "there is no editor in front of where", "write set(target, value) where …")
    if first in _CONDITIONAL:
        hint = "write set(target, value) where condition"
        return _error(tokens, at, "GS1012", f"{quoted(first)} is no word of OTTL", hint)
    if name in _EDITORS:
        return _span(tokens, at, behind, "GS1012", f"the arguments of {name} are missing", f"write {name}(…)")
    if first == "/" and tokens.values[at + 1] == "/":
        return _no_comment(tokens, at)
    for offset in range(at, len(tokens.kinds)):
        if tokens.kinds[offset] == "=":
            return _error(tokens, offset, "GS1012", "OTTL has no assignment", "write set(target, value)")
    return _error(
        tokens,
        at,
        "GS1012",
        f"a statement begins with an editor and (, but here with {_shown(tokens, at)}",
        "write set(target, value), or make this a condition",
    )


def editor_as_value(tokens: Tokens, at: int, behind: int) -> Finding:
    """A function in lower-case letters stands where a value is needed."""
    name = "".join(tokens.values[at:behind])
    if name in _EDITORS:
        message = f"the editor {quoted(name)} gives no value, so it stands at the head of a statement only"
        hint = (
            "this is no place for a statement"
            if at == 0
            else "write a converter: its name begins with a capital letter"
        )
        return _span(tokens, at, behind, "GS1013", message, hint)
    message = f"a function that gives a value begins with a capital letter, but {quoted(name)} does not"
    return _span(tokens, at, behind, "GS1013", message, f"did you mean {quoted(_camel(name))}?")


def editor_with_index(tokens: Tokens, at: int, name: str) -> Finding:
    """`[` behind the editor of a statement."""
    return _error(
        tokens,
        at,
        "GS1014",
        f"there is no index behind an editor, but {quoted(name)} has one",
        "only paths and converters have one",
    )


def no_condition(tokens: Tokens, first: int, behind: int, start: int, end: int) -> Finding:
    """A value stands where a condition is needed.

    Args:
        tokens: all of the text.
        first: the first token of the value.
        behind: the token behind it.
        start: offset of the value.
        end: offset behind it.
    """
    found = _habit(tokens, behind)
    if found is not None:
        return found
    type_ = tokens.kinds[first]
    if tokens.kinds[behind] == "[":
        wrong = _index(tokens, behind)
        if wrong is not None:
            return wrong
    if type_ == t.LOWER and tokens.values[first] == "where" and first == 0:
        return _error(tokens, first, "GS1015", "a condition does not begin with where", "leave where out")
    word = "".join(tokens.values[first:behind])
    if word in _LOGIC:
        return _span(tokens, first, behind, "GS1015", f"{quoted(word)} is no condition", f"write {_LOGIC[word]}")
    hint = "compare it: == true, != nil, > 0" if type_ in (t.LOWER, "(") else "compare it with something"
    what = _NAMES.get(type_, "this") if behind == first + 1 or type_ == t.LOWER else "a value"
    return Finding(
        start, end, Severity.ERROR, "GS1015", f"a condition is true or false, but {what} alone is neither", hint
    )


def no_operand(tokens: Tokens, at: int) -> Finding:
    """Arithmetic cannot go on with token `at`."""
    type_ = tokens.kinds[at]
    before, value = tokens.values[at - 1], tokens.values[at]
    if type_ == t.MULTIPLY and before == value:
        if value == "/":
            return _no_comment(tokens, at - 1)
        return _span(tokens, at - 1, at + 1, "GS1002", "** is no operator", "write a * a")
    if before == "-" and type_ == t.COMPARE and value[0] == ">":
        return _error(tokens, at, "GS1008", "-> has no place here", "write => in a lambda")
    if type_ == t.UPPER or type_ in (t.STRING, t.BOOL, t.NIL, t.BYTES, "[", "{"):
        hint = 'to join strings, write Concat([a, b], "")' if type_ == t.STRING else ""
        message = f"arithmetic takes numbers, paths and converters, not {_NAMES[type_]}"
        if before == "(":
            hint = "leave the brackets out"
        return _error(tokens, at, "GS1016", message, hint)
    if type_ == t.NOT or type_ in (t.AND, t.OR):
        return _error(tokens, at, "GS1016", f"{value} has no place in arithmetic", "")
    return unexpected(tokens, at, "a number, a path or a converter")


def double_sign(tokens: Tokens, at: int) -> Finding:
    """Two signs in front of one operand."""
    pair = tokens.values[at] + tokens.values[at + 1]
    return _span(tokens, at, at + 2, "GS1016", f"an operand has one sign at most, not {pair}", "write brackets: -(-a)")


def double_not(tokens: Tokens, at: int) -> Finding:
    """`not not`."""
    return _error(tokens, at, "GS1015", "not stands twice", "leave both out, or write not (not …)")


def no_field(tokens: Tokens, at: int) -> Finding:
    """`.` is not followed by a name."""
    type_, value = tokens.kinds[at], tokens.values[at]
    if type_ in t.RESERVED.values():
        message = f"{quoted(value)} is a reserved word, so that it cannot be the name of a field"
        return _error(tokens, at, "GS1008", message, f'write it as a key: attributes["{value}"]')
    if type_ == t.UPPER:
        behind = _behind_name(tokens, at)
        name = "".join(tokens.values[at:behind])
        message = f"the name of a field has lower-case letters only: {quoted(name)}"
        return _span(tokens, at, behind, "GS1008", message, f'write {_snake(name)}, or as a key: attributes["{name}"]')
    if type_ == "[":
        return _error(tokens, at, "GS1008", "an index follows its field without a point", "leave the point out")
    return _bracket(tokens, at) or _plain(tokens, at, "the name of a field")


def capitals(tokens: Tokens, at: int, behind: int) -> Finding:
    """A word with capital letters that is neither the symbol of an enum nor a call."""
    name = "".join(tokens.values[at:behind])
    if name in _LITERALS:
        hint = f"write {_LITERALS[name]}"
    elif name in _LOGIC:
        hint = f"write {_LOGIC[name]}"
    else:
        hint = f"write {name}(…) for a converter; paths have lower-case letters, enums upper-case ones only"
    return _span(tokens, at, behind, "GS1008", f"{quoted(name)} is neither a path nor an enum nor a call", hint)


def parameter_twice(tokens: Tokens, at: int) -> Finding:
    """Two parameters of one lambda have the same name."""
    return _error(
        tokens,
        at,
        "GS1018",
        f"the lambda has two parameters {quoted(tokens.values[at])}",
        "write _ for one that is not used",
    )


def lambda_in_lambda(tokens: Tokens, at: int, end: int) -> Finding:
    """The body of a lambda is a lambda."""
    return Finding(
        tokens.starts[at],
        end,
        Severity.ERROR,
        "GS1018",
        "a lambda cannot give back a lambda",
        "write one lambda with all parameters",
    )


def _comma(tokens: Tokens, at: int, expected: str) -> Finding | None:
    """A comma too much or too few."""
    type_ = tokens.kinds[at]
    if at and tokens.kinds[at - 1] == ",":
        if type_ in (")", "]"):
            where = "the last argument" if type_ == ")" else "the last entry of a list"
            return _error(tokens, at - 1, "GS1017", f"there is no comma behind {where}", "leave the comma out")
        if type_ == ",":
            return _error(tokens, at, "GS1017", "there are two commas", "leave one out")
    if type_ == "," and at and tokens.kinds[at - 1] == "(":
        return _error(tokens, at, "GS1017", "there is no argument in front of the comma", "leave the comma out")
    lacks = expected.startswith(", or") and type_ in BEGIN_VALUE and tokens.kinds[at - 1] in _END_VALUE
    if lacks and _habit(tokens, at) is None and _index(tokens, at) is None and type_ != t.ADD:
        if tokens.values[at] == "where" and type_ == t.LOWER:
            return _bracket(tokens, at)
        return _error(tokens, at, "GS1017", f"a comma is missing in front of {_shown(tokens, at)}", "write a comma")
    return None


def _pair(tokens: Tokens, at: int, expected: str) -> Finding | None:
    """A map whose entry is not `"key": value`, or an argument that is not `name=value`."""
    type_, value = tokens.kinds[at], tokens.values[at]
    if expected == ":":
        return _error(tokens, at, "GS1008", "key and value of a map stand on both sides of :", 'write "key": value')
    if expected.startswith(KEY) and type_ in _WORDS:
        return _error(tokens, at, "GS1008", f"the key of a map is a string, not {quoted(value)}", f'write "{value}"')
    opened = _open_brackets(tokens, at)
    if type_ == "=" and expected.startswith(", or") and opened and _is_call(tokens, opened[-1]):
        text = "only the name of an argument stands in front of ="
        return _error(tokens, at, "GS1008", text, "write a comma between two arguments: set(target, value)")
    return None


def _habit(tokens: Tokens, at: int) -> Finding | None:
    """What another language would allow here."""
    type_, value = tokens.kinds[at], tokens.values[at]
    before = tokens.kinds[at - 1] if at else t.END
    if type_ == "=" or (type_ == t.ARROW and before != ")"):
        return _equals(tokens, at)
    if type_ == t.COMPARE:
        return _comparison(tokens, at)
    if before == t.INT and type_ == t.LOWER and tokens.ends[at - 1] == tokens.starts[at]:
        return _number(tokens, at)
    if (
        type_ == t.FLOAT
        and value[0] == "."
        and before in (t.LOWER, "]", ")")
        and tokens.ends[at - 1] == tokens.starts[at]
    ):
        return _error(tokens, at, "GS1008", f"{value} is no field of a path", f"write an index: [{value[1:]}]")
    if type_ == t.NOT and before in _END_VALUE:
        return _error(tokens, at, "GS1008", "not stands in front of a condition only", "write not (a == b), or a != b")
    if type_ in (t.ADD, t.MULTIPLY) and before in _END_VALUE:
        return _operator(tokens, at, before)
    if type_ in _WORDS:
        behind = _behind_name(tokens, at)
        name = "".join(tokens.values[at:behind])
        if name in _LOGIC and before in _END_VALUE:
            return _span(tokens, at, behind, "GS1008", f"{quoted(name)} is no word of OTTL", f"write {_LOGIC[name]}")
        for word in (value, name):
            hint = _HABITS.get(word.lower().replace("_", ""))
            if hint is not None and before in _END_VALUE:
                return _error(tokens, at, "GS1008", f"{quoted(word)} is no word of OTTL", hint)
        if before == t.LOWER and type_ == t.UPPER and tokens.ends[at - 1] == tokens.starts[at]:
            whole = tokens.values[at - 1] + name
            message = f"the name of a path has lower-case letters only: {quoted(whole)}"
            return _span(tokens, at - 1, behind, "GS1008", message, f"write {_snake(whole)}")
    return None


def _equals(tokens: Tokens, at: int) -> Finding:
    following = tokens.values[at + 1]
    if tokens.kinds[at] == t.ARROW:
        return _error(tokens, at, "GS1011", "=> belongs to a lambda", "write >= to compare")
    if following == "<":
        return _span(tokens, at, at + 2, "GS1011", "=< is no comparison", "write <=")
    if at and tokens.kinds[at - 1] == t.COMPARE:
        return _span(tokens, at - 1, at + 1, "GS1011", f"{tokens.values[at - 1]}= is no comparison", "write == or !=")
    return _error(tokens, at, "GS1011", "= does not compare", "write ==")


def _comparison(tokens: Tokens, at: int) -> Finding:
    value = tokens.values[at]
    before = tokens.values[at - 1] if at else ""
    kind_before = tokens.kinds[at - 1] if at else t.END
    if kind_before == t.COMPARE or before == "=":
        pair = before + value
        hint = {"<>": "write !=", "===": "write ==", "==>": "write >="}.get(pair, "write one of == != < <= > >=")
        return _span(tokens, at - 1, at + 1, "GS1008", f"{pair} is no comparison", hint)
    opened = _open_brackets(tokens, at)
    if opened and (tokens.kinds[opened[-1]] != "(" or _is_call(tokens, opened[-1])):
        message = f"a comparison has no place here: {value}"
        return _error(tokens, at, "GS1008", message, "compare in a condition: behind where, or in a lambda")
    chained = any(kind == t.COMPARE for kind in tokens.kinds[:at])
    if chained:
        return _error(tokens, at, "GS1008", "comparisons cannot be chained", "write a < b and b < c")
    return _error(
        tokens, at, "GS1008", f"a comparison has no place here: {value}", "a comparison is a condition, not a value"
    )


def _number(tokens: Tokens, at: int) -> Finding:
    digits, word = tokens.values[at - 1], tokens.values[at]
    if (word[0] == "e" and word[1:].isdigit()) or (word == "e" and tokens.kinds[at + 1] == t.ADD):
        hint = f"write {digits}.0{word}" if len(digits) <= 20 else "write it with a point"
    elif word[0] == "x":
        hint = "hexadecimal digits, an even number of them, follow 0x"
    else:
        hint = 'for a duration, write Duration("5s")' if word in ("ns", "us", "ms", "s", "m", "h") else ""
    text = f"{quoted(digits + word)} is no number"
    if hint.startswith("write"):
        text = "a number with an exponent needs a point"
    return _span(tokens, at - 1, at + 1, "GS1006", text, hint)


def _operator(tokens: Tokens, at: int, before: str) -> Finding:
    value = tokens.values[at]
    if value == "/" and tokens.values[at + 1] == "/":
        return _no_comment(tokens, at)
    name = _NAMES.get(before, "this")
    hint = 'to join strings, write Concat([a, b], "")' if before == t.STRING else ""
    return _error(tokens, at, "GS1016", f"{value} calculates with numbers, paths and converters, not with {name}", hint)


def _no_comment(tokens: Tokens, at: int) -> Finding:
    text = "// has no place here: OTTL has no comments"
    return _span(tokens, at, at + 2, "GS1002", text, "write the comment in the YAML, outside the statement")


def _index(tokens: Tokens, at: int) -> Finding | None:
    """`[` behind a path or a converter that does not make an index."""
    if tokens.kinds[at] != "[" or not at or tokens.kinds[at - 1] not in (t.LOWER, ")", "]"):
        return None
    end = at
    depth = 0
    for end in range(at, len(tokens.kinds)):
        depth += (tokens.kinds[end] in _CLOSES.values()) - (tokens.kinds[end] in _CLOSES)
        if depth == 0:
            break
    if tokens.kinds[at + 1] == "]":
        text, hint = "there is nothing between [ and ]", 'write a key: ["name"], or a number: [0]'
    elif tokens.kinds[at + 1] in (t.INT, t.STRING) and tokens.kinds[at + 2] in (t.ADD, t.MULTIPLY):
        text, hint = "an index that is calculated does not begin with a number", "begin with a path or with ("
    else:
        text, hint = "an index is one string, one number, a path, a converter, or arithmetic", 'write a key: ["name"]'
    return _span(tokens, at, end + 1, "GS1008", text, hint)


def _bracket(tokens: Tokens, at: int) -> Finding | None:
    """A bracket that is not closed, or closes nothing."""
    type_, value = tokens.kinds[at], tokens.values[at]
    opened = _open_brackets(tokens, at)
    if type_ == t.END:
        if opened:
            bracket = tokens.values[opened[-1]]
            return _error(tokens, opened[-1], "GS1009", f"this {bracket} is not closed", f"write {_closer(bracket)}")
        return None
    if type_ == t.LOWER and value == "where" and opened:
        bracket = tokens.values[opened[-1]]
        text = f"this {bracket} is not closed in front of where"
        return _error(tokens, opened[-1], "GS1009", text, f"write {_closer(bracket)}")
    if type_ in _CLOSES:
        if not opened:
            return _error(tokens, at, "GS1009", f"{value} closes nothing", f"leave it out, or write {_CLOSES[type_]}")
        bracket = tokens.values[opened[-1]]
        if bracket != _CLOSES[type_]:
            text = f"this {bracket} is not closed in front of {value}"
            return _error(tokens, opened[-1], "GS1009", text, f"write {_closer(bracket)}")
    return None


def _plain(tokens: Tokens, at: int, expected: str) -> Finding:
    if tokens.kinds[at] == t.END:
        return _error(tokens, at, "GS1008", f"the text ends where {expected} is expected", "")
    return _error(tokens, at, "GS1008", f"{_shown(tokens, at)} stands where {expected} is expected", "")


def _open_brackets(tokens: Tokens, at: int) -> list[int]:
    """Tokens of the brackets that are open in front of token `at`, the innermost last."""
    opened: list[int] = []
    for offset in range(at):
        kind = tokens.kinds[offset]
        if kind in ("(", "[", "{"):
            opened.append(offset)
        elif kind in _CLOSES and opened:
            opened.pop()
    return opened


def _is_call(tokens: Tokens, bracket: int) -> bool:
    return bracket > 0 and tokens.kinds[bracket - 1] in _WORDS and tokens.values[bracket - 1] != "where"


def _closer(bracket: str) -> str:
    return {"(": ")", "[": "]", "{": "}"}[bracket]


def _behind_name(tokens: Tokens, at: int) -> int:
    """The first token that does not belong to the name at `at`, as it is written without blanks."""
    at += 1
    while tokens.kinds[at] in _WORDS and tokens.starts[at] == tokens.ends[at - 1]:
        at += 1
    return at


def _shown(tokens: Tokens, at: int) -> str:
    kind = tokens.kinds[at]
    if kind == t.END:
        return "the end of the text"
    if kind == t.STRING:
        return f"the string {quoted(tokens.values[at])}"
    if kind in _WORDS:
        return quoted("".join(tokens.values[at : _behind_name(tokens, at)]))
    if kind in (".", ","):
        return "a point" if kind == "." else "a comma"
    return tokens.values[at] if len(tokens.values[at]) < 40 else quoted(tokens.values[at])


def _snake(name: str) -> str:
    """`DeleteKey` as `delete_key`."""
    parts = [
        "_" + char.lower() if char.isupper() and at and not name[at - 1].isupper() else char.lower()
        for at, char in enumerate(name[:100])
    ]
    return "".join(parts).replace("__", "_")


def _camel(name: str) -> str:
    """`delete_key` as `DeleteKey`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _error(tokens: Tokens, at: int, code: str, message: str, hint: str) -> Finding:
    return Finding(tokens.starts[at], tokens.ends[at], Severity.ERROR, code, message, hint)


def _span(tokens: Tokens, first: int, behind: int, code: str, message: str, hint: str) -> Finding:
    return Finding(tokens.starts[first], tokens.ends[max(first, behind - 1)], Severity.ERROR, code, message, hint)
