"""`gitsync verify`: whether a configuration may run here, from files alone, offline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.failure import ExitCode
from gitsync.cli.table import clean, show_facts
from gitsync.errors import SettingsError, TrustError

if TYPE_CHECKING:
    from gitsync.bundle.statement import Statement
    from gitsync.bundle.verify import Memory, TrustRoot
    from gitsync.bundle.version import ConfigObject

MAX_FILE_BYTES = 64 << 20


def verify(
    root: Annotated[Path, typer.Option("--root", metavar="FILE", help="The trust root: `gitsync keys export`.")],
    statement: Annotated[
        Path, typer.Option("--statement", metavar="FILE", help="An envelope, or a list of them as REST gives it.")
    ],
    objects: Annotated[
        list[str] | None, typer.Argument(metavar="[OBJECT]…", help="FILE, or NAME=FILE. None: only the statement.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="K=V,…", help="The agent's labels; without: not checked.")
    ] = None,
    at_least: Annotated[
        int, typer.Option("--at-least", min=0, metavar="REVISION", help="Refuse lower revisions than this one.")
    ] = 0,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Judge as of this time (RFC 3339) instead of now.")
    ] = None,
) -> None:
    """Verifies that files are what a trusted key signed for an agent with these labels. Needs no server.

    Exit codes: 0 verified, 1 refused, 2 could not be checked.
    """
    from gitsync.bundle.verify import Memory, parse_root

    try:
        trusted = parse_root(_read(root))
    except TrustError as error:
        raise SettingsError(f"{root}: {error.message}", code=error.code) from error
    case = _Case(trusted, Memory(revision=at_least), _read_labels(labels), _instant(at), tuple(objects or ()))
    refusal: TrustError | None = None
    for envelope in _envelopes(_read(statement)):
        try:
            found = case.check(envelope)
        except TrustError as error:
            refusal = error
            continue
        _show(found, case)
        return
    assert refusal is not None
    typer.echo(f"refused: {clean(refusal.message)} ({refusal.code})")
    raise typer.Exit(ExitCode.DIFFERENT)


@dataclass(frozen=True, slots=True)
class _Case:
    """What a statement is held against."""

    root: TrustRoot
    memory: Memory
    labels: Mapping[str, str] | None
    now: datetime
    objects: tuple[str, ...]

    def check(self, envelope: bytes) -> Statement:
        """The statement, when everything holds; raises TrustError."""
        from gitsync.bundle.verify import verify

        statement = verify(envelope, self.root, self.memory, self.labels, self.now, None)
        if self.objects:
            # Names, types and roles are taken from a statement that was verified just now, never before.
            verify(envelope, self.root, self.memory, self.labels, self.now, _load_objects(self.objects, statement))
        return statement


def _load_objects(given: Sequence[str], statement: Statement) -> list[ConfigObject]:
    from gitsync.bundle.version import ConfigObject

    stated = {one.name: one for one in statement.objects}
    found = []
    for text in given:
        name, equals, file = text.partition("=")
        path = Path(file if equals and name in stated else text)
        if not (equals and name in stated):
            name = next(iter(stated)) if len(stated) == len(given) == 1 else path.name
        if name not in stated:
            known = ", ".join(sorted(stated))
            raise TrustError(
                f"the statement names no object {name!r}; it has {known}; write NAME=FILE", code="trust.objects"
            )
        found.append(ConfigObject(name, stated[name].content_type, stated[name].role, _read(path)))
    return found


def _envelopes(body: bytes) -> list[bytes]:
    """The envelopes of a file: one, or the items of a list."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [body]
    items = document.get("items") if isinstance(document, dict) else None
    return [json.dumps(one).encode() for one in items] if isinstance(items, list) and items else [body]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", code="file.unreadable") from error
    if len(body) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} is larger than 64 MiB", code="file.unreadable")
    return body


def _read_labels(text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    labels: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SettingsError(f"{pair!r} is no label", code="labels.invalid", hint="write --labels k=v,k2=v2")
        labels[key] = value
    return labels


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)  # noqa: TID251  # a statement is judged by this machine's clock
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no time", code="time.invalid", hint="2026-11-21T12:00:00Z") from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _show(statement: Statement, case: _Case) -> None:
    from gitsync.bundle.statement import show_instant

    typer.echo("verified")
    show_facts(
        {
            "Source": statement.source,
            "Revision": statement.revision,
            "Target": statement.path,
            "Commit": statement.commit.id,
            "Author": statement.commit.author,
            "Subject": statement.commit.subject,
            "Config": statement.config_hash,
            "Expires": show_instant(statement.expires),
            "Labels": "checked" if case.labels is not None else "not checked (give --labels)",
            "Objects": f"{len(case.objects)} checked" if case.objects else "not checked",
        },
        "  ",
    )
