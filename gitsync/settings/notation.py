"""How durations and addresses are written, in the file, in the environment and in flags."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from gitsync.errors import SettingsError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)


def parse_duration(value: object) -> timedelta:
    """A Go-style duration (`1m30s`, `500ms`, `14d`) as timedelta; a timedelta as it is.

    Raises:
        ValueError: anything else, also a bare number.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueError only
            "write a duration with its unit, for example 30s or 1m30s"
        )
    text = value.strip()
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is not a duration; write for example 30s, 1m30s or 14d")
    try:
        return timedelta(seconds=sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(text)))
    except OverflowError:
        raise ValueError(f"{value[:40]!r} is longer than a duration can be") from None


def show_duration(value: timedelta) -> str:
    """The shortest Go-style text of a duration: `1m30s`, `14d`, `500ms`; `0s` for none."""
    left, text = value // timedelta(milliseconds=1), ""
    for unit in ("d", "h", "m", "s", "ms"):
        size = int(_UNITS[unit] * 1000)
        amount, left = divmod(left, size)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[::1]:PORT` or `:PORT` (all interfaces); port 0 means a free one.

    Raises:
        SettingsError: not of that form.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise SettingsError(
            f"{text!r} is not HOST:PORT", code="settings.address", hint="for example 127.0.0.1:4320 or :4320"
        )
    return found["six"] or found["host"] or "0.0.0.0", int(found["port"])  # noqa: S104 - no host: all interfaces


def _long_enough(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _listens(value: str) -> str:
    try:
        parse_address(value)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return value


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+\s*$"})
AnyDuration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_long_enough), _DURATION_SCHEMA]
Address = Annotated[str, AfterValidator(_listens)]
