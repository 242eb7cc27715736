"""Identifiers: small distinct types, and the one text form of each."""

from __future__ import annotations

import hashlib
import uuid
from typing import NamedTuple, NewType

CommitId = NewType("CommitId", str)
"""40 or 64 lower-case hex digits."""
BlobId = NewType("BlobId", str)
"""Git object id of a file's content, hex."""
VersionDigest = NewType("VersionDigest", bytes)
"""32 bytes: identity of a TargetVersion (what it selects and what it gives)."""
ConfigHash = NewType("ConfigHash", bytes)
"""32 bytes: identity of a Payload; travels as OpAMP `config_hash`."""
AgentUid = NewType("AgentUid", bytes)
"""16 bytes: OpAMP `instance_uid`."""
SourceName = NewType("SourceName", str)
"""Name of a source; never changes. The only source of an installation is called `default`."""

DEFAULT_SOURCE = SourceName("default")


class TargetId(NamedTuple):
    """One target of one source; `path` is its directory in the config tree, without slashes at the ends."""

    source: SourceName
    path: str

    def __str__(self) -> str:
        return self.path if self.source == DEFAULT_SOURCE else f"{self.source}:{self.path}"


def show_digest(digest: bytes) -> str:
    """The form that people and JSON see: `sha256:<hex>`."""
    return "sha256:" + digest.hex()


def parse_digest(text: str) -> bytes:
    """The 32 bytes of `sha256:<hex>` (the prefix may be left out).

    Raises:
        ValueError: not 64 hex digits.
    """
    digest = bytes.fromhex(text.removeprefix("sha256:"))
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("a digest has 64 hex digits")
    return digest


def show_uid(uid: bytes) -> str:
    """Canonical 36-character text of an instance uid (lower case, with dashes)."""
    return str(uuid.UUID(bytes=uid))


def parse_uid(text: str) -> AgentUid:
    """The 16 bytes of an instance uid's text.

    Raises:
        ValueError: not a UUID.
    """
    return AgentUid(uuid.UUID(text).bytes)
