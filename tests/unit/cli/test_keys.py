from __future__ import annotations

import stat
from pathlib import Path

from gitsync.bundle.verify import parse_root
from tests.unit.cli.conftest import gitsync


def test_init_makes_a_key_once(tmp_path: Path) -> None:
    directory = str(tmp_path / "data")
    first = gitsync("keys", "init", "--data-dir", directory)
    path = tmp_path / "data" / "signing.key"
    assert (first.code, first.out.split()[0]) == (0, "made")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    body = path.read_bytes()
    second = gitsync("keys", "init", "--data-dir", directory)
    assert second.out.startswith("there is already the key ")
    assert path.read_bytes() == body


def test_show_and_export_give_the_public_half_only(tmp_path: Path) -> None:
    directory = str(tmp_path)
    gitsync("keys", "init", "--data-dir", directory)
    private = (tmp_path / "signing.key").read_text().splitlines()[1]
    exported = gitsync("keys", "export", "--data-dir", directory).out
    (key,) = parse_root(exported.encode()).keys
    shown = gitsync("keys", "show", "--data-dir", directory).out
    assert f"Key:     {key.keyid}\n" in shown
    assert private not in shown + exported


def test_the_data_directory_comes_from_the_environment(tmp_path: Path, monkeypatch: object) -> None:
    gitsync("keys", "init", "--data-dir", str(tmp_path))
    monkeypatch.setenv("GITSYNC_DATA_DIR", str(tmp_path))  # type: ignore[attr-defined]  # pytest's fixture
    assert gitsync("keys", "show").code == 0


def test_no_key_is_said_with_the_way_to_make_one(tmp_path: Path) -> None:
    for command in ("show", "export"):
        done = gitsync("keys", command, "--data-dir", str(tmp_path))
        assert (done.code, done.out) == (2, "")
        assert "`gitsync keys init` makes one" in done.err
