"""Files made to exhaust a parser: each is refused by a limit, at a place near its beginning."""

import pytest

from gitsync.collector.document import DEFAULT_LIMITS, Mapping, parse_mapping, parse_yaml
from gitsync.collector.emit import emit
from gitsync.collector.merge import provenance
from gitsync.collector.paths import expand_paths
from gitsync.wording import nearest


def alias_bomb(levels: int, width: int) -> bytes:
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines).encode()


def merge_bomb(levels: int, width: int) -> bytes:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: x" for n in range(width)) + "}"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} {{" + ", ".join(f"k{m}: {{<<: *a{n - 1}}}" for m in range(width)) + "}")
    return "\n".join(lines).encode()


def deep_block(levels: int) -> bytes:
    return "".join(" " * n + "a:\n" for n in range(levels)).encode()


def text_bomb() -> bytes:
    """Few nodes, but a large text many times."""
    return b"a: &a " + b"x" * 100_000 + b"\nb: [" + b"*a, " * 99_000 + b"]"


def path_bomb() -> bytes:
    """Few nodes, but each at the end of a long path of keys."""
    keys = "".join("  " * n + "? " + "k" * 1000 + "\n" + "  " * n + ":\n" for n in range(60))
    return keys.encode() + b" " * 122 + b"[" + b"0," * 99_000 + b"]"


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"[" * 50_000, "GS0104", 1),
        (b"{" * 50_000, "GS0104", 1),
        (b"[" * (1 << 20), "GS0104", 1),
        (b"- " * 50_000, "GS0104", 1),
        (b"{a: " * 50_000, "GS0104", 1),
        (b'{"a":' * 50_000, "GS0104", 1),
        (b"? " * 50_000, "GS0104", 1),
        (deep_block(1000), "GS0104", 65),
        (alias_bomb(10, 10), "GS0106", 6),
        (alias_bomb(60, 2), "GS0106", 17),
        (merge_bomb(7, 20), "GS0106", 4),
        (b"a: &a [*a]", "GS0107", 1),
        (b"a: &a\n  b: &b\n    c: [*b, *a]", "GS0107", 3),
        (b"&a {<<: *a}", "GS0107", 1),
        (b"[" + b"0," * 200_000 + b"]", "GS0105", 1),
        (b"a: &a [" + b"0," * 500 + b"]\nb: [" + b"*a," * 1000 + b"]", "GS0106", 2),
        (text_bomb(), "GS0106", 2),
        (path_bomb(), "GS0106", 1),
        (b"a" * ((1 << 20) + 1), "GS0103", 0),
    ],
    ids=lambda value: value[:12].decode() if isinstance(value, bytes) else None,
)
def test_a_bomb_is_refused_by_a_limit(data: bytes, code: str, line: int) -> None:
    result = parse_yaml("bomb.yaml", data)
    assert result.node is None
    (found,) = result.diagnostics
    assert found.code == code
    if code != "GS0106" or line > 1:
        assert found.line == line


def test_brackets_are_refused_at_the_limit_and_not_at_the_end_of_the_file() -> None:
    (found,) = parse_yaml("bomb.yaml", b"[" * 50_000).diagnostics
    assert found.column == DEFAULT_LIMITS.depth + 1


def test_an_alias_counts_for_depth_with_what_stands_behind_it() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    (found,) = parse_yaml("bomb.yaml", "\n".join(lines).encode()).diagnostics
    assert (found.code, found.line) == ("GS0104", DEFAULT_LIMITS.depth)


def largest_legal() -> Mapping:
    data = b"a: &a [" + b"0," * 900 + b"]\nb: [" + b"*a," * 320 + b"]"
    node, found = parse_mapping("large.yaml", data)
    assert found == ()
    assert node is not None
    return node


def test_what_passes_the_limits_stays_in_proportion_when_it_is_written_out() -> None:
    node = largest_legal()
    assert len(emit(node)) < 4 * DEFAULT_LIMITS.expanded_bytes
    assert len(provenance(node)) <= DEFAULT_LIMITS.expanded_nodes


def test_a_flat_path_cannot_lead_deeper_than_the_limit() -> None:
    node, _ = parse_mapping("deep.yaml", "::".join("k" for _ in range(300)).encode() + b": 1")
    assert node is not None
    expanded, found = expand_paths(node)
    assert expanded.entries == ()
    assert [one.code for one in found] == ["GS0219"]


def test_many_flat_paths_under_one_key_are_one_pass() -> None:
    node, found = parse_mapping("wide.yaml", b"".join(b"a::k%d: 1\n" % n for n in range(40_000)))
    assert found == ()
    assert node is not None
    expanded, found = expand_paths(node)
    assert found == ()
    inner = expanded.get("a")
    assert isinstance(inner, Mapping)
    assert len(inner.entries) == 40_000


def test_looking_for_the_nearest_name_is_bounded() -> None:
    assert nearest("x" * 1000, ["x" * 1000]) is None
    assert nearest("otlp", ["y" * 1000] * 10_000) is None
    assert nearest("otlp", [f"z{n}" for n in range(100_000)] + ["otlq"]) is None


def test_keys_that_collide_in_their_thousands_are_counted() -> None:
    result = parse_yaml("dup.yaml", b"k: 1\n" * 30_000)
    assert len(result.diagnostics) == 101


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 100,
        b"%PDF-1.7\n\xe2\xe3",
        b"PK\x03\x04\x14",
        b"\x1f\x8b\x08\x00",
        b"\xef\xbb\xbf\xef\xbb\xbfa: 1",
    ],
)
def test_binary_files_are_refused_without_a_parser(data: bytes) -> None:
    result = parse_yaml("x.yaml", data)
    assert result.node is None
    assert result.diagnostics[0].code in {"GS0101", "GS0102"}
