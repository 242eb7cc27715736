from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gitsync.bundle.tree import BadEntry
from gitsync.cli.worktree import read_tree
from tests.unit.cli.conftest import gitsync

COLLECTOR = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:4317
exporters:
  otlp_grpc: {endpoint: "gateway:4317"}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_grpc]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "fleet"
    (root / "agents").mkdir(parents=True)
    (root / "gitsync.yaml").write_text("")
    (root / "agents" / "target.yaml").write_text("selector: {matchLabels: {role: edge}}\n")
    (root / "agents" / "collector.yaml").write_text(COLLECTOR)
    return root


def git(root: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True, env=environment)


def test_a_good_repository_is_valid(repository: Path) -> None:
    done = gitsync("validate", str(repository))
    assert (done.code, done.out, done.err) == (0, "valid: 3 files, 1 target, nothing found\n", "")


def test_a_mistake_is_shown_with_its_line_and_a_mark_below_it(repository: Path) -> None:
    file = repository / "agents" / "collector.yaml"
    file.write_text(COLLECTOR.replace("exporters: [otlp_grpc]", "exporters: [otlp_gprc]"))
    done = gitsync("validate", str(repository))
    assert done.code == 1
    first, line, mark, hint, *_ = done.out.splitlines()
    assert first.startswith("agents/collector.yaml:12:19: error GS")
    assert line == "  12 |       exporters: [otlp_gprc]"
    assert mark.index("^") == line.index("otlp_gprc")
    assert hint == '  hint: did you mean "otlp_grpc"?'
    assert done.out.splitlines()[-1] == "invalid: 3 files, 1 error"


def test_findings_are_also_a_document(repository: Path) -> None:
    (repository / "agents" / "collector.yaml").write_text("receivers: [\n")
    done = gitsync("validate", str(repository), "-o", "json")
    document = json.loads(done.out)
    assert (done.code, document["valid"]) == (1, False)
    assert document["diagnostics"][0]["path"] == "agents/collector.yaml"
    (repository / "agents" / "collector.yaml").write_text(COLLECTOR)
    done = gitsync("validate", str(repository), "-o", "json")
    assert (done.code, json.loads(done.out)["valid"]) == (0, True)


def test_what_cannot_be_read_is_exit_code_2(tmp_path: Path) -> None:
    done = gitsync("validate", str(tmp_path / "nowhere"))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


def test_a_directory_that_is_no_config_repository_is_invalid(tmp_path: Path) -> None:
    done = gitsync("validate", str(tmp_path))
    assert done.code == 1
    assert "gitsync.yaml" in done.out


@pytest.mark.parametrize("as_worktree", [False, True])
def test_a_symbolic_link_is_refused_and_never_followed(repository: Path, as_worktree: bool) -> None:
    (repository / "agents" / "secret.yaml").symlink_to("/etc/passwd")
    (repository / "away").symlink_to("/etc")
    if as_worktree:
        git(repository, "init", "-q")
    tree = read_tree(repository)
    assert [(one.path, one.kind) for one in tree.bad] == [("agents/secret.yaml", "symlink"), ("away", "symlink")]
    assert not any(b"root:" in body for body in tree.data.values())
    assert gitsync("validate", str(repository)).code == 1


def test_a_work_tree_is_read_as_git_would_commit_it(repository: Path) -> None:
    git(repository, "init", "-q")
    (repository / ".gitignore").write_text("*.bak\n")
    (repository / "agents" / "old.bak").write_text("{")
    git(repository, "add", "agents/target.yaml")
    (repository / "new file.yaml").write_text("a: 1\n")
    git(repository, "add", "gitsync.yaml")
    (repository / "gone.yaml").write_text("")
    git(repository, "add", "gone.yaml")
    (repository / "gone.yaml").unlink()
    assert list(read_tree(repository).paths()) == [
        ".gitignore",
        "agents/collector.yaml",
        "agents/target.yaml",
        "gitsync.yaml",
        "new file.yaml",
    ]


def test_a_plain_directory_and_a_work_tree_give_the_same_blobs_as_git(repository: Path) -> None:
    plain = read_tree(repository)
    git(repository, "init", "-q")
    assert read_tree(repository).blobs == plain.blobs
    git(repository, "add", ".")
    listed = subprocess.run(
        ["git", "-C", repository, "ls-files", "-s", "-z"], check=True, capture_output=True, text=True
    ).stdout
    ids = {line.split("\t")[1]: line.split()[1] for line in listed.split("\0") if line}
    assert plain.blobs == ids


def test_a_repository_inside_is_refused_like_a_submodule(repository: Path) -> None:
    git(repository, "init", "-q")
    (repository / "inner").mkdir()
    git(repository / "inner", "init", "-q")
    assert read_tree(repository).bad == (BadEntry("inner", "submodule"),)


def test_a_setting_of_the_repository_cannot_run_a_program(repository: Path) -> None:
    git(repository, "init", "-q")
    witness = repository.parent / "witness"
    git(repository, "config", "core.fsmonitor", f"touch {witness}; false")
    read_tree(repository)
    assert not witness.exists()


def test_a_file_over_the_limit_is_an_error_and_is_not_loaded(repository: Path) -> None:
    (repository / "agents" / "big.yaml").write_bytes(b"#" * (2 << 20))
    (one,) = read_tree(repository).bad
    assert (one.path, one.kind) == ("agents/big.yaml", "file-size")


def test_names_that_are_no_text_and_pipes_do_no_harm(repository: Path) -> None:
    Path(os.fsdecode(os.fsencode(repository) + b"/agents/\xff.yaml")).touch()
    os.mkfifo(repository / "agents" / "pipe.yaml")
    tree = read_tree(repository)
    assert [one.kind for one in tree.bad] == ["encoding"]
    assert "agents/pipe.yaml" not in tree.blobs
