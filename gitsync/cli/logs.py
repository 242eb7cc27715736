"""How the service's log looks on standard error: lines for people, or JSON objects."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from gitsync.cli.table import clean

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """`2026-11-21T12:00:00.123Z INFO  gitsync.agents: text`, in UTC; control characters cannot fake a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The record's time."""
        return _instant(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """One line: what agents and Git hosts say may be part of it."""
        record.message = clean(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, exception, and the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        fields: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        extra = {key: value for key, value in record.__dict__.items() if key not in _OWN_FIELDS}
        return json.dumps({**extra, **fields}, default=str, ensure_ascii=False)


def _instant(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def set_up_logging(level: str, form: str) -> None:
    """Logs to standard error; a library's own chatter below WARNING is left out unless the level is debug."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gitsync").setLevel(_LEVELS[level])
    if level == "debug":
        logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(True)
