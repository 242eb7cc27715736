"""Secrets by name from a directory: read again when they change, never from anywhere else, never logged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitsync.server.secret_files import MAX_BYTES, SecretFiles


async def test_secrets_are_read_by_name_without_their_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\r\n")
    (tmp_path / "ca.crt").write_text("one\ntwo\n")
    found = await SecretFiles(tmp_path).load(["token", "ca.crt"])
    assert found == {"token": "abc", "ca.crt": "one\ntwo"}


async def test_a_renewed_secret_is_read_again_also_when_a_link_leads_to_it(tmp_path: Path) -> None:
    secrets = SecretFiles(tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        link = tmp_path / ".new"
        link.symlink_to(tmp_path / name)
        link.replace(tmp_path / "token")
        assert await secrets.load(["token"]) == {"token": name}
    (tmp_path / "token").write_text("third")
    assert await secrets.load(["token"]) == {"token": "third"}


async def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    secrets, about = SecretFiles(tmp_path), (tmp_path / "token").stat()
    await secrets.load(["token"])
    with (tmp_path / "token").open("r+") as file:
        file.write("xyz")
    os.utime(tmp_path / "token", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert await secrets.load(["token"]) == {"token": "abc"}


async def test_a_secret_that_cannot_be_used_is_left_out_and_said_once_without_its_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfehidden")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good").write_text("abc")
    names = ["binary", "empty", "large", "folder", "pipe", "good", "missing", "../good", ".hidden"]
    secrets = SecretFiles(tmp_path)
    for _ in range(2):
        assert await secrets.load(names) == {"good": "abc"}
    lines = [one.getMessage() for one in caplog.records if one.name == "gitsync.secrets"]
    assert len(lines) == len(names) - 1
    assert f"secret missing in {tmp_path}: No such file or directory" in lines
    assert "hidden" not in "".join(line for line in lines if "binary" in line)


async def test_without_a_directory_there_are_no_secrets_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    secrets = SecretFiles(None)
    for _ in range(2):
        assert await secrets.load(["token"]) == {}
    assert [one.getMessage() for one in caplog.records] == ["secret token: server.agents.secrets_dir is not set"]
