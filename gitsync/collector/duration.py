"""Go's durations: `1h30m`, `200ms`, `1.5s`."""

from __future__ import annotations

import re

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_LARGEST = 2**63 - 1
_LONGEST = 100


def parse_duration(text: str) -> int | None:
    """Nanoseconds of a Go duration; None when it is none (time/format.go `ParseDuration`)."""
    sign = -1 if text[:1] == "-" else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest or len(rest) > _LONGEST:
        return None
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or not (part[1] or part[2]):
            return None
        scale = _UNITS[part[3]]
        total += int(part[1] or "0") * scale + (int(part[2]) * scale // 10 ** len(part[2]) if part[2] else 0)
        at = part.end()
    # The least value has no positive counterpart.
    return sign * total if total <= _LARGEST + (sign < 0) else None


def format_duration(nanoseconds: int) -> str:
    """The text of a duration in the largest units that need no fraction: `90s` is `1m30s`, 1500000 `1.5ms`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < _UNITS["s"]:
        unit = next(one for one in ("ms", "us", "ns") if rest >= _UNITS[one])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    hours, rest = divmod(rest, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return sign + "".join(parts) + (f"{_decimal(rest, _UNITS['s'])}s" if rest else "")


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)
