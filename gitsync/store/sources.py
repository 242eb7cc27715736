"""Sources and the commits that were judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from gitsync.bundle.tree import Commit
from gitsync.control.records import CommitRecord, SourceRecord, Verdict
from gitsync.errors import InvalidConfig
from gitsync.ids import CommitId, SourceName
from gitsync.store.codec import (
    decode_diagnostics,
    decode_texts,
    encode_diagnostics,
    encode_texts,
)
from gitsync.store.engine import Subject
from gitsync.store.tables import commits
from gitsync.store.tables import source as sources

_PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Sources(Subject):
    """Rows of `source` and `commits`."""

    __slots__ = ()

    async def load_source(self, name: SourceName) -> SourceRecord | None:
        """The source's row."""
        async with self._db.read() as connection:
            row = (await connection.execute(select(sources).where(sources.c.name == name))).one_or_none()
        return None if row is None else _source(row)

    async def save_source(self, record: SourceRecord) -> None:
        """Inserts or replaces the source's row."""
        values = {
            "url": record.url,
            "ref": record.ref,
            "head": record.head,
            "fetched_at": record.fetched_at,
            "error": record.error,
        }
        insert = self._db.insert(sources).values(name=record.name, **values)
        async with self._db.write() as connection:
            await connection.execute(insert.on_conflict_do_update(index_elements=[sources.c.name], set_=values))

    async def save_commit(self, record: CommitRecord) -> None:
        """Inserts or replaces a judged commit; its `seen_at` stays the first one."""
        commit = record.commit
        values: dict[str, Any] = {
            "tree": commit.tree,
            "parents": encode_texts(commit.parents),
            "author": commit.author,
            "authored_at": commit.authored_at,
            "subject": commit.subject,
            "signer": commit.signer,
            "verdict": str(record.verdict),
            "diagnostics": encode_diagnostics(record.diagnostics),
            "files": encode_texts(record.files),
            "error": record.error,
        }
        insert = self._db.insert(commits).values(source=record.source, id=commit.id, seen_at=record.seen_at, **values)
        async with self._db.write() as connection:
            await connection.execute(
                insert.on_conflict_do_update(index_elements=[commits.c.source, commits.c.id], set_=values)
            )

    async def load_commit(self, source: SourceName, prefix: str) -> CommitRecord | None:
        """The commit whose id begins with `prefix`.

        Raises:
            InvalidConfig: fewer than 4 hex digits, or several commits begin so.
            Unavailable: the database is away.
        """
        prefix = prefix.lower()
        if not _PREFIX.fullmatch(prefix):
            raise InvalidConfig(
                f"{prefix!r} is not the beginning of a commit id",
                code="commit.prefix",
                hint="give at least 4 hex digits",
            )
        found = (
            select(commits)
            .where(commits.c.source == source, commits.c.id.startswith(prefix, autoescape=True))
            .order_by(commits.c.id)
            .limit(2)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(found)).all()
        if len(rows) > 1 and rows[0].id != prefix:
            raise InvalidConfig(
                f"several commits begin with {prefix}", code="commit.ambiguous", hint="give more digits"
            )
        return _commit(rows[0]) if rows else None

    async def list_commits(
        self, source: SourceName, limit: int, before: datetime | None = None
    ) -> Sequence[CommitRecord]:
        """Newest first, by `seen_at`; with `before`, those that were seen earlier than that."""
        found = select(commits).where(commits.c.source == source)
        if before is not None:
            found = found.where(commits.c.seen_at < before)
        found = found.order_by(commits.c.seen_at.desc(), commits.c.id).limit(max(limit, 0))
        async with self._db.read() as connection:
            rows = (await connection.execute(found)).all()
        return [_commit(row) for row in rows]


def _source(row: Row[Any]) -> SourceRecord:
    head = None if row.head is None else CommitId(row.head)
    return SourceRecord(SourceName(row.name), row.url, row.ref, head, row.fetched_at, row.error)


def _commit(row: Row[Any]) -> CommitRecord:
    commit = Commit(
        id=CommitId(row.id),
        tree=row.tree,
        parents=tuple(CommitId(one) for one in decode_texts(row.parents)),
        author=row.author,
        authored_at=row.authored_at,
        subject=row.subject,
        signer=row.signer,
    )
    return CommitRecord(
        source=SourceName(row.source),
        commit=commit,
        verdict=Verdict(row.verdict),
        diagnostics=decode_diagnostics(row.diagnostics),
        files=decode_texts(row.files),
        seen_at=row.seen_at,
        error=row.error,
    )
