"""Writes a tree of OTTL as text, with brackets only where the meaning needs them."""

from gitsync.ottl.tree import (
    Arithmetic,
    Boolean,
    Bytes,
    Call,
    Comparison,
    Float,
    Integer,
    Items,
    Key,
    Lambda,
    Logic,
    Name,
    Nil,
    Node,
    Not,
    Pairs,
    Path,
    Signed,
    Statement,
    Text,
)


def write(node: Node) -> str:
    match node:
        case Statement(editor=editor, condition=condition):
            return write(editor) + (f" where {write(condition)}" if condition else "")
        case Comparison(operator=operator, left=left, right=right):
            return f"{write(left)} {operator} {write(right)}"
        case Not(condition=condition):
            return f"not {_in_brackets(condition, Logic, Not)}"
        case Logic(operator="and", conditions=conditions):
            return " and ".join(_in_brackets(one, Logic) for one in conditions)
        case Logic(conditions=conditions):
            return " or ".join(
                f"({write(one)})" if isinstance(one, Logic) and one.operator == "or" else write(one)
                for one in conditions
            )
        case Lambda(parameters=parameters, body=body):
            return f"({', '.join(one.name for one in parameters)}) => {write(body)}"
        case Arithmetic() | Signed():
            return _arithmetic(node)
        case Path(fields=fields):
            return ".".join(one.name + _keys(one.keys) for one in fields)
        case Call(name=name, arguments=arguments, keys=keys):
            written = ", ".join((f"{one.name}=" if one.name else "") + write(one.value) for one in arguments)
            return f"{name}({written}){_keys(keys)}"
        case Items(items=items):
            return "[" + ", ".join(map(write, items)) + "]"
        case Pairs(pairs=pairs):
            return "{" + ", ".join(f"{write(one.key)}: {write(one.value)}" for one in pairs) + "}"
    return _literal(node)


def _literal(node: Node) -> str:
    match node:
        case Text(value=value):
            return '"' + "".join(_character(char) for char in value) + '"'
        case Integer(value=value):
            return str(value)
        case Float(value=value):
            return f"{value:.20f}"
        case Boolean(value=value):
            return "true" if value else "false"
        case Nil():
            return "nil"
        case Bytes(value=value):
            return "0x" + value.hex()
        case Name(name=name):
            return name
    raise AssertionError(node)


def _character(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _keys(keys: tuple[Key, ...]) -> str:
    return "".join(f"[{write(one.value)}]" for one in keys)


def _arithmetic(node: Arithmetic | Signed) -> str:
    if isinstance(node, Signed):
        return node.sign + _in_brackets(node.value, Arithmetic, Signed)
    if node.operator in "+-":
        right = node.right
        is_sum = isinstance(right, Arithmetic) and right.operator in "+-"
        return f"{write(node.left)} {node.operator} " + (f"({write(right)})" if is_sum else write(right))
    left = node.left
    is_sum = isinstance(left, Arithmetic) and left.operator in "+-"
    return (f"({write(left)})" if is_sum else write(left)) + f" {node.operator} " + _in_brackets(node.right, Arithmetic)


def _in_brackets(node: Node, *kinds: type[Node]) -> str:
    return f"({write(node)})" if isinstance(node, kinds) else write(node)
