"""`Sources`: the files that trees were read from, as texts; places inside of a value are looked up there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

_MARK = "\ufeff"


class Sources(Mapping[str, str]):
    """Texts by path, decoded when they are first needed; empty for a path that is not known."""

    def __init__(self, paths: Mapping[str, object], read: Callable[[str], bytes | None]) -> None:
        self._paths = paths
        self._read = read
        self._texts: dict[str, str] = {}

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Sources:
        """Of files whose content is at hand."""
        return cls(files, files.get)

    def __getitem__(self, path: str) -> str:
        if path not in self._paths:
            raise KeyError(path)
        text = self._texts.get(path)
        if text is None:
            text = (self._read(path) or b"").decode(errors="replace").removeprefix(_MARK)
            self._texts[path] = text
        return text

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
