from __future__ import annotations

import hashlib
import logging
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.control.records import Pointer, ReleaseKind, ReleaseRecord, StoredSource
from gitsync.errors import Unavailable
from gitsync.store import LocalCache
from gitsync.store.codec import encode_sources
from tests.store.builders import NOW, SOURCE, a_commit_id, a_payload, a_state, a_statement, a_version

PAYLOAD = a_payload()
VERSION = a_version(PAYLOAD)
STORED = StoredSource(
    pointer=Pointer(SOURCE, 1_700_000_001, 4, a_commit_id(1), 2),
    release=ReleaseRecord(SOURCE, 1_700_000_001, ReleaseKind.BACK, a_commit_id(1), NOW, 1_700_000_000, "request"),
    states=(a_state(VERSION.digest), a_state(None, path="gone")),
    versions=(VERSION,),
    payloads=(PAYLOAD,),
    statements=(a_statement(VERSION),),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "published.json"


async def test_without_a_file_there_is_nothing_and_no_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert await LocalCache(file).load() is None
    assert not caplog.records


@pytest.mark.parametrize("sources", [(), (STORED,), (STORED, replace(STORED, versions=()))])
async def test_what_was_saved_is_loaded_by_another_program(file: Path, sources: tuple[StoredSource, ...]) -> None:
    await LocalCache(file).save(sources)
    assert await LocalCache(file).load() == sources


async def test_saving_again_replaces_it_and_leaves_no_other_file(file: Path) -> None:
    cache = LocalCache(file)
    await cache.save([STORED])
    newer = replace(STORED, pointer=replace(STORED.pointer, seq=5))
    await cache.save([newer])
    assert await cache.load() == (newer,)
    assert list(file.parent.iterdir()) == [file]


async def test_only_the_owner_can_read_it(file: Path) -> None:
    await LocalCache(file).save([STORED])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_leftover_of_a_crash_is_never_read(file: Path) -> None:
    cache = LocalCache(file)
    await cache.save([STORED])
    leftover = file.with_name(file.name + ".new")
    leftover.write_bytes(b"half of someth")
    assert await cache.load() == (STORED,)
    await cache.save([STORED])
    assert not leftover.exists()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "no seal", "other seal"])
async def test_a_damaged_file_is_not_used_and_that_is_said(
    file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = LocalCache(file)
    await cache.save([STORED])
    content = file.read_bytes()
    damaged = {
        "empty": b"",
        "cut": content[:-1],
        "flipped": content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
        "no seal": content.partition(b"\n")[2],
        "other seal": b"sha256:" + b"0" * 64 + b"\n" + content.partition(b"\n")[2],
    }
    file.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING):
        assert await cache.load() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(file) in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        encode_sources([STORED]).replace('"v":1}', '"v":2}'),
        encode_sources([replace(STORED, payloads=(replace(PAYLOAD, digest=bytes(32)),))]),
        '{"v":1}',
        '{"v":1,"sources":[{"pointer":[]}]}',
        "[]",
        "[" * 100_000,
        "null",
    ],
)
async def test_a_sealed_file_with_contents_that_do_not_fit_is_not_used(
    file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    raw = content.encode()
    file.write_bytes(b"sha256:" + hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw)
    assert await LocalCache(file).load() is None
    assert "is not used" in caplog.text


async def test_a_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(Unavailable) as refused:
        await LocalCache(tmp_path / "file" / "cache.json").save([STORED])
    assert refused.value.code == "cache.write"
