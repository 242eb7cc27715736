"""Judges a tree: whether the Collector takes it in a context, and what of it can never work.

Source: pkg/ottl of v0.159.0: functions.go (buildArgs, buildArg, newPath), expression.go (newGetter and the getters),
boolean_value.go, math.go, lambda.go. The Collector stops at its first error; this check goes on, so that all are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from gitsync.diagnostics import Severity
from gitsync.ottl import fit
from gitsync.ottl.constants import TRUTHS, Type, constant, is_float_text, is_raw, map_problem
from gitsync.ottl.constructors import refusals
from gitsync.ottl.explanation import (
    count_message,
    gate_hint,
    getter_hint,
    getter_message,
    in_words,
    literal_hint,
    set_hint,
    shape,
    target_hint,
)
from gitsync.ottl.finding import Finding
from gitsync.ottl.functions import find_parameter, unknown_function, writable_names
from gitsync.ottl.paths import resolve
from gitsync.ottl.returns import RETURNS
from gitsync.ottl.tables import CONVERTER_KEYS, LAMBDA_GATE, Context, Function, OttlTables, Parameter, PathRule
from gitsync.ottl.tree import (
    Argument,
    Arithmetic,
    Boolean,
    Bytes,
    Call,
    Comparison,
    Condition,
    Float,
    Integer,
    Items,
    Key,
    Kind,
    Lambda,
    Logic,
    Name,
    Nil,
    Node,
    Not,
    Pairs,
    Path,
    Root,
    Signed,
    Statement,
    Text,
    Value,
)
from gitsync.wording import LONGEST, did_you_mean, quoted

ALLOW_NIL_GATE: Final = "ottl.set.allowNil"
MOST: Final = 20
"""Errors, and warnings, that are reported of one text: a hint costs time."""

_PATH_KINDS: Final = frozenset({"Setter", "GetSetter", "PMapGetSetter", "PSliceGetSetter"})
_LITERAL_KINDS: Final[dict[str, tuple[type, str]]] = {
    "string": (Text, "a text in double quotes"),
    "int64": (Integer, "a whole number without a sign"),
    "float64": (Float, "a number with a point, such as 2.0"),
    "bool": (Boolean, "true or false"),
}
_TYPE_TESTS: Final = frozenset({"IsString", "IsInt", "IsDouble", "IsBool", "IsMap", "IsList"})
"""Converters that ask for the type: an argument of another type is what they are for."""
_TEXT_ONLY: Final = frozenset({"replace_pattern", "replace_match"})
"""Editors that leave everything but text as it is."""
_SIMPLE: Final[dict[type, Type]] = {
    Text: "string",
    Integer: "int",
    Float: "float",
    Boolean: "bool",
    Bytes: "bytes",
    Nil: "nil",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a text stands.

    Attributes:
        tables: of the release.
        context: of the statement.
        functions: that the component offers there, by name.
        gates: feature gates that are on beyond the usual ones.
        contextless: whether a path may leave out its context, which is this one then.
    """

    tables: OttlTables
    context: Context
    functions: Mapping[str, Function]
    gates: frozenset[str] = frozenset()
    contextless: bool = False


def check(root: Root, kind: Kind, scope: Scope) -> tuple[Finding, ...]:
    """All that is wrong with one text, in its order.

    Args:
        root: the tree of the whole text.
        kind: what the text is; the tree follows from it.
        scope: where it stands.
    """
    checker = _Checker(scope)
    with suppress(_EnoughError):
        if isinstance(root, Statement):
            checker.statement(root)
        elif kind == "condition":
            checker.condition(cast("Condition", root))
        else:
            checker.value(cast("Value", root))
    found = checker.findings
    return tuple(sorted(found)) if len(found) > 1 else tuple(found)


class _EnoughError(Exception):
    """There are as many errors in a text as anybody wants to read."""


class _Checker:
    """One walk over one tree. Methods that read a value give back its type, `any` when it is not known."""

    __slots__ = ("_enums", "_errors", "_locals", "_scope", "findings")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._enums = scope.context.enums
        self._locals: list[frozenset[str]] = []
        self._errors = 0
        self.findings: list[Finding] = []

    def _add(self, finding: Finding) -> None:
        if finding.severity is Severity.ERROR:
            self.findings.append(finding)
            self._errors += 1
            if self._errors == MOST:
                raise _EnoughError
        elif len(self.findings) - self._errors < MOST:
            self.findings.append(finding)

    def _error(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self._add(Finding(node.start, node.end, Severity.ERROR, code, message, hint))

    def _warn(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self._add(Finding(node.start, node.end, Severity.WARNING, code, message, hint))

    def _failed_since(self, before: int) -> bool:
        """Whether there is an error among the findings behind the first ones."""
        return len(self.findings) > before and any(one.severity is Severity.ERROR for one in self.findings[before:])

    # -- statements and conditions

    def statement(self, root: Statement) -> None:
        """The editor, then the condition."""
        self._call(root.editor)
        if root.editor.name == "set" and len(root.editor.arguments) == 2:
            self._effect(root.editor)
        if root.condition is not None:
            self.condition(root.condition)

    def condition(self, node: Condition) -> None:
        """Something that is true or false."""
        if isinstance(node, Comparison):
            self._comparison(node)
        elif isinstance(node, Logic):
            for one in node.conditions:
                self.condition(one)
        elif isinstance(node, Not):
            self.condition(node.condition)
        elif isinstance(node, Call):
            type_ = self._call(node)
            if type_ not in ("bool", fit.ANY):
                self._warn(
                    Node(node.start, node.name_end),
                    "GS1090",
                    f"{node.name} gives {in_words(type_)}, so it is no condition and always fails",
                    f"compare it: {node.name}(…) == …",
                )

    def _comparison(self, node: Comparison) -> None:
        left, right = self.value(node.left), self.value(node.right)
        if not fit.can_compare(left, right):
            outcome = "true" if node.operator == "!=" else "false"
            self._warn(
                node,
                "GS1083",
                f"{in_words(left)} is compared with {in_words(right)}, which is always {outcome}",
                self._comparison_hint(node, left, right),
            )
        elif left != fit.ANY and right != fit.ANY and self._is_fixed(node.left) and self._is_fixed(node.right):
            self._warn(node, "GS1084", "both sides are fixed, so the outcome is always the same")

    def _is_fixed(self, node: Value) -> bool:
        return not isinstance(node, (Path, Call, Arithmetic)) and constant(node, self._enums) is not None

    def _comparison_hint(self, node: Comparison, left: Type, right: Type) -> str:
        pair = {left, right}
        if pair == {"string", "int"}:
            return self._symbol_hint(node.left) or self._symbol_hint(node.right) or "numbers stand without quotes"
        for type_ in ("TraceID", "SpanID", "ProfileID"):
            if type_ in pair:
                return f"compare the path with .string behind it with a text, or write {type_}(0x…)"
        if "duration" in pair:
            return 'write Duration("3s")'
        return "compare it with Time(…), or use the path that ends in _unix_nano" if "time" in pair else ""

    def _symbol_hint(self, node: Value) -> str:
        """The enum symbol that a text probably means."""
        if not isinstance(node, Text) or not 0 < len(node.value) <= LONGEST:
            return ""
        word = node.value.upper()
        for symbol in self._enums:
            if symbol == word or symbol.endswith(f"_{word}"):
                return f"write the enum symbol {symbol}, without quotes"
        return ""

    def _effect(self, call: Call) -> None:
        """`set` that changes nothing."""
        target, value = call.arguments[0].value, call.arguments[1].value
        if isinstance(value, Nil) and ALLOW_NIL_GATE not in self._scope.gates:
            self._warn(
                value,
                "GS1085",
                "set ignores nil, so the statement has no effect",
                "to remove a key of a map, write delete_key(map, key)",
            )
        elif isinstance(target, Path) and isinstance(value, Path) and _same(target, value):
            self._warn(call, "GS1085", "a path is set to itself, so the statement has no effect")

    # -- values

    def value(self, node: Value) -> Type:
        """Checks a value where any is taken, and gives its type."""
        kind = type(node)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return simple
        if kind is Path:
            return self._path(cast("Path", node))[0]
        if kind is Call:
            return self._call(cast("Call", node))
        match node:
            case Name():
                return self._enum(node)
            case Items(items=items):
                for one in items:
                    self.value(one)
                return "list"
            case Pairs():
                self._pairs(node)
                return "map"
            case Signed(value=inner):
                return self._signed(node, self.value(inner))
            case Arithmetic():
                return self._arithmetic(node)
            case Lambda():
                self._lambda(node)
                return "lambda"
            case _:
                return fit.ANY

    def _pairs(self, node: Pairs) -> None:
        seen: set[str] = set()
        for one in node.pairs:
            self.value(one.value)
            if one.key.value in seen:
                self._warn(
                    one.key, "GS1091", f"the map has the key {quoted(one.key.value)} twice, and the last one counts"
                )
            seen.add(one.key.value)
        if constant(node, self._enums) is not None:
            wrong = map_problem(node)
            if wrong is not None:
                self._error(wrong, "GS1048", "a map cannot stand in a list of a list inside a map")

    def _signed(self, node: Signed, inner: Type) -> Type:
        if inner not in (fit.ANY, "int", "float"):
            self._warn(node, "GS1086", f"there is no sign for {in_words(inner)}, so this always fails")
            return fit.ANY
        return inner

    def _arithmetic(self, node: Arithmetic) -> Type:
        left, right = self.value(node.left), self.value(node.right)
        type_ = fit.result(node.operator, left, right)
        if type_ is None:
            self._warn(
                node,
                "GS1086",
                f"{in_words(left)} {node.operator} {in_words(right)} cannot be calculated, so this always fails",
                'to join texts, write Concat([a, b], "")' if "string" in (left, right) else "",
            )
            return fit.ANY
        return type_

    def _enum(self, node: Name) -> Type:
        if node.name not in self._enums:
            self._error(
                node,
                "GS1029",
                f"there is no enum symbol {quoted(node.name)} in the context {self._scope.context.name}",
                self._enum_hint(node.name),
            )
            return fit.ANY
        return "int"

    def _enum_hint(self, name: str) -> str:
        if name.upper() in ("TRUE", "FALSE", "NIL"):
            return f"write {name.lower()}"
        meant = did_you_mean(name, self._enums)
        if meant:
            return meant
        contexts = sorted(one.name for one in self._scope.tables.contexts.values() if name in one.enums)
        if contexts:
            return f"it is there in the context {' or '.join(contexts)}"
        if name in self._scope.functions:
            return f"a converter is called: {name}(…)"
        return "text stands in double quotes"

    # -- paths

    def _path(self, node: Path) -> tuple[Type, PathRule | None]:
        for field in node.fields:
            if field.keys:
                self._keys(field.keys)
        if self._locals and self._is_local(node.fields[0].name):
            if len(node.fields) > 1:
                self._error(
                    node,
                    "GS1028",
                    f"a name of a lambda has no fields: {quoted(node.fields[0].name)}",
                    'write a key in brackets: name["key"]',
                )
            return fit.ANY, None
        scope = self._scope
        rule = resolve(node, scope.context, scope.tables, contextless=scope.contextless)
        if isinstance(rule, Finding):
            self._add(rule)
            return fit.ANY, None
        if rule.index != "none" and node.fields[-1].keys:
            return ("string" if rule.index == "one" else fit.ANY), rule
        return rule.type, rule

    def _keys(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            if not isinstance(key.value, (Text, Integer)):
                self.value(key.value)

    def _is_local(self, name: str) -> bool:
        return any(name in frame for frame in self._locals)

    # -- lambdas

    def _lambda(self, node: Lambda) -> None:
        names = [one.name for one in node.parameters if one.name != "_"]
        if LAMBDA_GATE not in self._scope.gates:
            self._error(node, "GS1042", f"a lambda needs the feature gate {LAMBDA_GATE}", gate_hint(LAMBDA_GATE))
        self._locals.append(frozenset(names))
        if isinstance(node.body, (Comparison, Logic, Not)):
            self.condition(node.body)
        else:
            self.value(node.body)
        self._locals.pop()

    # -- calls

    def _call(self, node: Call) -> Type:
        function = self._scope.functions.get(node.name)
        if function is None:
            code, message, hint = unknown_function(node.name, self._scope.functions, self._scope.tables)
            self._error(Node(node.start, node.name_end), code, message, hint)
            for argument in node.arguments:
                self._loose(argument.value)
        elif not function.parameters:
            if node.arguments:
                self._warn(
                    Node(node.arguments[0].start, node.arguments[-1].end),
                    "GS1087",
                    f"{node.name} takes no arguments, and ignores these",
                )
        else:
            self._arguments(node, function)
        if node.keys and self._scope.tables.release >= CONVERTER_KEYS:
            self._keys(node.keys)
        return fit.ANY if node.keys or function is None else RETURNS.get(node.name, fit.ANY)

    def _arguments(self, node: Call, function: Function) -> None:
        before = len(self.findings)
        self._gate(node, function)
        count, most = len(node.arguments), len(function.parameters)
        if not function.required <= count <= most:
            self._error(Node(node.start, node.end), "GS1043", count_message(function, count), shape(function))
            for argument in node.arguments:
                self._loose(argument.value)
            return
        values: dict[str, Value] = {}
        types: dict[str, Type] = {}
        named = False
        for parameter, argument in zip(function.parameters, node.arguments, strict=False):
            target: Parameter | None = parameter
            if argument.name is not None:
                named = True
                target = self._named(function, argument, argument.name)
            elif named:
                self._error(argument, "GS1045", "an argument without a name follows one with a name")
                target = None
            if target is None:
                continue
            if target.name in values:
                self._warn(argument, "GS1089", f"{target.name} is given twice, and the last one counts")
            values[target.name] = argument.value
            types[target.name] = self._argument(function, target, argument)
        if not self._failed_since(before):
            self._construct(node, function, values)
            if function.name == "set":
                self._fit(node, types)

    def _gate(self, node: Call, function: Function) -> None:
        gate = function.gate
        if gate is None or gate in self._scope.gates:
            return
        if gate != LAMBDA_GATE or not any(isinstance(one.value, Lambda) for one in node.arguments):
            head = Node(node.start, node.name_end)
            self._error(head, "GS1042", f"{node.name} needs the feature gate {gate}", gate_hint(gate))

    def _construct(self, node: Call, function: Function, values: Mapping[str, Value]) -> None:
        """What the constructor refuses, and required arguments that others stand in for by their number."""
        if len(values) < function.required or any(one.name is not None for one in node.arguments):
            for parameter in function.parameters:
                if not parameter.optional and parameter.name not in values:
                    head = Node(node.start, node.name_end)
                    self._warn(head, "GS1089", f"{function.name} gets no {parameter.name}", shape(function))
        for one in refusals(node, values, self._enums, self._scope.tables.release):
            report = self._error if one.fatal else self._warn
            report(one.node, one.code, one.message, one.hint)

    def _fit(self, node: Call, types: Mapping[str, Type]) -> None:
        target, value = types.get("target", fit.ANY), types.get("value", fit.ANY)
        if not fit.can_set(target, value):
            self._warn(
                node.arguments[-1].value,
                "GS1081",
                f"the path holds {in_words(target)}, and this is {in_words(value)}, so set always fails",
                (self._symbol_hint(node.arguments[-1].value) if target == "int" else "") or set_hint(target, value),
            )

    def _loose(self, value: Value) -> None:
        """Checks a value whose parameter is not known; a bare name may be a function or an enum symbol."""
        if not isinstance(value, Name):
            self.value(value)

    def _named(self, function: Function, argument: Argument, name: str) -> Parameter | None:
        found = find_parameter(function, name)
        if found is None:
            names = writable_names(function)
            hint = did_you_mean(name, names) or f"its parameters are {', '.join(names)}"
            where = Node(argument.start, argument.start + len(name))
            self._error(where, "GS1044", f"{function.name} has no parameter {quoted(name)}", hint)
            self._loose(argument.value)
        return found

    def _argument(self, function: Function, parameter: Parameter, argument: Argument) -> Type:
        value, kind = argument.value, parameter.kind
        if kind in _PATH_KINDS:
            return self._target(function, parameter, argument)
        if kind in _LITERAL_KINDS:
            self._literal(parameter, value, kind, bare=argument.end == value.end)
        elif kind.startswith("[]"):
            self._list(function, parameter, value)
        elif kind == "FunctionGetter":
            self._function_name(parameter, value)
        elif kind == "LambdaExpression":
            if isinstance(value, Lambda):
                self._lambda(value)
            else:
                self._error(value, "GS1051", f"{parameter.name} must be a lambda", "write (key, value) => …")
        elif kind == "Enum":
            self._enum_argument(parameter, value)
        else:
            return self._getter(function, parameter, value, kind)
        return fit.ANY

    def _target(self, function: Function, parameter: Parameter, argument: Argument) -> Type:
        value = argument.value
        if not isinstance(value, Path) or argument.end != value.end:
            message = f"{parameter.name} must be a path"
            self._error(Node(value.start, argument.end), "GS1046", message, target_hint(value))
            if not isinstance(value, Path):
                self._loose(value)
            return fit.ANY
        type_, rule = self._path(value)
        if rule is not None and not rule.writable:
            self._warn(value, "GS1082", f"{rule.name} can be read only, so {function.name} always fails")
        takes = fit.TAKES.get(parameter.kind)
        if function.name in _TEXT_ONLY and type_ not in (fit.ANY, "string"):
            self._warn(value, "GS1080", f"{function.name} changes text only, and this is {in_words(type_)}")
        elif takes is not None and type_ != fit.ANY and type_ not in takes:
            wanted = " or ".join(in_words(one) for one in sorted(takes))
            self._warn(
                value,
                "GS1080",
                f"{function.name} needs {wanted} here, and this is {in_words(type_)}, so it always fails",
            )
        return type_

    def _literal(self, parameter: Parameter, value: Value, kind: str, *, bare: bool) -> None:
        wanted, words = _LITERAL_KINDS[kind]
        if type(value) is not wanted or not bare:
            self._error(value, "GS1047", f"{parameter.name} must be {words}", literal_hint(kind, value))
            self._loose(value)

    def _list(self, function: Function, parameter: Parameter, value: Value) -> None:
        if not isinstance(value, Items):
            self._error(value, "GS1049", f"{parameter.name} must be a list", "write it in brackets: [a, b]")
            self._loose(value)
            return
        kind = parameter.kind[2:]
        for one in value.items:
            if kind in _LITERAL_KINDS:
                self._literal(parameter, one, kind, bare=True)
            else:
                self._getter(function, parameter, one, kind)

    def _function_name(self, parameter: Parameter, value: Value) -> None:
        if not isinstance(value, Name):
            hint = f"write its name alone: {value.name}" if isinstance(value, Call) else "write its name alone: SHA256"
            self._error(value, "GS1050", f"{parameter.name} must be the name of a function", hint)
        elif value.name not in self._scope.functions:
            self._error(value, *unknown_function(value.name, self._scope.functions, self._scope.tables))

    def _enum_argument(self, parameter: Parameter, value: Value) -> None:
        if isinstance(value, Name):
            self._enum(value)
        else:
            self._error(value, "GS1047", f"{parameter.name} must be an enum symbol")

    def _getter(self, function: Function, parameter: Parameter, value: Value, kind: str) -> Type:
        before = len(self.findings)
        type_ = self.value(value)
        if type_ == fit.ANY or kind == "Getter" or self._failed_since(before):
            return type_
        known = constant(value, self._enums)
        if known is None:
            takes = fit.TAKES.get(kind)
            if takes is not None and type_ not in takes and function.name not in _TYPE_TESTS:
                self._warn(value, "GS1080", getter_message(function, parameter, takes, type_) + ", so it always fails")
            return type_
        accepted = fit.LITERALS.get(kind)
        if accepted is None:
            return type_
        if known.type not in accepted:
            message = getter_message(function, parameter, accepted, known.type)
            self._error(value, "GS1048", message, getter_hint(kind, known.type))
        elif known.type == "list" and not is_raw(value):
            self._error(value, "GS1048", f"{parameter.name} must not be a list of maps here")
        elif isinstance(known.value, str):
            self._convertible(parameter, value, kind, known.value)
        return type_

    def _convertible(self, parameter: Parameter, value: Value, kind: str, text: str) -> None:
        if kind == "FloatLikeGetter" and not is_float_text(text):
            self._error(value, "GS1048", f"{parameter.name} must be a number, and {quoted(text)} is none")
        elif kind == "BoolLikeGetter" and text not in TRUTHS:
            self._error(value, "GS1048", f"{parameter.name} must be true or false, and {quoted(text)} is neither")


def _same(left: Path, right: Path) -> bool:
    """Whether two paths are written with the same names and the same fixed keys."""
    if len(left.fields) != len(right.fields):
        return False
    for one, other in zip(left.fields, right.fields, strict=True):
        if one.name != other.name or len(one.keys) != len(other.keys):
            return False
        for key, other_key in zip(one.keys, other.keys, strict=True):
            if not (isinstance(key.value, (Text, Integer)) and isinstance(other_key.value, (Text, Integer))):
                return False
            if key.value.value != other_key.value.value:
                return False
    return True
