"""Write `gitsync/opamp/pb/`: Python code and type stubs for the files below this directory.

    python proto/generate.py            writes
    python proto/generate.py --check    writes nothing; exit code 1 and a diff when the result would differ

The output is committed. The result depends on the versions of grpcio-tools and mypy-protobuf, which
`requirements/dev.txt` pins.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = Path("gitsync/opamp/pb")
INIT = '''"""Generated code of the OpAMP messages; see `proto/README.md`. Nothing here is edited by hand."""\n'''


def generate(into: Path) -> None:
    """Generate code and stubs for every description below `proto/` into the tree at `into`.

    Raises:
        RuntimeError: the compiler refused a description; its own text is on stderr.
    """
    sources = sorted(path.relative_to(HERE).as_posix() for path in (HERE / PACKAGE).glob("*.proto"))
    # protoc looks for protoc-gen-mypy on PATH; it lives beside the interpreter that runs this file.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    plugin_notes = io.StringIO()
    with contextlib.redirect_stderr(plugin_notes):
        code = protoc.main(["protoc", f"-I{HERE}", f"--python_out={into}", f"--mypy_out=quiet:{into}", *sources])
    if code:
        raise RuntimeError(f"protoc ended with {code}: {plugin_notes.getvalue()}")
    (into / PACKAGE / "__init__.py").write_text(INIT, encoding="utf-8")


def read_package(root: Path) -> dict[str, str]:
    """Text of each generated file below `root`, by name."""
    folder = root / PACKAGE
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*"))
        if path.suffix in {".py", ".pyi"}
    }


def differences(old: dict[str, str], new: dict[str, str]) -> str:
    """A unified diff from `old` to `new` over all files; empty when they are equal."""
    parts: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        parts += difflib.unified_diff(
            old.get(name, "").splitlines(keepends=True),
            new.get(name, "").splitlines(keepends=True),
            f"committed/{name}",
            f"generated/{name}",
        )
    return "".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code comes back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare with what is committed")
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree that holds gitsync/opamp/pb")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        new = read_package(Path(scratch))
    old = read_package(options.root)
    if options.check:
        text = differences(old, new)
        sys.stdout.write(text)
        return 1 if text else 0
    folder = options.root / PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    for name in old.keys() - new.keys():
        (folder / name).unlink()
    for name, text in new.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
