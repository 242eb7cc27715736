"""From a commit to a ConfigTree: what is loaded, and what is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.bundle.tree import BadEntry, ConfigTree
from gitsync.errors import Unavailable
from gitsync.ids import BlobId, CommitId, SourceName
from gitsync.repo.listing import BlobCache, parse_batch, parse_commit_object, parse_listing
from gitsync.repo.runner import Operation
from gitsync.repo.source import Limits
from tests.git.conftest import FILES, OpenMirror
from tests.support.gitrepo import GitRepo


async def load(repo: GitRepo, open_mirror: OpenMirror, **settings: object) -> ConfigTree:
    mirror = await open_mirror(repo.path, **settings)
    return await mirror.load_tree((await mirror.fetch()).head)


def kinds(tree: ConfigTree) -> list[tuple[str, str]]:
    return [(entry.path, entry.kind) for entry in tree.bad]


async def test_all_files_of_a_commit_are_loaded(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_files({"lib/ä ö.yaml": "a: 1\n", "empty.yml": "", "raw.json": b"\xff\x00\n", "run.sh": "#!/bin/sh\n"})
    (repo.path / "run.sh").chmod(0o755)
    repo.commit("executable")
    tree = await load(repo, open_mirror, name=SourceName("fleet"))
    assert tree.source == "fleet"
    assert tree.commit.id == repo.head
    assert list(tree.paths()) == sorted([*FILES, "lib/ä ö.yaml", "empty.yml", "raw.json", "run.sh"])
    assert tree.read("lib/ä ö.yaml") == b"a: 1\n"
    assert tree.read("empty.yml") == b""
    assert tree.read("raw.json") == b"\xff\x00\n"
    assert tree.read("nope") is None
    assert tree.bad == ()


async def test_two_commits_share_the_contents_that_did_not_change(repo: GitRepo, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(repo.path)
    first = await mirror.load_tree((await mirror.fetch()).head)
    repo.commit_files({"new.yaml": "new: true\n"})
    second = await mirror.load_tree((await mirror.fetch()).head)
    blob = first.blobs["agents/target.yaml"]
    assert second.data[blob] is first.data[blob]
    before = mirror.runner.started[Operation.CAT_FILE]
    await mirror.load_tree(first.commit.id)
    assert mirror.runner.started[Operation.CAT_FILE] == before + 1  # the commit itself, no contents


async def test_a_symlink_is_named_wherever_it_is_and_never_followed(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.symlink("docs/README.md", "../gitsync.yaml")
    repo.symlink("agents/passwd.yaml", "/etc/passwd")
    repo.commit()
    tree = await load(repo, open_mirror)
    assert kinds(tree) == [("agents/passwd.yaml", "symlink"), ("docs/README.md", "symlink")]
    assert "agents/passwd.yaml" not in tree.blobs


async def test_entries_that_no_work_tree_could_hold_are_named(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_entries(
        [
            ("100644", b"gitsync.yaml", b""),
            ("160000", b"sub", b"1" * 40),
            ("100644", b"caf\xe9.yaml", b"a: 1"),
            ("100644", b"line\nfeed.yaml", b"a: 1"),
            ("100644", b"esc\x1b[31m.yaml", b"a: 1"),
            ("100644", b"\\x41.yaml", b"a: 1"),
            ("100644", b"Readme.md", b"1"),
            ("100644", b"README.md", b"2"),
        ]
    )
    tree = await load(repo, open_mirror)
    assert sorted(kinds(tree)) == [
        ("Readme.md", "case-clash"),
        ("caf\\xe9.yaml", "encoding"),
        ("esc\\x1b[31m.yaml", "name"),
        ("line\\nfeed.yaml", "name"),
        ("sub", "submodule"),
    ]
    assert "README.md" in next(entry.detail for entry in tree.bad if entry.kind == "case-clash")
    assert set(tree.blobs) == {"gitsync.yaml", "\\x41.yaml", "Readme.md", "README.md"}


async def test_directories_that_differ_by_case_are_named_once(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_files({"Agents/a.yaml": "", "Agents/b.yaml": "", "ﬁle/x": "", "FILE/x": ""})
    tree = await load(repo, open_mirror)
    assert tree.bad == (
        BadEntry("agents", "case-clash", "differs from Agents only by case"),
        BadEntry("ﬁle", "case-clash", "differs from FILE only by case"),
    )


async def test_a_file_over_the_limit_is_named_and_not_loaded(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_files({"big.yaml": "x" * (1024 * 1024 + 1), "fits.yaml": "y" * 1024 * 1024})
    tree = await load(repo, open_mirror)
    assert tree.bad == (BadEntry("big.yaml", "file-size", "1048577 bytes, more than 1048576"),)
    assert tree.read("big.yaml") is None
    assert len(tree.read("fits.yaml") or b"") == 1024 * 1024


async def test_too_many_files_are_one_error(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_files({f"lib/{number:03}.yaml": "" for number in range(30)})
    tree = await load(repo, open_mirror, limits=Limits(files=10))
    assert [entry.kind for entry in tree.bad] == ["file-count"]
    assert tree.bad[0].detail == "more than 10 files"
    assert len(tree.blobs) == 10


async def test_all_files_together_have_a_limit(repo: GitRepo, open_mirror: OpenMirror) -> None:
    repo.commit_files({f"lib/{number}.yaml": os.urandom(500) for number in range(10)})
    tree = await load(repo, open_mirror, limits=Limits(tree_bytes=2000))
    assert [entry.kind for entry in tree.bad] == ["file-size"]
    assert sum(map(len, tree.data.values())) <= 2000


async def test_a_tree_that_unfolds_into_millions_of_files_is_cut(repo: GitRepo, open_mirror: OpenMirror) -> None:
    """A few objects that name each other ten times over, ten levels deep: ten thousand million paths."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"a: 1\n")
    tree = repo.git("mktree", stdin="".join(f"100644 blob {blob}\tf{n}\n" for n in range(10)).encode())
    for _ in range(9):
        tree = repo.git("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
    repo.git("update-ref", "refs/heads/main", repo.git("commit-tree", tree, "-m", "bomb"))
    loaded = await load(repo, open_mirror)
    assert [entry.kind for entry in loaded.bad] == ["file-count"]
    assert len(loaded.blobs) <= 10_000


async def test_a_huge_commit_message_is_not_read(repo: GitRepo, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(repo.path)
    head = (await mirror.fetch()).head
    repo.git("commit", "-q", "--allow-empty", "-F", "-", stdin=b"x" * 3_000_000)
    huge = (await mirror.fetch()).head
    with pytest.raises(Unavailable) as caught:
        await mirror.load_commit(huge)
    assert caught.value.code == "git.commit_missing"
    assert (await mirror.load_commit(head)).id == head


async def test_odd_commit_headers_are_read_as_far_as_possible(repo: GitRepo, open_mirror: OpenMirror) -> None:
    tree = repo.git("rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree}\nauthor N\xe4me <n@x> 99999999999999 +0000\n"
        f"committer C <c@x> 1767323045 -1234\nencoding iso-8859-1\n\n\n\n  Gr\xfc\xdfe \n\nbody"
    ).encode("latin-1")
    commit = repo.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    repo.git("update-ref", "refs/heads/main", commit)
    mirror = await open_mirror(repo.path)
    about = await mirror.load_commit((await mirror.fetch()).head)
    assert about.author == "N\ufffdme <n@x>"  # GitPython reads all as UTF-8
    assert about.subject == "Gr\ufffd\ufffde"
    assert about.authored_at.year in (1970, 9999)
    assert about.parents == ()


# -- parsing, without git


def test_a_missing_blob_is_a_broken_mirror() -> None:
    blob = BlobId("a" * 40)
    for output in (
        f"{blob} missing\n",
        "",
        f"{blob} blob 3\nab",
        f"{blob} blob 4\nabcd\n",
        f"{blob} blob 3\nabc\nrest",
    ):
        with pytest.raises(Unavailable) as caught:
            parse_batch(output.encode(), {blob: 3})
        assert caught.value.code == "git.mirror_broken"
    assert parse_batch(f"{blob} blob 3\nabc\n".encode(), {blob: 3}) == {blob: b"abc"}


@given(st.dictionaries(st.text("0123456789abcdef", min_size=40, max_size=40), st.binary(max_size=50), max_size=8))
def test_contents_with_any_bytes_are_told_apart(blobs: dict[str, bytes]) -> None:
    contents = {BlobId(blob): content for blob, content in blobs.items()}
    output = b"".join(f"{blob} blob {len(data)}\n".encode() + data + b"\n" for blob, data in contents.items())
    assert parse_batch(output, {blob: len(data) for blob, data in contents.items()}) == contents


def test_only_a_whole_commit_of_that_name_is_taken() -> None:
    commit = CommitId("c" * 40)
    assert parse_commit_object(f"{commit} commit 3\nabc\n".encode(), commit) == b"abc"
    for output in (
        f"{commit} missing\n",
        f"{commit} blob 3\nabc\n",
        f"{'d' * 40} commit 3\nabc\n",
        f"{commit} commit 9\nabc\n",
        "",
    ):
        assert parse_commit_object(output.encode(), commit) is None


@given(st.lists(st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw), unique=True, max_size=12))
def test_every_name_is_a_file_or_a_refused_entry(names: list[bytes]) -> None:
    output = b"".join(b"100644 blob %040d       1\t%s\0" % (number, raw) for number, raw in enumerate(names))
    listing = parse_listing(output, Limits())
    refused = [entry for entry in listing.bad if entry.kind in ("encoding", "name")]
    assert len(listing.blobs) + len(refused) == len(names)
    assert all(char.isprintable() or ord(char) > 126 for entry in listing.bad for char in entry.path)


def test_the_cache_drops_what_was_not_used_longest() -> None:
    cache = BlobCache(10)
    cache.put({BlobId("a"): b"1234", BlobId("b"): b"1234"})
    assert cache.take([BlobId("a"), BlobId("x")]) == {"a": b"1234"}
    cache.put({BlobId("c"): b"1234", BlobId("a"): b"1234"})
    assert set(cache.take([BlobId("a"), BlobId("b"), BlobId("c")])) == {"a", "c"}
    cache.put({BlobId("huge"): b"x" * 100})
    assert len(cache) == 0


def test_a_cut_listing_says_so() -> None:
    listing = parse_listing(
        b"100644 blob " + b"a" * 40 + b"       1\ta.yaml\0" + b"100644 bl", Limits(), truncated=True
    )
    assert listing.bad == (BadEntry("a.yaml", "file-count", "the list of files is too long"),)


def test_the_first_fixture_is_what_it_says(repo: GitRepo, tmp_path: Path) -> None:
    assert repo.git("ls-files").split("\n") == sorted(FILES)
