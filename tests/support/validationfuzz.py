"""Broken configurations and statements without end, and what must hold of every verdict about them.

They are made from the schemas (values of any kind at any place) and from the corpus of `tests/agreement` (texts with
pieces cut out, doubled, swapped and put in). One seed gives the same ones in every run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from gitsync.collector.build import Build
from gitsync.collector.findings import LIMIT
from gitsync.collector.judge import MOST, Verdict
from gitsync.collector.schema import (
    Anything,
    Duration,
    Entries,
    Flag,
    Identifier,
    Items,
    Number,
    Schema,
    Struct,
    Text,
    Whole,
)
from gitsync.ottl.finding import Finding

KINDS = ("receiver", "processor", "exporter", "connector", "extension")
SIGNALS = ("traces", "metrics", "logs", "profiles")
CHECKS = 4
"""Checks of a whole file that have a limit each: reading, references, the graph, `service::telemetry`."""
CODES = 150
"""More than there are: each is kept once beyond a limit."""
LONGEST = 1500
"""Characters of a message or a hint."""
WITHOUT_A_PLACE = frozenset({"GS0100", "GS0101", "GS0102", "GS0103", "GS0206", "GS0216"})
"""Findings about a whole file."""

SCALARS = (
    "0", "-1", "1", "65536", "1e400", "1.5", ".nan", "-.inf", "0x1F", "0o17", "0b1", "1_000", "9223372036854775808",
    "18446744073709551616", "9" * 300, "9" * 5000, "true", "False", "null", "~", '""', "''", '" "', "no",
    "2024-01-31", "2024-02-30", "1:30", "10s", "1h30m", "-5s", "1d", "1e3s", "9" * 400 + "h", ".5ms",
    "localhost:4317", '":4317"', '"[::1]:99999"', '"http://u:p@[::1"', '"http://%zz"', '"unix:///x"', '"\\ud800"',
    '"\\0"', '"a\\u2028b"', '"\\U0010ffff"', '"${env:A}"', '"${A"', '"$${A}"', '"${${A}}"', '"${yaml:1}"', '"$$$$$"',
    '"${:x}"', '"${env:A:-${env:B}}"', '"}{$"', '"(?<a>x"', '"(a{1000}){1000}"', '"\\\\pN"', '"(?=x)"', '"[a-"',
    '"*"', '"**/{a,[b}"', '"[!]"', '"/var/log/*.log"', '"attributes[\\"a\\"]"', '"body.a.b"', '"resource"', '"%Y-%m"',
    '"2006-01-02"', '"body matches \\"(\\""', '"EXPR(1+)"', '"a/b"', '"otlp/"', '"/"', '"otlp"', '"forward"',
    '"traces"', '"traces/a"', "basic", "debug", "[]", "{}", "[[]]", "[{}]", "[null]", '["", 1, {}]', "{a: 1}",
    '{"": ""}', "{enabled: false}", "{enabled: null}", "{type: add}", "{name: a, value: b}", "[{name: a, value: 1}]",
    "!!int 3", "!!str 3", '!x "y"', "&a {a: 1}", "*a", "{<<: *a}", "{<<: [*a, *a]}", '"\u202e\U0001f600"',
    '"' + "x" * 3000 + '"', "é", '"-----BEGIN CERTIFICATE-----"', "[a, b, a]", "[0.5, 0.5, -1]", "{key: [*a]}",
    "SHA256",
)  # fmt: skip
PIECES = (
    "\t", "\r", "\n", "\r\n", " ", ":", ": ", "- ", "[", "]", "{", "}", ",", "|", ">", "|2-", "&a ", "*a", "!!map ",
    "<<: ", "#", "---\n", "...", "%YAML 1.1\n", '"', "'", "\\", "$", "${", "}", "${env:X}", "\x00", "\x85", "\u2028",
    "\ufeff", "\ud800", "\U0001f600", "::", "? ", "@", "`", "null", "true", "0", "-1", "1e999", "x" * 2000,
    "9" * 5000, "/", "é", "\x1b[31m",
)  # fmt: skip
OTTL = (
    "(", ")", "[", "]", "{", "}", ",", ".", "=", "==", "=>", " and ", " or ", " not ", " where ", '"', '\\"', "'",
    "+", "-", "*", "/", "0", "1", "-1", "1.5", "9" * 400, "0x", "0xff", "nil", "true", "SHA256(", "Concat([", '"a"',
    '"("', '"\\\\pN"', "x", "span", "span.", "span.attributes", '["a"]', "[0]", "log.body", "resource", "set(",
    "(x) => x", "\n", "\t", "\x00", "\ud800", "é", "\u2028", "$", "\\", '"%{WORD:a}"', '"%Y"', "STATUS_CODE_OK",
    "context.", "drop()", "::", "Time(", "[]",
)  # fmt: skip


class Fuzz:
    """Makes broken input.

    Args:
        random: decides.
        build: whose schemas are used.
        configs: texts to begin with.
        statements: texts to begin with.
    """

    def __init__(self, random: Random, build: Build, configs: Sequence[str], statements: Sequence[str]) -> None:
        self._random = random
        self._configs = configs
        self._statements = statements
        version = build.newest
        self._schemas: dict[str, dict[str, Schema]] = {kind: {} for kind in KINDS}
        for kind in KINDS:
            for name in version.types(kind):
                schema = version.schema(kind, name)
                if schema is not None:
                    self._schemas[kind][name] = schema
        self._telemetry = version.telemetry

    def config(self) -> bytes:
        """A configuration: made by schema, or damaged, or both; seldom in another encoding."""
        random = self._random
        text = self._generated() if random.random() < 0.6 else random.choice(self._configs)
        if random.random() < 0.5:
            text = self._damaged(text, self._configs, PIECES)
        if random.random() < 0.05:
            text = text.replace("\n", random.choice(("\r", "\r\n", "\n\n", "\x85", "\u2028")))
        encoding = random.choice(("utf-8",) * 60 + ("utf-16", "latin-1", "utf-8-sig"))
        return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")

    def statement(self) -> str:
        """A text of OTTL that is probably wrong."""
        return self._damaged(self._random.choice(self._statements), self._statements, OTTL)

    def _damaged(self, text: str, others: Sequence[str], pieces: Sequence[str]) -> str:
        random = self._random
        for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
            start = random.randrange(len(text) + 1)
            end = min(len(text), start + int(random.expovariate(0.1)))
            match random.randrange(6):
                case 0:
                    text = text[:start] + text[end:]
                case 1 | 2:
                    text = text[:start] + random.choice(pieces) + text[start:]
                case 3:
                    text = text[:start] + random.choice(pieces) + text[end:]
                case 4:
                    text = text[:end] + text[start:end] * random.randrange(1, 20) + text[end:]
                case _:
                    other = random.choice(others)
                    at = random.randrange(len(other) + 1)
                    text = text[:start] + other[at : at + end - start + 10] + text[end:]
        return text

    def _generated(self) -> str:
        random = self._random
        lines = ["x-: &a {a: 1, b: [c]}"] if random.random() < 0.3 else []
        names: dict[str, list[str]] = {}
        for kind in KINDS:
            chosen = random.sample(sorted(self._schemas[kind]), random.choice((0, 1, 1, 1, 2)))
            names[kind] = [one + random.choice(("", "", "/x")) for one in chosen]
            if names[kind]:
                lines.append(f"{kind}s:")
            for name, of in zip(names[kind], chosen, strict=True):
                lines.append(f"  {name}: {self._value(self._schemas[kind][of], 0)}")
        if random.random() < 0.9:
            lines += ["service:", *self._service(names)]
        return "\n".join(lines) + "\n"

    def _service(self, names: Mapping[str, Sequence[str]]) -> Iterable[str]:
        random = self._random
        if random.random() < 0.2:
            yield f"  telemetry: {self._value(self._telemetry, 0)}"
        if names["extension"]:
            yield f"  extensions: [{', '.join(names['extension'])}]"
        yield "  pipelines:"
        for number in range(random.choice((1, 1, 2, 3))):
            ends = names["connector"] * (random.random() < 0.7)
            parts = {
                "receivers": [*names["receiver"], *ends],
                "processors": names["processor"],
                "exporters": [*names["exporter"], *ends],
            }
            inside = ", ".join(f"{key}: [{', '.join(ids)}]" for key, ids in parts.items())
            yield f"    {random.choice(SIGNALS)}/{number}: {{{inside}}}"

    def _value(self, field: Schema, depth: int) -> str:
        """A value in YAML's flow style; most fit the schema, so that what is below it is reached."""
        random, shape = self._random, field.shape
        if random.random() < 0.15 or depth > 8:
            return self._scalar()
        match shape:
            case Struct():
                return self._struct(shape, depth)
            case Items():
                item = shape.item
                if shape.operators and random.random() < 0.9:
                    inner = ", ".join(self._operator(shape.operators, depth) for _ in range(random.randrange(4)))
                    return f"[{inner}]"
                return "[" + ", ".join(self._value(item, depth + 1) for _ in range(random.randrange(4))) + "]"
            case Entries():
                keys = random.sample(("a", "b", '"x.y"', '""', '"é"', "memory", "1"), random.randrange(3))
                return "{" + ", ".join(f"{key}: {self._value(shape.value, depth + 1)}" for key in keys) + "}"
        return self._fitting(shape)

    def _struct(self, shape: Struct, depth: int) -> str:
        random = self._random
        keys = [one for one in shape.fields if random.random() < 3 / (len(shape.fields) + 1) + 0.05]
        entries = [f"{json.dumps(key)}: {self._value(shape.fields[key], depth + 1)}" for key in keys]
        if random.random() < 0.1:
            near = [one[:-1] + "x" for one in shape.fields]
            key = random.choice(["unknown", "enabled", "type", "::", "a::b", *near])
            entries.append(f"{json.dumps(key)}: {self._scalar()}")
        return "{" + ", ".join(entries) + "}"

    def _operator(self, operators: Mapping[str, Schema], depth: int) -> str:
        name = self._random.choice(sorted(operators))
        shape = operators[name].shape
        assert isinstance(shape, Struct)
        inside = self._struct(shape, depth + 1)
        return f"{{type: {name}{', ' if inside != '{}' else ''}{inside[1:]}"

    def _fitting(self, shape: object) -> str:
        random = self._random
        match shape:
            case Text(words=words) if words:
                return json.dumps(random.choice(sorted(words)))
            case Text():
                statement = json.dumps(random.choice(self._statements))
                return random.choice((statement, '"a"', '"localhost:4317"', '"http://localhost:4317"', self._scalar()))
            case Duration():
                return random.choice(("1s", "0s", "-1s", "10h", "1ns", "0"))
            case Identifier():
                return random.choice(("otlp", "file_storage", "basicauth/x", '"/"'))
            case Whole() | Number():
                return random.choice(("0", "1", "-1", "100", "65536", "0.5"))
            case Flag():
                return random.choice(("true", "false"))
        assert isinstance(shape, Anything), shape
        return self._scalar()

    def _scalar(self) -> str:
        return self._random.choice(SCALARS)


_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


def assert_sound(verdict: Verdict, files: Mapping[str, bytes], components: int) -> None:
    """What holds of every verdict: bounded, sorted, in words for one line each, and every fault has its place."""
    found = verdict.diagnostics
    assert len(found) <= min(CHECKS + components, CHECKS + 2 * MOST // LIMIT + 2) * (LIMIT + CODES)
    assert list(found) == sorted(set(found))
    assert verdict.valid == all(one.severity != "error" for one in found)
    lines = {path: _BREAK.split(data.decode("utf-8", "replace").removeprefix("\ufeff")) for path, data in files.items()}
    for one in found:
        assert re.fullmatch(r"GS[0-9]{4}", one.code), one
        assert one.message, one
        for text in (one.message, one.hint):
            assert len(text) <= LONGEST, one
            assert "\n" not in text, one
            assert text.isprintable(), one
        assert one.path in files, one
        if one.line == 0:
            assert one.column == 0, one
            assert one.code in WITHOUT_A_PLACE, one
        else:
            assert 1 <= one.line <= len(lines[one.path]), one
            assert 1 <= one.column <= len(lines[one.path][one.line - 1]) + 1, one


def assert_sound_findings(found: Iterable[Finding], text: str) -> None:
    """What holds of every finding about a single text."""
    for one in found:
        assert 0 <= one.start <= one.end <= len(text), one
        assert re.fullmatch(r"GS1[0-9]{3}", one.code), one
        assert one.message, one
        for words in (one.message, one.hint):
            assert len(words) <= LONGEST, one
            assert words.isprintable(), one
