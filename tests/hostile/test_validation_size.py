"""Configurations made to exhaust the whole judgement: the work grows with their size, and findings are bounded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from gitsync.collector.build import Build
from gitsync.collector.judge import MOST, judge_files
from gitsync.worker.schemas import load_catalog
from tests.support.validationfuzz import assert_sound

FRAME = "receivers: {otlp: {protocols: {grpc: {}}}}\nexporters: {debug: {}}\n"
Shape = Callable[[int], str]


def pipeline(receiver: str = "otlp", processor: str = "", exporter: str = "debug", signal: str = "traces") -> str:
    lists = f"receivers: [{receiver}], processors: [{processor}], exporters: [{exporter}]"
    return f"service:\n  pipelines:\n    {signal}: {{{lists}}}\n"


def lines(count: int, line: str) -> str:
    """A line that many times, with its number for each `@`."""
    return "".join(line.replace("@", str(number)) for number in range(count))


def section(name: str, count: int, line: str) -> str:
    return f"{name}:\n" + lines(count, f"  {line}\n")


def a_word(text: str) -> str:
    return f"exporters: {{debug: {{verbosity: '{text}'}}}}\n"


def transform(count: int, line: str) -> str:
    body = lines(count, f"      - {line}\n")
    return f"{FRAME}processors:\n  transform:\n    trace_statements:\n{body}{pipeline(processor='transform')}"


def file_log(body: str) -> str:
    return f"receivers:\n  file_log:\n    include: [/x]\n{body}exporters: {{debug: {{}}}}\n" + pipeline(
        "file_log", signal="logs"
    )


def operators(count: int, operator: str) -> str:
    return file_log("    operators:\n" + lines(count, f"      - {operator}\n"))


def connectors(count: int, pipelines: int, *, names: Callable[[int], tuple[str, str]]) -> str:
    declared = lines(count, "  forward/@:\n")
    listed = "".join(
        "    traces/{}: {{receivers: [{}], exporters: [{}]}}\n".format(one, *names(one)) for one in range(pipelines)
    )
    return f"{FRAME}connectors:\n{declared}service:\n  pipelines:\n{listed}"


def all_to_all(count: int) -> str:
    every = ",".join(f"forward/{one}" for one in range(count))
    return connectors(count, count, names=lambda _: (every, every))


def one_long_circle(count: int) -> str:
    return connectors(count, count, names=lambda one: (f"forward/{one}", f"forward/{(one + 1) % count}"))


def by_alias(text: str, count: int, processors: int = 1) -> str:
    every = lines(processors, f"  transform/@: {{trace_statements: [{'*x,' * count}]}}\n")
    return f"x: &x {text}\n{FRAME}processors:\n{every}{pipeline(processor='transform/0')}"


SHAPES: dict[str, tuple[Shape, int]] = {
    "types that nobody knows": (lambda n: section("receivers", n, "otl@x:") + pipeline(), 32_000),
    "a wrong key in every component": (lambda n: section("receivers", n, "otlp/@: {protocolz@: 1}"), 16_000),
    "wrong keys in one component": (lambda n: "receivers:\n  otlp:\n" + lines(n, "    protocol@:\n"), 32_000),
    "references to what is almost there": (
        lambda n: (
            section("receivers", 400, "otlp/a@:")
            + "exporters: {debug: }\n"
            + pipeline(",".join(f"otlp/{one}" for one in range(n)))
        ),
        64_000,
    ),
    "every connector in every pipeline": (lambda n: all_to_all(int((n / 2) ** 0.5)), 32_000),
    "one circle through everything": (one_long_circle, 4_000),
    "names that nobody knows in statements": (lambda n: transform(n, "set(span.attribut@, Foo@())"), 16_000),
    "regular expressions that repeat": (
        lambda n: transform(n, """replace_pattern(span.name, "([\\\\pN\\\\pL]{30}){30}@", "x")"""),
        8_000,
    ),
    "a statement of conditions": (
        lambda n: transform(1, """set(span.name, "x") where true""" + " and span.nam == 1" * n),
        32_000,
    ),
    "a statement of lists": (
        lambda n: transform(1, "set(span.name, Concat([" + "span.name," * n + """"b"], ""))"""),
        32_000,
    ),
    "groups of a context that nobody knows": (
        lambda n: transform(n, "{context: spa@, statements: ['set(name, 1)']}"),
        16_000,
    ),
    "operators that nobody knows": (lambda n: operators(n, "{type: regex_parse@}"), 16_000),
    "ways to operators that are not there": (lambda n: operators(n, "{type: add, id: a@, output: b@}"), 8_000),
    "time zones that nobody knows": (
        lambda n: operators(
            1,
            "{type: time_parser, layout: '%Z', parse_from: body, time_zone_locations: {"
            + lines(n, "k@: Europe/Berli@, ")
            + "}}",
        ),
        32_000,
    ),
    "globs": (lambda n: file_log("    exclude: [" + lines(n, "'/{a,b}**/[a-z@', ") + "]\n"), 32_000),
    "references that name nothing": (lambda n: file_log("    exclude: [" + lines(n, "'${x@:1}', ") + "]\n"), 32_000),
    "references inside of each other": (lambda n: a_word("${" * n + "}" * n), 300_000),
    "dollars": (lambda n: a_word("$" * n + "{A}"), 1_000_000),
    "one statement by alias": (lambda n: by_alias("'set(span.name, span.nam)'", n), 64_000),
    "statements by alias in many components": (
        lambda n: by_alias("""'set(span.name, "x") where true""" + " or span.nam == 1" * 200 + "'", 1, n),
        4_000,
    ),
    "references by alias": (lambda n: by_alias("'" + "${env:A}" * 900 + "'", n), 4_000),
    "values of one long line": (
        lambda n: (
            f"{FRAME}processors:\n  filter: {{traces: {{span: ["
            + lines(n, "a@, ")
            + "]}}\n"
            + pipeline(processor="filter")
        ),
        32_000,
    ),
    "routes": (
        lambda n: (
            FRAME
            + "connectors:\n  routing:\n    table:\n"
            + lines(n, "      - {condition: 'true', pipelines: [traces/@x]}\n")
            + "service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [routing]}\n"
            + "    traces/2: {receivers: [routing], exporters: [debug]}\n"
        ),
        8_000,
    ),
}
"""By name: what makes a text of a size, and the size at which it has nearly as much as one file may have."""


@pytest.fixture(scope="module")
def build() -> Build:
    return load_catalog().build("contrib", ("0.149.0", "0.159.0"))


@pytest.mark.parametrize("name", SHAPES)
def test_the_work_grows_with_the_size_and_not_with_its_square(build: Build, name: str) -> None:
    """Lines of Python that are run: four times the size may take ten times as many, sixteen times is quadratic."""
    make, size = SHAPES[name]
    small, large = (work(make(size // part), build) for part in (64, 16))
    assert large < 10 * small


@pytest.mark.parametrize("name", SHAPES)
def test_findings_about_a_large_file_are_bounded_and_in_place(build: Build, name: str) -> None:
    make, size = SHAPES[name]
    data = make(size // 8).encode()
    verdict = judge_files([("c.yaml", data)], build)
    assert len(verdict.diagnostics) <= 3 * MOST
    assert_sound(verdict, {"c.yaml": data}, 50_000)


def work(text: str, build: Build) -> int:
    """How many calls of functions the judgement takes, those of built-in ones counted as well."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    judge_files([("c.yaml", text.encode())], build)  # what is parsed at first use is not the input's work
    sys.setprofile(called)
    try:
        judge_files([("c.yaml", text.encode())], build)
    finally:
        sys.setprofile(None)
    return count


JUDGES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from gitsync.collector.judge import judge_files
from gitsync.worker.schemas import load_catalog
build = load_catalog().build("contrib", ("0.149.0", "0.159.0"))
verdict = judge_files([("c.yaml", sys.stdin.buffer.read())], build)
# Not getrusage: what it says of a process's size outlives exec, and the parent may be large.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(verdict.valid, len(verdict.diagnostics), int(status["VmHWM"].split()[0]) >> 10)
"""


@pytest.mark.parametrize(
    "name",
    [
        "one circle through everything",
        "every connector in every pipeline",
        "regular expressions that repeat",
        "references to what is almost there",
        "statements by alias in many components",
    ],
)
def test_the_largest_of_the_worst_is_judged_within_seconds_and_little_memory(name: str) -> None:
    make, size = SHAPES[name]
    data = make(size).encode()
    assert len(data) <= 1 << 20
    run = subprocess.run([sys.executable, "-c", JUDGES], input=data, capture_output=True, check=True)
    _, findings, mebibytes = run.stdout.split()
    assert int(findings) <= 3 * MOST
    assert int(mebibytes) < 400
