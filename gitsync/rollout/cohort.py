"""Buckets: which agents a stage or a variant covers, exact and reproducible (byte formats pinned by tests)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

BUCKETS = 10_000
VARIANT_BUCKETS = 100


@dataclass(frozen=True, slots=True)
class Cohort:
    """The agents that a rollout is open to.

    Attributes:
        stage: stages before this one are open in full.
        cursor: in `stage`, agents whose rollout bucket is below it.
    """

    stage: int
    cursor: int

    def contains(self, bucket: int) -> bool:
        """Whether an agent with this rollout bucket (0..9999) is in."""
        return bucket < self.cursor


def rollout_bucket(source: str, path: str, key: str) -> int:
    """Bucket 0..9999 of an agent in the rollouts of one target.

    Args:
        key: canonical text of the instance uid, or the value of the target's bucket key label.
    """
    text = b"gitsync.rollout.v1\0" + source.encode() + b"\0" + path.encode() + b"\0" + key.encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % BUCKETS


def fnv1a_32(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def variant_bucket(key: str) -> int:
    """Bucket 0..99 of an agent among variants; independent of rollout buckets."""
    return fnv1a_32(key.encode()) % VARIANT_BUCKETS
