"""`gitsync validate`: check a config repository as the server would, or plain Collector files, offline."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.failure import ExitCode
from gitsync.cli.report import Judgement, Report, counts, not_checked, show, show_findings, show_line
from gitsync.cli.table import count_of
from gitsync.errors import SettingsError
from gitsync.wording import quoted

if TYPE_CHECKING:
    from gitsync.bundle.catalog import Catalog
    from gitsync.bundle.tree import ConfigTree
    from gitsync.collector.build import Build
    from gitsync.diagnostics import Diagnostic

STDIN = Path("-")

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="The top of a config repository; with --collector files, or - for stdin."),
]
OneCollector = Annotated[bool, typer.Option("--collector", help="The paths are Collector files, merged in order.")]
Each = Annotated[bool, typer.Option("--each", help="With --collector: judge every file alone.")]
Distribution = Annotated[
    str | None,
    typer.Option("--distribution", metavar="NAME", help="With --collector: contrib, core, k8s or custom."),
]
Versions = Annotated[
    list[str] | None,
    typer.Option(
        "--collector-version", metavar="VERSION", help="Of the Collector; several: it must be valid in all of them."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")]
Watch = Annotated[bool, typer.Option("--watch", help="Judge again after each change, until Ctrl-C.")]
Output = Annotated[Report, typer.Option("--output", "-o", help="How findings are shown.")]


def validate(
    paths: Paths = None,
    collector: OneCollector = False,
    each: Each = False,
    distribution: Distribution = None,
    versions: Versions = None,
    strict: Strict = False,
    watch: Watch = False,
    output: Output = Report.TEXT,
) -> None:
    """Checks a config repository as the server would, or Collector files, without a server.

    Exit codes: 0 valid, 1 invalid, 2 could not be checked.
    """
    if collector:
        subject: Subject = _collector_files(paths or [], distribution, versions or [], each=each)
    else:
        subject = _repository(paths or [Path()], only_collector=each or distribution is not None or bool(versions))
    if watch:
        from gitsync.cli.watching import keep_judging

        valid = keep_judging(subject.places(), lambda: subject.run(output, strict=strict))
    else:
        valid = subject.run(output, strict=strict)
    raise typer.Exit(ExitCode.FINE if valid else ExitCode.DIFFERENT)


@dataclass(frozen=True, slots=True)
class Repository:
    """A config repository in a directory."""

    root: Path
    catalog: Catalog

    def places(self) -> tuple[Path, ...]:
        """What a change is looked for in."""
        return (self.root,)

    def run(self, report: Report, *, strict: bool) -> bool:
        """Judges and shows it; whether it is valid.

        Raises:
            SettingsError: it cannot be read.
        """
        from gitsync.bundle.compile import compile_bundle
        from gitsync.cli.worktree import read_tree

        tree = read_tree(self.root)
        gc.disable()  # as in the server's compile process
        try:
            result = compile_bundle(tree, self.catalog)
        finally:
            gc.enable()
        judgement = Judgement(
            tuple(result.files),
            result.bundle is not None,
            result.diagnostics,
            about="" if result.bundle is None else f", {count_of(len(result.bundle.versions), 'target')}",
            root="" if self.root == Path() else f"{self.root.as_posix().rstrip('/')}/",
            unchecked=result.unchecked,
            header=(("apiVersion", "gitsync/v1"), ("kind", "Validation")),
        )
        judgement = judgement.strict() if strict else judgement
        show(judgement, report, lambda path: _content(tree, path))
        return judgement.valid


@dataclass(frozen=True, slots=True)
class CollectorFiles:
    """Collector files: one configuration, or with `each` one configuration each.

    Attributes:
        about: words for the summary: what they are judged for.
        read: what was read for the newest judgement, by path.
    """

    paths: tuple[Path, ...]
    build: Build
    about: str
    each: bool
    read: dict[str, bytes] = field(default_factory=dict)

    def places(self) -> tuple[Path, ...]:
        """What a change is looked for in.

        Raises:
            SettingsError: standard input cannot be read again.
        """
        if STDIN in self.paths:
            raise SettingsError("--watch cannot read - again", code="options", hint="give it the name of a file")
        return self.paths

    def run(self, report: Report, *, strict: bool) -> bool:
        """Judges and shows them; whether all are valid.

        Raises:
            SettingsError: one cannot be read.
        """
        judgements = self._judge(strict=strict)
        if report is Report.JSONL:
            valid = True
            for one in judgements:
                show_line(one)
                valid = valid and one.valid
            return valid
        if report is Report.TEXT and self.each:
            return self._show_each(judgements)
        whole = self._joined(list(judgements))
        show(whole, report, self._content)
        return whole.valid

    def _judge(self, *, strict: bool) -> Iterator[Judgement]:
        from gitsync.collector.judge import judge_files

        groups = [(one,) for one in self.paths] if self.each else [self.paths]
        for group in groups:
            contents = [(str(path), read_file(path)) for path in group]
            self.read.clear()
            self.read.update(contents)
            verdict = judge_files(contents, self.build)
            judgement = Judgement(
                tuple(map(str, group)), verdict.valid, verdict.diagnostics, self.about, "", verdict.unchecked
            )
            yield judgement.strict() if strict else judgement

    def _show_each(self, judgements: Iterator[Judgement]) -> bool:
        invalid = 0
        found: list[Diagnostic] = []
        unchecked: set[str] = set()
        for one in judgements:
            show_findings(one, self._content)
            invalid += not one.valid
            found.extend(one.diagnostics)
            unchecked.update(one.unchecked)
        files = count_of(len(self.paths), "file")
        verdict = f"invalid: {invalid} of {files}" if invalid else f"valid: {files}"
        typer.echo(f"{verdict}{self.about}, {counts(found)}{not_checked(tuple(sorted(unchecked)))}")
        return not invalid

    def _joined(self, judgements: Sequence[Judgement]) -> Judgement:
        found = tuple(one for judgement in judgements for one in judgement.diagnostics)
        valid = all(one.valid for one in judgements)
        unchecked = tuple(sorted({name for one in judgements for name in one.unchecked}))
        return Judgement(tuple(map(str, self.paths)), valid, found, self.about, "", unchecked)

    def _content(self, path: str) -> bytes:
        return self.read.get(path, b"")


Subject = Repository | CollectorFiles


def read_file(path: Path) -> bytes:
    """The content of a file, or of standard input; no more of it than is needed to see that it is too large.

    Raises:
        SettingsError: `path.unreadable`.
    """
    from gitsync.collector.document import DEFAULT_LIMITS

    most = DEFAULT_LIMITS.file_bytes + 1
    if path == STDIN:
        return sys.stdin.buffer.read(most)
    if path.is_dir():
        hint = f"name its files, such as {path / '*.yaml'}; without --collector it is checked as a config repository"
        raise SettingsError(f"{path} is a directory", code="path.unreadable", hint=hint)
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", code="path.unreadable") from error


def load_build(distribution: str | None, versions: Sequence[str]) -> Build:
    """What the Collector of a distribution and its versions can do; the newest contrib without both.

    Raises:
        SettingsError: there is no such one; the hint names those that are known.
    """
    from gitsync.collector.build import DISTRIBUTIONS, parse_version
    from gitsync.worker.schemas import load_catalog

    catalog = load_catalog()
    if distribution is not None and distribution not in DISTRIBUTIONS:
        hint = f"known: {', '.join(DISTRIBUTIONS)}"
        raise SettingsError(f"there is no distribution {quoted(distribution)}", code="distribution.unknown", hint=hint)
    known = {one.number for one in catalog.collectors.values()}
    for version in versions:
        number = parse_version(version)
        if number is None:
            hint = f"known: {', '.join(catalog.collectors)}"
            raise SettingsError(f"{quoted(version)} is no version of the Collector", code="version.unknown", hint=hint)
        if number not in known:
            nearest = catalog.nearest(version)
            typer.echo(f"nothing is known of Collector {quoted(version)}: {nearest} is checked instead", err=True)
    return catalog.build(distribution, versions)


def _collector_files(
    paths: Sequence[Path], distribution: str | None, versions: Sequence[str], *, each: bool
) -> Subject:
    if not paths:
        raise SettingsError("--collector needs a file", code="options", hint="name one or several, or - for stdin")
    if paths.count(STDIN) > 1:
        raise SettingsError("- stands twice", code="options", hint="standard input can be read once")
    build = load_build(distribution, versions)
    about = f" for {build.distribution} {', '.join(one.version for one in build.versions)}"
    return CollectorFiles(tuple(paths), build, about, each)


def _repository(paths: Sequence[Path], *, only_collector: bool) -> Subject:
    if only_collector:
        hint = "a config repository says in gitsync.yaml which Collector it is for; add --collector for plain files"
        raise SettingsError(
            "--each, --distribution and --collector-version need --collector", code="options", hint=hint
        )
    if len(paths) > 1:
        hint = "one config repository at a time; add --collector for plain Collector files"
        raise SettingsError(f"{len(paths)} paths were given", code="options", hint=hint)
    if paths[0].is_file():
        hint = f"name the top of a config repository, or for a Collector file: --collector {paths[0]}"
        raise SettingsError(f"{paths[0]} is a file", code="path.unreadable", hint=hint)
    from gitsync.worker.schemas import load_catalog

    return Repository(paths[0], load_catalog())


def _content(tree: ConfigTree, path: str) -> bytes:
    return tree.read(path) or b""
