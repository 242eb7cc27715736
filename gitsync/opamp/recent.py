"""The attribute `recent_errors` of a health report: what went wrong lately, how often, and when.

OpAMP has no field for it, so agents send it as an attribute of their health: a list of maps with `timestamp`, `message`
and `count`, or the same as JSON text. Whatever is sent, the newest `MAX_RECENT_ERRORS` are kept, and nothing raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from gitsync.opamp.messages import RecentError
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.texts import share

RECENT_ERRORS = "recent_errors"
MAX_RECENT_ERRORS = 10
MAX_LISTED = 100
"""Entries that are looked at."""
MAX_MESSAGE_CHARS = 256
MAX_JSON_CHARS = 16_384
MAX_COUNT = 2**53
MAX_TIME = 2**63
"""The largest number that is taken for a time, in whatever unit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = ("timestamp", "message", "count")


def read_recent_errors(value: anyvalue.AnyValue) -> tuple[RecentError, ...]:
    """The newest errors of the attribute, newest first; those without a time come last, in the order sent."""
    match value.WhichOneof("value"):
        case "array_value":
            entries = [_map(one) for one in value.array_value.values[:MAX_LISTED]]
        case "string_value":
            entries = _json(value.string_value)
        case _:
            return ()
    return _newest(one for one in map(_error, entries) if one is not None)


def _map(value: anyvalue.AnyValue) -> dict[str, object]:
    found: dict[str, object] = {}
    if value.WhichOneof("value") == "kvlist_value":
        for pair in value.kvlist_value.values[:MAX_LISTED]:
            kind = pair.value.WhichOneof("value")
            if pair.key in _FIELDS and kind in ("string_value", "int_value", "double_value"):
                found[pair.key] = getattr(pair.value, kind)
    return found


def _json(written: str) -> list[dict[str, object]]:
    if len(written) > MAX_JSON_CHARS:
        return []
    try:
        body = json.loads(written)
    except (ValueError, RecursionError):
        return []
    return [one for one in body[:MAX_LISTED] if isinstance(one, dict)] if isinstance(body, list) else []


def _error(entry: Mapping[str, object]) -> RecentError | None:
    message, count = entry.get("message"), entry.get("count")
    if not isinstance(message, str) or not message.strip():
        return None
    shown = " ".join(message[: 4 * MAX_MESSAGE_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    return RecentError(read_time(entry.get("timestamp")), share(shown[:MAX_MESSAGE_CHARS]), _count(count))


def _count(count: object) -> int:
    """How often; 1 for what is no count."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 1 <= count <= MAX_COUNT:
        return 1
    return int(count)


def read_time(value: object) -> datetime | None:
    """An RFC 3339 text, or seconds, milli-, micro- or nanoseconds since 1970; None for anything else."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value[:64])
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIME:
            return None
        seconds = float(value)
        while seconds > 1e11:  # the year 5138: what is larger was written in a smaller unit
            seconds /= 1_000
        return _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None


def _newest(errors: Iterable[RecentError]) -> tuple[RecentError, ...]:
    ordered = sorted(errors, key=lambda one: _EPOCH if one.timestamp is None else one.timestamp, reverse=True)
    return tuple(ordered[:MAX_RECENT_ERRORS])
