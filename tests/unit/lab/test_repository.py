"""The lab's config repository: a copy of the example with a history of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitsync.errors import SettingsError
from gitsync.lab.repository import (
    EXAMPLE,
    change_something,
    commit_all,
    editable_files,
    git,
    make_repository,
    revert_last,
)


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where git does not know yet who its user is."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "config-repo")


def files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(directory).parts
    }


def test_the_repository_is_the_example_as_one_commit_on_main(repository: Path) -> None:
    assert files(repository) == files(EXAMPLE)
    assert git(repository, "log", "--format=%s", "main") == "The fleet's first configuration"
    assert git(repository, "status", "--porcelain") == ""


def test_people_can_commit_there_at_once(repository: Path) -> None:
    (repository / "new.txt").write_text("x")
    git(repository, "add", "new.txt")

    git(repository, "commit", "--quiet", "--message", "mine")


def test_a_repository_that_is_there_stays_as_it_is(repository: Path) -> None:
    (repository / "gitsync.yaml").unlink()
    head = commit_all(repository, "mine")

    assert make_repository(repository) == repository
    assert git(repository, "rev-parse", "HEAD") == head


def test_files_of_others_are_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")

    with pytest.raises(SettingsError, match="has files, and is no Git repository"):
        make_repository(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(SettingsError, match=r"cannot make .*/file/repo"):
        make_repository(tmp_path / "file" / "repo")


def test_variables_of_a_hook_do_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))

    assert (make_repository(tmp_path / "repo") / ".git").is_dir()
    assert not (tmp_path / "other").exists()


def test_a_small_change_reaches_every_kind_of_target_and_a_revert_takes_it_back(repository: Path) -> None:
    before = files(repository)

    changed = {path.relative_to(repository).parts[0] for path in change_something(repository)}
    commit_all(repository, "A small change")
    assert changed == {"agents", "default", "gateways", "sdk"}
    assert files(repository) != before

    revert_last(repository)
    assert files(repository) == before


def test_a_second_change_differs_from_the_first(repository: Path) -> None:
    change_something(repository)
    once = files(repository)
    change_something(repository)

    assert all(files(repository)[name] != text for name, text in once.items() if name.endswith("collector.yaml"))


def test_a_repository_without_anything_to_change_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="to change"):
        change_something(tmp_path)


def test_the_file_to_try_things_with_is_one_that_many_targets_inherit(repository: Path) -> None:
    names = [str(path.relative_to(repository)) for path in editable_files(repository)]

    assert names[0] == "agents/collector.yaml"
    assert not any(Path(name).name in ("target.yaml", "gitsync.yaml") for name in names)


def test_an_error_of_git_is_told(repository: Path) -> None:
    with pytest.raises(SettingsError, match=r"git checkout failed: .*nowhere"):
        git(repository, "checkout", "nowhere")
