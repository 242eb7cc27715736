"""The lab's config repository: a copy of the example, with a history of its own, where people can try things."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from gitsync.errors import SettingsError

EXAMPLE = Path(__file__).with_name("config-repo")
BRANCH = "main"
MANIFESTS = ("gitsync.yaml", "target.yaml")
_LIMIT = re.compile(r"^( +limit_mib: *)([0-9]+)\b", re.MULTILINE)
_LOGGING_LEVEL = re.compile(r"(\"logging_level\": *\")(info|debug)\b")
_OURS = (
    *("-c", "user.name=gitsync lab"),
    *("-c", "user.email=lab@example.com"),
    *("-c", "commit.gpgsign=false"),
    *("-c", "core.hooksPath=/dev/null"),
)


def make_repository(directory: Path) -> Path:
    """A Git repository with the example as its first commit on `main`; one that is there stays as it is.

    Raises:
        SettingsError: git is missing, or the place cannot be written, or has other files in it.
    """
    directory = directory.absolute()
    if (directory / ".git").exists():
        return directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise SettingsError(
                f"{directory} has files, and is no Git repository",
                code="lab.directory",
                hint="give an empty or a new directory",
            )
        shutil.copytree(EXAMPLE, directory, dirs_exist_ok=True, symlinks=True)
    except OSError as error:
        raise SettingsError(f"cannot make {directory}: {error.strerror or error}", code="lab.directory") from error
    git(directory, "init", "--quiet", f"--initial-branch={BRANCH}")
    if not git(directory, "config", "--default", "", "--get", "user.email"):
        # People commit here with their own git, which may not know yet who they are.
        git(directory, "config", "user.name", "gitsync lab")
        git(directory, "config", "user.email", "lab@example.com")
    commit_all(directory, "The fleet's first configuration")
    return directory


def commit_all(directory: Path, message: str) -> str:
    """Commits everything that changed; the new commit's id."""
    git(directory, *_OURS, "add", "--all")
    git(directory, *_OURS, "commit", "--quiet", "--message", message)
    return git(directory, "rev-parse", "HEAD")


def revert_last(directory: Path) -> str:
    """Takes the last commit back by a new one; the new commit's id."""
    git(directory, *_OURS, "revert", "--no-edit", "HEAD")
    return git(directory, "rev-parse", "HEAD")


def git(directory: Path, *arguments: str) -> str:
    """Runs git in the lab's own repository; its output without the last newline.

    Raises:
        SettingsError: git is missing, or it failed.
    """
    executable = shutil.which("git")
    if executable is None:
        raise SettingsError("git is not installed", code="lab.git", hint="install git and try again")
    # In a Git hook, variables such as GIT_DIR point to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(  # noqa: S603 - fixed arguments, the lab's own repository
        [executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        command = next((one for one in arguments if one[0] != "-" and "=" not in one), "")
        raise SettingsError(f"git {command} failed: {done.stderr.strip()}", code="lab.git")
    return done.stdout.strip()


def change_something(directory: Path) -> list[Path]:
    """Makes a small change to what every target of the example gives, and any agent takes without a murmur.

    Returns:
        The changed files; nothing is committed.

    Raises:
        SettingsError: there is nothing to change.
    """
    changed: list[Path] = []
    for path in [*editable_files(directory), *sorted(directory.rglob("*.json"))]:
        text = path.read_text()
        new = _LOGGING_LEVEL.sub(_other_level, _LIMIT.sub(_one_more, text))
        if new != text:
            path.write_text(new)
            changed.append(path)
    if not changed:
        raise SettingsError(f"no file in {directory} has a limit_mib or a logging_level to change", code="lab.change")
    return changed


def _one_more(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2]) + 1}"


def _other_level(found: re.Match[str]) -> str:
    return f"{found[1]}{'info' if found[2] == 'debug' else 'debug'}"


def editable_files(directory: Path) -> list[Path]:
    """Configurations (not manifests) of the tree, those that most targets inherit first."""
    files = [
        path
        for path in directory.rglob("*.yaml")
        if path.name not in MANIFESTS and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]
    return sorted(files, key=lambda path: (len(path.parts), str(path)))
