from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitsync.bundle.statement import StatedCommit, StatedObject, Statement
from gitsync.bundle.statements import envelope
from gitsync.ids import show_digest
from gitsync.labels import Selector
from gitsync.server.signer import FileSigner
from tests.support.webservice import EDGE_CONFIG, edge_payload
from tests.unit.cli.conftest import Outcome, gitsync

ISSUED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STATEMENT = Statement(
    source="default",
    revision=1_763_000_001,
    kind="publish",
    commit=StatedCommit("1" * 40, "2" * 40, "Ann <ann@example.com>", ISSUED, "Add the edge"),
    path="agents",
    version="sha256:" + "3" * 64,
    slot="-",
    selector=Selector.labels(role="edge"),
    excepts=(Selector.labels(env="test"),),
    aliases={},
    assumed=(),
    buckets=None,
    config_hash=show_digest(edge_payload().digest),
    objects=(
        StatedObject(
            "collector.yaml", "text/yaml", "", len(EDGE_CONFIG), hashlib.sha256(EDGE_CONFIG.encode()).hexdigest()
        ),
    ),
    issued=ISSUED,
    expires=ISSUED + timedelta(days=14),
)


@dataclass(frozen=True)
class Files:
    """A root, a statement and an object on disk."""

    directory: Path
    signer: FileSigner
    root: Path
    statement: Path
    object: Path

    def signed(self, **changes: Any) -> bytes:
        body = replace(STATEMENT, **changes).as_json()
        return envelope(body, asyncio.run(self.signer.sign([body]))).as_json()

    def verify(self, *more: str, at: str = "2026-11-22T00:00:00Z") -> Outcome:
        files = ("--root", str(self.root), "--statement", str(self.statement))
        return gitsync("verify", *files, "--at", at, *more)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    signer, _ = FileSigner.load_or_create(tmp_path / "signing.key")
    made = Files(tmp_path, signer, tmp_path / "root.json", tmp_path / "statement.json", tmp_path / "effective.yaml")
    made.root.write_bytes(signer.root() + b"\n")
    made.statement.write_bytes(made.signed())
    made.object.write_text(EDGE_CONFIG)
    return made


def test_what_a_trusted_key_signed_is_verified(files: Files) -> None:
    done = files.verify("--labels", "role=edge,env=prod", str(files.object))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "verified"
    assert "  Revision:  1763000001\n" in done.out
    assert "  Labels:    checked\n" in done.out
    assert "  Objects:   1 checked\n" in done.out
    assert "  Expires:   2026-12-05T12:00:00Z\n" in done.out


def test_what_was_not_checked_is_said(files: Files) -> None:
    done = files.verify()
    assert done.code == 0
    assert "not checked (give --labels)" in done.out
    assert "  Objects:   not checked\n" in done.out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--labels", "role=gateway"], "trust.selector"),
        (["--labels", ""], "trust.selector"),
        (["--labels", "role=edge,env=test"], "trust.except"),
        (["--at-least", "1763000002"], "trust.revision"),
    ],
)
def test_a_statement_that_does_not_hold_here_is_refused(files: Files, options: list[str], code: str) -> None:
    done = files.verify(*options)
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("refused: ")
    assert done.out.endswith(f"({code})\n")


@pytest.mark.parametrize(
    ("at", "code"), [("2026-12-06T00:00:00Z", "trust.expired"), ("2026-11-21T11:00:00", "trust.future")]
)
def test_the_time_is_judged(files: Files, at: str, code: str) -> None:
    assert f"({code})" in files.verify(at=at).out


def test_without_a_time_this_machines_clock_judges(files: Files) -> None:
    files.statement.write_bytes(
        files.signed(issued=datetime(2001, 1, 1, tzinfo=UTC), expires=ISSUED.replace(year=2002))
    )
    done = gitsync("verify", "--root", str(files.root), "--statement", str(files.statement))
    assert (done.code, "(trust.expired)" in done.out) == (1, True)


def test_one_changed_byte_of_the_object_is_refused(files: Files) -> None:
    files.object.write_text(EDGE_CONFIG.replace("4317", "4318"))
    assert "(trust.objects)" in files.verify(str(files.object)).out


def test_an_object_is_named_when_its_file_is_called_otherwise(files: Files) -> None:
    assert files.verify(f"collector.yaml={files.object}").code == 0
    done = files.verify(str(files.object), str(files.root))
    assert done.code == 1
    assert "names no object 'effective.yaml'; it has collector.yaml; write NAME=FILE" in done.out


def test_another_key_is_refused(files: Files) -> None:
    stranger, _ = FileSigner.load_or_create(files.directory / "other.key")
    files.root.write_bytes(stranger.root())
    assert "(trust.unknown_key)" in files.verify().out


def test_a_changed_statement_is_refused(files: Files) -> None:
    document = json.loads(files.statement.read_bytes())
    body = base64.b64decode(document["payload"]).replace(b"1763000001", b"1763000009")
    document["payload"] = base64.b64encode(body).decode()
    files.statement.write_text(json.dumps(document))
    assert "(trust.signature)" in files.verify().out


def test_the_answer_of_the_server_is_a_statement_file_too(files: Files) -> None:
    items = [json.loads(files.signed(selector=Selector.labels(role="other"))), json.loads(files.signed())]
    files.statement.write_text(json.dumps({"kind": "StatementList", "items": items}))
    assert files.verify("--labels", "role=edge", str(files.object)).code == 0
    assert "(trust.selector)" in files.verify("--labels", "role=nobody").out


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b"\xff", b'{"kind":"StatementList","items":[]}', b'{"kind":"StatementList"}']
)
def test_what_is_no_statement_is_refused(files: Files, body: bytes) -> None:
    files.statement.write_bytes(body)
    done = files.verify()
    assert (done.code, "(trust.envelope)" in done.out) == (1, True)


def test_what_cannot_be_checked_is_exit_code_2(files: Files) -> None:
    assert files.verify(str(files.directory / "nowhere")).code == 2
    assert files.verify("--labels", "role").code == 2
    assert files.verify(at="tomorrow").code == 2
    files.root.write_text("{}")
    done = files.verify()
    assert (done.code, done.out) == (2, "")
    assert str(files.root) in done.err
