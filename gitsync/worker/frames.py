"""What goes over the wire between server and compile process: a length, then a pickle of our own types.

The child is our own program, but it reads what strangers wrote: the server takes only the listed types from it.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gitsync.bundle.version import CompileResult
from gitsync.diagnostics import Severity
from gitsync.labels import Operator

LENGTH_BYTES = 8
MAX_FRAME_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has imported everything and waits for jobs."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The job ended in an exception of the child.

    Attributes:
        kind: memory | error.
        detail: traceback, for the log of the server.
    """

    kind: str
    detail: str


_ALLOWED = frozenset(
    {
        ("gitsync.bundle.tree", "Commit"),
        ("gitsync.bundle.version", "Bundle"),
        ("gitsync.bundle.version", "CompileResult"),
        ("gitsync.bundle.version", "Need"),
        ("gitsync.bundle.version", "ConfigObject"),
        ("gitsync.bundle.version", "MatchRules"),
        ("gitsync.bundle.version", "Payload"),
        ("gitsync.bundle.version", "Slot"),
        ("gitsync.bundle.version", "TargetVersion"),
        ("gitsync.bundle.version", "TypeRule"),
        ("gitsync.collector.node", "Origin"),
        ("gitsync.diagnostics", "Diagnostic"),
        ("gitsync.diagnostics", "Severity"),
        ("gitsync.labels", "Operator"),
        ("gitsync.labels", "Requirement"),
        ("gitsync.labels", "Selector"),
        ("gitsync.rollout.plan", "Plan"),
        ("gitsync.rollout.plan", "Stage"),
        ("gitsync.worker.frames", "Failure"),
        ("gitsync.worker.frames", "Ready"),
        ("datetime", "datetime"),
        ("datetime", "timezone"),
        ("datetime", "timedelta"),
        ("builtins", "frozenset"),
        ("types", "MappingProxyType"),
    }
)


_BY_VALUE = {
    **copyreg.dispatch_table,
    MappingProxyType: lambda view: (MappingProxyType, (dict(view),)),
    # Some versions of Python would have the reader call getattr, which is not allowed there.
    Operator: lambda one: (Operator, (one.value,)),
    Severity: lambda one: (Severity, (one.value,)),
}


class _Pickler(pickle.Pickler):
    """Also takes read-only views of mappings; enumerations go by value."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=5)
        self.dispatch_table = _BY_VALUE


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not expected here")
        return super().find_class(module_name, global_name)


def encode_frame(value: object) -> bytes:
    """A value with its length in front."""
    buffer = io.BytesIO()
    buffer.write(bytes(LENGTH_BYTES))
    _Pickler(buffer).dump(value)
    length = buffer.tell() - LENGTH_BYTES
    with buffer.getbuffer() as view:
        view[:LENGTH_BYTES] = length.to_bytes(LENGTH_BYTES, "big")
    return buffer.getvalue()


def decode_answer(body: bytes) -> CompileResult | Ready | Failure:
    """What a child has sent.

    Raises:
        ValueError: it is none of the expected types.
    """
    try:
        value = _Unpickler(io.BytesIO(body)).load()
    except Exception as error:  # a broken pickle may raise anything
        raise ValueError(f"the compile process sent what cannot be read: {error!r}") from error
    if not isinstance(value, CompileResult | Ready | Failure):
        raise ValueError("the compile process sent an unexpected type")  # noqa: TRY004
    return value


def frame_length(head: bytes) -> int:
    """The length of the body that follows.

    Raises:
        ValueError: more than is ever sent.
    """
    length = int.from_bytes(head, "big")
    if length > MAX_FRAME_BYTES:
        raise ValueError("the compile process sent too much")
    return length
