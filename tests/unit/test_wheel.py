"""The wheel has what the installed program reads, and nothing of the checkout beside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = place.glob("*.whl")
    return zipfile.ZipFile(path)


def below(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_module_and_its_types_are_in_it(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    modules = {name for name in below(ROOT / "gitsync") if name.endswith((".py", ".pyi", "py.typed"))}

    assert {f"gitsync/{name}" for name in modules} <= names
    assert any(name.startswith("gitsync/store/migrations/versions/r") for name in names)


@pytest.mark.parametrize(
    ("link", "directory"),
    [
        ("gitsync/schemas", "schemas"),
        ("gitsync/lab/config-repo", "examples/config-repo"),
        ("gitsync/pages", "docs/reference/diagnostics"),
    ],
)
def test_what_is_linked_into_the_package_is_in_it_as_files(wheel: zipfile.ZipFile, link: str, directory: str) -> None:
    found = {name: wheel.read(name) for name in wheel.namelist() if name.startswith(f"{link}/")}

    assert set(found) == {f"{link}/{name}" for name in below(ROOT / directory)}
    assert all(body == (ROOT / directory / name.removeprefix(f"{link}/")).read_bytes() for name, body in found.items())


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"gitsync"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]


def test_the_command_is_called_gitsync(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert "gitsync = gitsync.cli:main" in wheel.read(entry_points).decode()
