"""What most rules ask of one setting: present, positive, one of some words, a regular expression, a URL.

Every function reports at the setting (or at the key above it, when it is missing) and says nothing about what only the
agent knows. Those that return a truth say whether the setting is known and right. Ranges are checked for what is
written or has a known default: an absent setting is a matter of `require`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Scalar, is_null
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

MISSING = "GS0260"
RANGE = "GS0261"
ADDRESS = "GS0262"
URL = "GS0263"
REGEX = "GS0264"
EXCLUSIVE = "GS0265"
TOGETHER = "GS0266"
WORD = "GS0267"
TWICE = "GS0268"
EMPTY = "GS0271"
PART = "GS0272"
PATH = "GS0273"
REFUSED = "GS0274"
AT_START = "GS0280"
NO_EFFECT = "GS0288"


def given(settings: Settings, *path: str) -> bool | None:
    """Whether a setting is there and not empty, or has a default; None when only the agent knows."""
    return None if settings.is_filled_in(*path) else not settings.is_empty(*path)


def switched_on(settings: Settings, *path: str) -> bool | None:
    """Whether an optional part that has no value of its own accord gets one (configoptional/optional.go `Unmarshal`).

    Its key alone (`grpc:`) does, `enabled: false` does not; None when only the agent knows.
    """
    above = settings.node(*path[:-1]) if len(path) > 1 else settings.here
    if above is None:
        return None if settings.is_filled_in(*path) else False
    if not isinstance(above, Mapping):
        return None
    entry = above.entry(path[-1])
    if entry is None:
        return False
    if not isinstance(entry.value, Mapping):
        return True if is_null(entry.value) else None
    return settings.below(*path).flag("enabled", default=True)


def opted(settings: Settings, *path: str) -> bool | None:
    """Whether an optional part that is absent by default gets a value: null leaves it absent, unlike `switched_on`.

    None when only the agent knows.
    """
    node = settings.node(*path)
    if node is None:
        return None if settings.is_filled_in(*path) else False
    return settings.below(*path).flag("enabled", default=True) if isinstance(node, Mapping) else None


def known_texts(settings: Settings, *path: str) -> tuple[Scalar, ...]:
    """The texts of a list that are texts indeed; other values are a matter of the schema."""
    return tuple(node for node in settings.texts(*path) or () if node.tag == "str")


def whole(settings: Settings, *path: str) -> int | None:
    """A whole number (Go cuts fractions off); None when it is not known, or not finite."""
    value = settings.number(*path)
    return None if value is None or not math.isfinite(value) else int(value)


def require(settings: Settings, findings: Findings, *path: str, hint: str = "", code: str = MISSING) -> bool:
    """The setting must be there and not empty, or have a default."""
    if not settings.is_empty(*path):
        return True
    findings.error(settings.place(*path), code, f'"{path[-1]}" must be set', hint)
    return False


def not_negative(settings: Settings, findings: Findings, *path: str, duration: bool = True) -> None:
    """A duration (or number) of at least 0."""
    _compare(settings, findings, path, duration, lambda value: value >= 0, "must not be negative")


def positive(settings: Settings, findings: Findings, *path: str, duration: bool = True) -> None:
    """A duration (or number) above 0."""
    _compare(settings, findings, path, duration, lambda value: value > 0, "must be greater than 0")


def at_least(settings: Settings, findings: Findings, least: float, *path: str) -> None:
    """A number with a smallest value."""
    _compare(settings, findings, path, False, lambda value: value >= least, f"must be at least {least:g}")


def between(settings: Settings, findings: Findings, least: float, most: float, *path: str) -> None:
    """A number with a smallest and a largest value."""
    message = f"must be between {least:g} and {most:g}"
    _compare(settings, findings, path, False, lambda value: least <= value <= most, message)


def one_of(settings: Settings, findings: Findings, words: Iterable[str], *path: str, default: str = "") -> bool:
    """A text that must be one of some words; "" among them stands for an absent one."""
    text = settings.text(*path, default=default)
    allowed = tuple(words)
    if text is None or text in allowed:
        return text is not None
    if not text and settings.node(*path) is None:
        findings.error(settings.place(*path), MISSING, f'"{path[-1]}" must be set', _listed(allowed))
    else:
        hint = did_you_mean(text, allowed) or _listed(allowed)
        findings.error(settings.place(*path), WORD, f'"{path[-1]}" cannot be {quoted(text)}', hint)
    return False


def regex(settings: Settings, findings: Findings, *path: str) -> bool:
    """A regular expression in Go's syntax (RE2); an empty one is right."""
    node = settings.node(*path)
    return isinstance(node, Scalar) and is_regex(node, findings)


def regexes(settings: Settings, findings: Findings, *path: str) -> None:
    """A list of regular expressions."""
    for node in settings.texts(*path) or ():
        is_regex(node, findings)


def is_regex(node: Scalar, findings: Findings) -> bool:
    """Whether a text is known, and a regular expression; reports when it is none."""
    if node.tag != "str" or not is_known(node):
        return False
    from gitsync.ottl.literals.regex import read_regex  # loads RE2, which few configurations need

    read = read_regex(node.text)
    if not read.problem:
        return True
    findings.error(node.origin, REGEX, read.problem, read.hint)
    return False


def url(settings: Settings, findings: Findings, *path: str, request: bool = False) -> bool:
    """A URL as Go reads it; an empty one is right unless it is for a request."""
    text = settings.text(*path)
    if text is None:
        return False
    parts = parse_url(text, request=request)
    if not isinstance(parts, Refusal):
        return True
    findings.error(settings.place(*path), URL, f"{quoted(text)} is not a URL: {parts.why}")
    return False


def exclusive(settings: Settings, findings: Findings, *keys: str) -> bool:
    """At most one of some settings may be set and not empty; reports at the last one."""
    both = [key for key in keys if given(settings, key)]
    if len(both) < 2:
        return True
    message = " and ".join(f'"{key}"' for key in both)
    findings.error(settings.key_place(both[-1]), EXCLUSIVE, f"{message} exclude each other", "keep one of them")
    return False


def any_of(settings: Settings, findings: Findings, *keys: str) -> bool:
    """At least one of some settings must be set and not empty."""
    if any(given(settings, key) is not False for key in keys):
        return True
    names = ", ".join(f'"{key}"' for key in keys)
    findings.error(settings.place(), TOGETHER, f"at least one of {names} must be set")
    return False


def _compare(
    settings: Settings,
    findings: Findings,
    path: tuple[str, ...],
    duration: bool,
    right: Callable[[float], bool],
    message: str,
) -> None:
    if settings.node(*path) is None and settings.default(*path) is None and not settings.is_nulled(*path):
        return
    value = settings.nanoseconds(*path) if duration else settings.number(*path)
    if value is not None and not right(value):
        findings.error(settings.place(*path), RANGE, f'"{path[-1]}" {message}')


def _listed(words: tuple[str, ...]) -> str:
    return "allowed: " + ", ".join(word for word in words if word)
