"""Names in a Collector configuration: component ids `type[/name]` and pipeline ids `signal[/name]`."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from gitsync.wording import did_you_mean, quoted

SIGNALS = ("traces", "metrics", "logs", "profiles")
_TYPE = re.compile(r"[a-zA-Z][0-9a-zA-Z_]{0,62}")
_LONGEST_NAME = 1024


class BadId(ValueError):
    """A text that is no id.

    Attributes:
        hint: what was probably meant; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ComponentId(NamedTuple):
    """`otlp`, `otlp/backup`: the type chooses the code; the name ("" for none) tells several apart."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}/{self.name}" if self.name else self.type


class PipelineId(NamedTuple):
    """`traces`, `traces/sampled`."""

    signal: str
    name: str

    def __str__(self) -> str:
        return f"{self.signal}/{self.name}" if self.name else self.signal


def parse_component_id(text: str) -> ComponentId:
    """The id in a text, without spaces around its parts (component/identifiable.go).

    Raises:
        BadId: the message says why, and begins with a verb.
    """
    kind, name = _split(text)
    if _TYPE.fullmatch(kind) is None:
        raise BadId(
            f"has the type {quoted(kind)}, which is no component type",
            'a letter, then letters, digits and "_", at most 63; a name follows after "/"',
        )
    return ComponentId(kind, name)


def parse_pipeline_id(text: str) -> PipelineId:
    """The id in a text, without spaces around its parts (pipeline/pipeline.go).

    Raises:
        BadId: the message says why, and begins with a verb.
    """
    signal, name = _split(text)
    if signal not in SIGNALS:
        hint = did_you_mean(signal, SIGNALS) or "use traces, metrics, logs or profiles, or signal/name"
        raise BadId(f"has the unknown signal {quoted(signal)}", hint)
    return PipelineId(signal, name)


def normal_id(text: str) -> str:
    """The text of an id as the Collector compares it: spaces around its parts do not count."""
    kind, slash, name = text.partition("/")
    return kind.strip() + slash + name.strip()


def _split(text: str) -> tuple[str, str]:
    kind, slash, name = (part.strip() for part in text.partition("/"))
    if not kind:
        raise BadId('has nothing before "/"' if slash else "is empty")
    if not slash:
        return kind, ""
    if not name:
        raise BadId('has nothing after "/"', 'leave the "/" out, or add a name')
    if len(name) > _LONGEST_NAME:
        raise BadId(f"has a name of more than {_LONGEST_NAME} characters")
    for char in name:
        # Separators, control characters and symbols: the Unicode classes Z, C and S.
        if unicodedata.category(char)[0] in "ZCS":
            what = "a space" if char == " " else quoted(char)
            raise BadId(f"has {what} in its name", "spaces, control characters and symbols are not allowed there")
    return kind, name
