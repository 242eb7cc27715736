"""Texts that peers send: cut, cleaned, and kept once however many agents say the same.

Ten thousand agents have the same dozen label keys and a handful of operating systems and versions. Protobuf makes a new
string of each; sharing them saves most of what an agent's labels would cost. Everything here is bounded: a full pool
forgets everything and learns again, which costs a few duplicates, so a peer that invents texts fills nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_TEXT_CHARS = 1024
"""Characters that are kept of a value, a name or an error text."""
MAX_SHARED_CHARS = 128
"""Longer texts are rarely the same on two agents."""
MAX_SHARED_TEXTS = 8192


class Pool(Generic[K, V]):
    """Equal values as one object, at most `limit` of them."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int) -> None:
        self._kept: dict[K, V] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """What was shared under this key; None when nothing was, or it was forgotten."""
        return self._kept.get(key)

    def share(self, key: K, value: V) -> V:
        """What was shared under this key first; `value` when nothing was."""
        found = self._kept.get(key)
        if found is not None:
            return found
        if len(self._kept) >= self._limit:
            self._kept.clear()
        self._kept[key] = value
        return value


_texts: Pool[str, str] = Pool(MAX_SHARED_TEXTS)


def share(value: str) -> str:
    """The same text, as one object for all who have it when it is short and `text` would leave it as it is."""
    return _texts.share(value, value) if len(value) <= MAX_SHARED_CHARS and "\0" not in value else value


def text(value: str) -> str:
    """`value` without NUL characters, which no database stores, cut to `MAX_TEXT_CHARS` and shared."""
    known = _texts.get(value)
    if known is not None:  # only texts that need nothing of the following are under their own name
        return known
    return share(value[:MAX_TEXT_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}"))
