"""Files as texts, for looking up places."""

import pytest

from gitsync.collector.sources import Sources


def test_a_file_is_read_and_decoded_when_it_is_needed_and_once() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return b"\xef\xbb\xbfa: \xc3\xa4\xff\n"

    sources = Sources({"a.yaml": None, "b.yaml": None}, read)
    assert (list(sources), len(sources), asked) == (["a.yaml", "b.yaml"], 2, [])
    assert sources["a.yaml"] == sources["a.yaml"] == "a: ä\ufffd\n"
    assert asked == ["a.yaml"]


def test_a_file_that_is_not_there_has_no_text() -> None:
    sources = Sources.of({"a.yaml": b"a"})
    assert sources.get("b.yaml") is None
    with pytest.raises(KeyError):
        sources["b.yaml"]
    assert Sources({"gone.yaml": None}, lambda _: None)["gone.yaml"] == ""
