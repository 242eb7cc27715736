"""The recorded verdicts of the real Collector, and what a recorded one says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from tests.agreement.cases import HERE, Case, hand_written_configs, hand_written_texts
from tests.agreement.mutations import mutated_configs, mutated_texts

FILE = HERE / "verdicts.json"
MESSAGE = 160
#: What the message of a refusal begins with or holds, by the stage in which the Collector refuses.
STAGES = (
    ("panic", r"^panic: "),
    ("resolve", r"cannot resolve the configuration"),
    ("unmarshal", r"cannot unmarshal the configuration"),
    ("graph", r"^failed to build pipelines|^failed to create service|cycle detected"),
)
#: The kind of fault that a message tells of; the first that fits.
REASONS = (
    ("unknown component", r"unknown type: \"|has been deprecated"),
    ("unknown key", r"has invalid keys"),
    ("wrong type", r"expected (a |type )|unconvertible type|cannot (parse|unmarshal)|source data must"),
    ("duration", r"invalid duration|missing unit in duration|unknown unit"),
    ("id", r"invalid (component|pipeline|type)|not a valid ID|the part (before|after)"),
    ("duplicate key", r"already defined"),
    ("yaml", r"cannot be used as a Conf|yaml:"),
    ("expansion", r"scheme|environment variable|expand|provider"),
    ("reference", r"not configured"),
    ("cycle", r"cycle detected"),
    ("signal", r"telemetry type is not supported"),
    ("connector", r"^connector \""),
    ("ottl syntax", r"invalid syntax"),
    ("ottl path", r"segment|missing context name|is not a valid path|not a valid path|context .* is not valid"),
    ("ottl function", r"undefined function|too many arguments|not enough arguments|incorrect number of arguments"),
    ("ottl argument", r"invalid argument|unable to build|error while parsing arguments"),
    ("pattern", r"regex|error parsing regexp|pattern"),
)
#: What the Collector wraps around what it has to say.
NOISE = re.compile(
    r"^failed to get config: cannot (resolve|unmarshal) the configuration: |^failed to build pipelines: "
    r"|decoding failed due to the following error\(s\): |error reading configuration for \"[^\"]*\": "
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the real Collector said; the digest is that of the case at that time."""

    digest: str
    valid: bool
    stage: str = ""
    reason: str = ""
    message: str = ""


def recorded(case: Case, error: str, *, valid: bool) -> Recorded:
    """An answer of the oracle as it is kept."""
    if valid:
        return Recorded(case.digest(), True)
    flat = " ".join(error.split())
    fallback = "validate" if hasattr(case, "files") else "parse"
    stage = next((name for name, pattern in STAGES if re.search(pattern, flat)), fallback)
    short = NOISE.sub("", flat)
    reason = next((name for name, pattern in REASONS if re.search(pattern, short)), "rule")
    return Recorded(case.digest(), False, stage, reason, short[:MESSAGE])


def load() -> Mapping[str, Recorded]:
    """All recorded verdicts by the id of their case."""
    return {name: Recorded(**one) for name, one in json.loads(FILE.read_text()).items()}


def save(verdicts: Mapping[str, Recorded]) -> None:
    """Writes one line per verdict, so that a change is read easily."""
    lines = []
    for name in sorted(verdicts):
        kept = {key: value for key, value in asdict(verdicts[name]).items() if value != ""}
        lines.append(f"{json.dumps(name)}: {json.dumps(kept, ensure_ascii=False)}")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def hand_written() -> tuple[Case, ...]:
    """The cases that are in the corpus as text."""
    return (*hand_written_configs(), *hand_written_texts())


def mutated(known: Mapping[str, Recorded]) -> tuple[Case, ...]:
    """The mutations of those that the real Collector accepts."""
    right = {name for name, one in known.items() if one.valid}
    configs = tuple(mutated_configs([case for case in hand_written_configs() if case.id in right]))
    texts = tuple(mutated_texts([case for case in hand_written_texts() if case.id in right]))
    return tuple(_once((*configs, *texts)))


def _once(cases: Iterable[Case]) -> Iterable[Case]:
    return {case.id: case for case in cases}.values()
