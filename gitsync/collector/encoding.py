"""Bytes of a file to text, before any parser sees them."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Origin

# What YAML 1.2 (5.1) does not call printable; a BOM is allowed as the very first character only.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufeff\ufffe\uffff]")


def decode(path: str, data: bytes, most_bytes: int, findings: Findings) -> str | None:
    """The text of a file, without a byte order mark.

    Returns:
        None when the file is too large, not UTF-8 or not text; `findings` then has the reason (GS0101 to
        GS0103).
    """
    if len(data) > most_bytes:
        findings.error(
            None,
            "GS0103",
            f"the file has {len(data)} bytes, the limit is {most_bytes}",
            "split it into several files",
        )
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        findings.error(None, "GS0101", "the file is UTF-16 text", "save it as UTF-8")
        return None
    if b"\0" in data:
        findings.error(None, "GS0102", "this is a binary file, not YAML", "it contains a NUL byte")
        return None
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        findings.error(
            _place(path, before),
            "GS0101",
            f"the file is not UTF-8 text: byte 0x{data[error.start]:02x}",
            "save it as UTF-8",
        )
        return None
    control = _CONTROL.search(text)
    if control is not None:
        findings.error(
            _place(path, text[: control.start()]),
            "GS0102",
            f"the control character U+{ord(control[0]):04X} is not allowed in YAML",
            "remove it, or write it as an escape in double quotes",
        )
        return None
    return text


def _place(path: str, before: str) -> Origin:
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", before)
    return Origin(path, len(lines), len(lines[-1]) + 1)
