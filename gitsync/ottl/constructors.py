"""What the functions refuse when they are made: patterns, words, limits.

Only arguments that are literals are judged, as the Collector does. Sources: pkg/ottl/ottlfuncs and
processor/transformprocessor/internal of v0.149.0 and v0.159.0, file func_<name>.go of each function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from gitsync.ottl.constants import constant
from gitsync.ottl.literals.encoding import encoding_problem
from gitsync.ottl.literals.glob import glob_problem
from gitsync.ottl.literals.grok import grok_problem, read_definitions
from gitsync.ottl.literals.layout import layout_hint, layout_problem
from gitsync.ottl.literals.network import network_problem
from gitsync.ottl.literals.regex import read_regex
from gitsync.ottl.literals.xpath import xpath_problem
from gitsync.ottl.literals.zones import LOCALES, ZONES
from gitsync.ottl.tree import Call, Items, Lambda, Node, Value
from gitsync.wording import did_you_mean, nearest, quoted


@dataclass(frozen=True, slots=True)
class Refusal:
    """One literal that a function refuses; `fatal` is False when only the running statement fails."""

    node: Node
    code: str
    message: str
    hint: str = ""
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call by the names of their parameters, and what is needed to evaluate them."""

    call: Call
    values: Mapping[str, Value]
    enums: Mapping[str, int]
    release: tuple[int, int]

    def node(self, name: str) -> Node:
        """Where to point: the argument, or the name of the function when it is missing."""
        return self.values.get(name) or Node(self.call.start, self.call.name_end)

    def text(self, name: str) -> str | None:
        """The argument when it is a literal text."""
        known = self._known(name)
        return known if isinstance(known, str) else None

    def integer(self, name: str) -> int | None:
        """The argument when it is a whole number."""
        known = self._known(name)
        return known if isinstance(known, int) and not isinstance(known, bool) else None

    def number(self, name: str) -> float | None:
        """The argument when it is a number."""
        known = self._known(name)
        return known if isinstance(known, float) else self.integer(name)

    def is_true(self, name: str) -> bool:
        """Whether the argument is `true`."""
        return self._known(name) is True

    def items(self, name: str) -> tuple[Value, ...]:
        """The items when the argument is a list as it stands; empty otherwise."""
        value = self.values.get(name)
        return value.items if isinstance(value, Items) else ()

    def texts(self, name: str) -> Iterator[tuple[Value, str | None]]:
        """The items of a list, and each one's text when it is a literal."""
        for one in self.items(name):
            known = constant(one, self.enums)
            yield one, known.value if known is not None and isinstance(known.value, str) else None

    def _known(self, name: str) -> object:
        value = self.values.get(name)
        known = constant(value, self.enums) if value is not None else None
        return known.value if known is not None else None


Check: TypeAlias = Callable[[Arguments], Iterator[Refusal]]


def refusals(
    call: Call, values: Mapping[str, Value], enums: Mapping[str, int], release: tuple[int, int]
) -> list[Refusal]:
    """What the constructor of the called function refuses; empty for functions that refuse nothing."""
    check = CHECKS.get(call.name)
    return list(check(Arguments(call, values, enums, release))) if check is not None else []


def _regex(name: str, *, must_capture: bool = False) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        pattern = given.text(name)
        if pattern is None:
            return
        verdict = read_regex(pattern)
        if verdict.problem:
            yield Refusal(given.node(name), "GS1060", verdict.problem, verdict.hint)
        elif must_capture and verdict.known and not verdict.names:
            yield Refusal(
                given.node(name),
                "GS1088",
                "the regular expression names no group, so the function always fails",
                "name at least one group: (?P<method>[A-Z]+)",
                fatal=False,
            )

    return check


def _glob(given: Arguments) -> Iterator[Refusal]:
    pattern = given.text("pattern")
    problem = glob_problem(pattern) if pattern is not None else None
    if problem:
        yield Refusal(given.node("pattern"), "GS1061", problem, "a glob is no regular expression: * ? [a-z] {a,b}")


def _format(given: Arguments) -> Iterator[Refusal]:
    layout = given.text("replacement_format")
    if layout is not None and (layout.count("%s") < 1 or re.search("%[^s]", layout)):
        yield Refusal(
            given.node("replacement_format"),
            "GS1088",
            "a format of a replacement must hold %s and no other directive, so the function always fails",
            'write it like "hash(%s)"',
            fatal=False,
        )


def _words(name: str, *words: str, default: str | None = None) -> Check:
    """The argument must be one of some words; a missing one is empty, unless there is a default."""

    def check(given: Arguments) -> Iterator[Refusal]:
        value = given.values.get(name)
        if value is None and default is not None:
            return
        word = given.text(name) if value is not None else ""
        if word is not None and word not in words:
            yield Refusal(
                given.node(name),
                "GS1067",
                f"{name} must be one of {', '.join(words)}" + (f", not {quoted(word)}" if word else ""),
                did_you_mean(word, words),
            )

    return check


def _time(given: Arguments) -> Iterator[Refusal]:
    yield from _layout(given)
    zone = given.text("location")
    if zone and not _is_zone(zone):
        yield Refusal(
            given.node("location"),
            "GS1063",
            f"there is no time zone {quoted(zone)}",
            did_you_mean(
                zone, ZONES if len(zone) < 4 else [one for one in ZONES if one[:1].lower() == zone[:1].lower()]
            )
            or "zones are named like Europe/Berlin",
        )
    locale = given.text("locale")
    if locale is not None and locale not in LOCALES and not _is_newer_locale(locale):
        near = nearest(locale, [one for one in LOCALES if one[:2].lower() == locale[:2].lower()])
        yield Refusal(
            given.node("locale"),
            "GS1063",
            f"there is no locale {quoted(locale)}",
            f'did you mean "{near}"?' if near else "locales are named like en-US",
        )


def _is_zone(zone: str) -> bool:
    """Whether a zone may be known on the machine; `Local` and `UTC` need no data. Source: Go, time.LoadLocation."""
    return (
        zone in ZONES
        or zone in ("Local", "localtime", "posixrules", "Factory")
        or zone.startswith(("posix/", "right/"))
    )


def _is_newer_locale(locale: str) -> bool:
    """Whether the language is known, so that another release of the locales may know the variant."""
    return (
        locale.partition("-")[0] in LOCALES
        and re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", locale) is not None
    )


def _layout(given: Arguments) -> Iterator[Refusal]:
    layout = given.text("format")
    problem = layout_problem(layout or "") if layout is not None or "format" not in given.values else None
    if problem:
        yield Refusal(given.node("format"), "GS1062", problem, layout_hint(layout or ""))


def _grok(given: Arguments) -> Iterator[Refusal]:
    definitions = [text for _, text in given.texts("pattern_definitions") if text is not None]
    read = read_definitions(definitions)
    if isinstance(read, str):
        yield Refusal(given.node("pattern_definitions"), "GS1064", read)
        return
    pattern = given.text("pattern")
    if pattern is None:
        return
    problem = grok_problem(pattern, read, named_only=given.is_true("named_captures_only"))
    if problem is not None:
        yield Refusal(given.node("pattern"), "GS1064", *problem)


def _xpath(*, default: bool) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        expression = given.text("x_path") if "x_path" in given.values else ""
        if expression is None or (default and not expression):
            return
        problem = xpath_problem(expression)
        if problem:
            yield Refusal(given.node("x_path"), "GS1065", problem)

    return check


def _networks(given: Arguments) -> Iterator[Refusal]:
    for node, text in given.texts("networks"):
        if text is None:
            return
        problem = network_problem(text)
        if problem:
            yield Refusal(node, "GS1066", problem)


def _delimiters(given: Arguments) -> Iterator[Refusal]:
    values = {"delimiter": "=", "pair_delimiter": " "}
    for name in values:
        text = given.text(name)
        if text == "":
            yield Refusal(given.node(name), "GS1069", f"{name} must not be empty")
        elif text is not None:
            values[name] = text
    if values["delimiter"] == values["pair_delimiter"]:
        where = "pair_delimiter" if "pair_delimiter" in given.values else "delimiter"
        yield Refusal(given.node(where), "GS1069", "delimiter and pair_delimiter must differ")


def _csv(given: Arguments) -> Iterator[Refusal]:
    for name in ("delimiter", "header_delimiter"):
        text = given.text(name)
        if text is not None and len(text) != 1:
            yield Refusal(given.node(name), "GS1069", f"{name} must be a single character")
    yield from _words("mode", "strict", "lazyQuotes", "ignoreQuotes", default="strict")(given)


def _identifier(size: int) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        value = given.values.get("target")
        known = constant(value, given.enums) if value is not None else None
        if known is None or value is None:
            return
        raw = _bytes_of(known.value)
        if raw is None:
            return
        if len(raw) == size or (len(raw) == 2 * size and re.fullmatch(rb"[0-9a-fA-F]*", raw)):
            return
        yield Refusal(
            value,
            "GS1070",
            f"{given.call.name} takes {size} bytes or {2 * size} hexadecimal digits, and got {len(raw)} bytes",
            f"write 0x and {2 * size} hexadecimal digits",
        )

    return check


def _bytes_of(value: object) -> bytes | None:
    """What a literal is as bytes: numbers have eight, true and false one. Source: pkg/ottl/expression.go."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "replace")
        case bool():
            return b"\x01" if value else b"\x00"
        case int() | float():
            return bytes(8)
        case None:
            return b""
        case _:
            return None


def _decode(given: Arguments) -> Iterator[Refusal]:
    name = given.text("encoding")
    problem = encoding_problem(name) if name is not None else None
    if problem:
        yield Refusal(given.node("encoding"), "GS1071", problem, fatal=given.release >= (0, 158))


def _encode(given: Arguments) -> Iterator[Refusal]:
    word = given.text("variant")
    words = ("base64", "base64-raw", "base64-url", "base64-raw-url")
    if word is not None and word not in words:
        message = f"variant must be one of {', '.join(words)}, so the function always fails"
        yield Refusal(given.node("variant"), "GS1088", message, did_you_mean(word, words), fatal=False)


_DURATION: Final = re.compile(r"[+-]?(?:0|(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:ns|us|µs|μs|ms|s|m|h))+)")


def _duration(given: Arguments) -> Iterator[Refusal]:
    text = given.text("duration")
    if text is not None and not _DURATION.fullmatch(text):
        message = f"{quoted(text)} is no duration, so the function always fails"
        yield Refusal(given.node("duration"), "GS1088", message, 'durations look like "1h30m" or "500ms"', fatal=False)


def _at_least(name: str, least: int) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        number = given.integer(name)
        if number is not None and number < least:
            yield Refusal(given.node(name), "GS1068", f"{name} must be at least {least}, and is {number}")

    return check


def _limit(given: Arguments) -> Iterator[Refusal]:
    limit = given.integer("limit") if "limit" in given.values else 0
    keys = len(given.items("priority_keys"))
    yield from _at_least("limit", 0)(given)
    if limit is not None and 0 <= limit < keys:
        message = f"limit must not be less than the number of priority keys: {limit} is less than {keys}"
        yield Refusal(given.node("limit"), "GS1068", message)


def _truncate(given: Arguments) -> Iterator[Refusal]:
    limit = given.integer("limit") if "limit" in given.values else 0
    marker = len((given.text("truncation_marker") or "").encode("utf-8", "replace"))
    yield from _at_least("limit", 0)(given)
    if limit is not None and 0 <= limit < marker:
        message = f"truncation_marker must not be longer than limit: {marker} bytes are more than {limit}"
        yield Refusal(given.node("truncation_marker"), "GS1068", message)


def _not_empty(name: str) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        if not given.items(name):
            yield Refusal(given.node(name), "GS1072", f"{name} must not be empty")

    return check


def _append(given: Arguments) -> Iterator[Refusal]:
    if "value" not in given.values and "values" not in given.values:
        yield Refusal(given.node(""), "GS1073", "append needs something to append", "give it value=… or values=[…]")


def _percentile(given: Arguments) -> Iterator[Refusal]:
    number = given.number("percentile") if "percentile" in given.values else 0.0
    if number is not None and not 0 < number < 100:
        yield Refusal(given.node("percentile"), "GS1068", "percentile must be more than 0 and less than 100")


def _buckets(given: Arguments) -> Iterator[Refusal]:
    yield from _words("method", "remove_explicit_bound", "limit_buckets", default="remove_explicit_bound")(given)
    value = given.values.get("target_value")
    known = constant(value, given.enums) if value is not None else None
    if known is None or value is None:
        return
    if known.type == "nil":
        yield Refusal(value, "GS1068", "target_value must not be nil")
    elif given.text("method") == "limit_buckets" and not _is_positive_integer(known.value):
        yield Refusal(value, "GS1068", "target_value must be a positive whole number for limit_buckets")


def _is_positive_integer(value: object) -> bool:
    try:
        number = float(value)  # type: ignore[arg-type]  # a text that is no number was refused before
    except (TypeError, ValueError):
        return True
    return number >= 1 and number.is_integer() and number <= 2**63


_SEMVER: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")


def _semconv(given: Arguments) -> Iterator[Refusal]:
    text = given.text("semconv_version") or ""
    newest = 43 if given.release >= (0, 159) else 40
    if given.release < (0, 150):
        fits, range_ = text == "1.37.0", "1.37.0"
    else:
        fits, range_ = _is_between(text, (1, 37, 0), (1, newest, 0)), f"1.37.0 to 1.{newest}.0"
    if not fits:
        message = f"semconv_version must be {range_}" + (f", not {quoted(text)}" if text else "")
        yield Refusal(given.node("semconv_version"), "GS1074", message)
    if given.text("original_span_name_attribute") == "":
        node = given.node("original_span_name_attribute")
        yield Refusal(node, "GS1067", "original_span_name_attribute must not be empty")


def _is_between(text: str, lowest: tuple[int, int, int], highest: tuple[int, int, int]) -> bool:
    found = _SEMVER.fullmatch(text)
    if found is None:
        return False
    version = (int(found[1]), int(found[2] or 0), int(found[3] or 0))
    if found[4]:
        return lowest < version <= highest
    return lowest <= version <= highest


def _lambdas(**arity: int) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        for name, count in arity.items():
            value = given.values.get(name)
            if isinstance(value, Lambda) and len(value.parameters) != count:
                shape = ", ".join(("a", "b", "c")[:count])
                yield Refusal(
                    value,
                    "GS1052",
                    f"{name} must have {count} parameters, and has {len(value.parameters)}",
                    f"write ({shape}) => …",
                )

    return check


def _all(*checks: Check) -> Check:
    def check(given: Arguments) -> Iterator[Refusal]:
        for one in checks:
            yield from one(given)

    return check


_TEMPORALITY: Final = _words("string_agg_temp", "delta", "cumulative")
_AGGREGATION: Final = _words("aggregation_function", "sum", "mean", "min", "max", "median", "count")

CHECKS: Final[dict[str, Check]] = {
    "All": _lambdas(predicate=2),
    "Any": _lambdas(predicate=2),
    "Base64Encode": _encode,
    "Coalesce": _not_empty("values"),
    "ConvertAttributesToElementsXML": _xpath(default=True),
    "ConvertCase": _words("to_case", "lower", "upper", "snake", "camel"),
    "ConvertTextToElementsXML": _xpath(default=True),
    "Decode": _decode,
    "Duration": _duration,
    "ExtractGrokPatterns": _grok,
    "ExtractPatterns": _regex("pattern", must_capture=True),
    "Filter": _lambdas(predicate=2),
    "Find": _lambdas(predicate=2, mapper=2),
    "FormatTime": _layout,
    "GetXML": _xpath(default=False),
    "InsertXML": _xpath(default=False),
    "IsInCIDR": _networks,
    "IsMatch": _regex("pattern"),
    "MapEach": _lambdas(mapper=2),
    "MapKeys": _lambdas(key_mapper=2),
    "ParseCLF": _words("format", "clf", "combined", default="clf"),
    "ParseCSV": _csv,
    "ParseKeyValue": _delimiters,
    "ProfileID": _identifier(16),
    "Reduce": _lambdas(accumulator=3),
    "RemoveXML": _xpath(default=False),
    "Sort": _words("order", "asc", "desc", default="asc"),
    "SpanID": _identifier(8),
    "Time": _time,
    "ToKeyValueString": _delimiters,
    "TraceID": _identifier(16),
    "When": _lambdas(condition=0),
    "aggregate_on_attribute_value": _AGGREGATION,
    "aggregate_on_attributes": _AGGREGATION,
    "append": _append,
    "convert_exponential_histogram_to_histogram": _all(
        _words("distribution_fn", "upper", "midpoint", "random", "uniform", ""), _not_empty("explicit_bounds")
    ),
    "convert_gauge_to_sum": _TEMPORALITY,
    "convert_summary_count_val_to_sum": _TEMPORALITY,
    "convert_summary_sum_val_to_sum": _TEMPORALITY,
    "delete_matching_keys": _regex("pattern"),
    "extract_percentile_metric": _percentile,
    "flatten": _at_least("depth", 1),
    "keep_matching_keys": _regex("pattern"),
    "limit": _limit,
    "merge_histogram_buckets": _buckets,
    "merge_maps": _words("strategy", "insert", "update", "upsert"),
    "replace_all_matches": _all(_glob, _format),
    "replace_all_patterns": _all(_regex("regex_pattern"), _words("mode", "key", "value"), _format),
    "replace_match": _all(_glob, _format),
    "replace_pattern": _all(_regex("regex_pattern"), _format),
    "set_semconv_span_name": _semconv,
    "truncate_all": _truncate,
}
"""Check by the name of the function."""
