"""The audit log: a hash chain of lines that are only ever added.

Each line's hash covers its number, its content and the hash of the line before, so that a line that was changed, left
out or put in between shows. Numbers have no gaps. Retention cuts whole days off the old end; what is left still is a
chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gitsync.control.records import AuditEntry
from gitsync.errors import TrustError
from gitsync.ids import parse_uid, show_uid
from gitsync.store.codec import dump, load, reading, show_at
from gitsync.store.engine import POSTGRESQL, Database, Subject
from gitsync.store.tables import audit, clean

_FIRST = bytes(32)
"""What stands for the hash before the first line."""
_LOCK = 0x6773_6175_6469_74
"""Number of the PostgreSQL advisory lock that makes writers of the chain wait for each other ("gsaudit")."""
_PAGE = 1_000


class AuditLog(Subject):
    """Rows of `audit`."""

    __slots__ = ()

    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Adds lines to the hash chain, all or none.

        Raises:
            GitsyncError: `details` has no JSON form.
            Unavailable: the database is away or locked.
        """
        if not entries:
            return
        async with self._db.write() as connection:
            await append(self._db, connection, entries)

    async def list_audit(self, limit: int, before: int | None = None) -> Sequence[tuple[int, AuditEntry]]:
        """Newest first, with their numbers; with `before`, those with a lower number."""
        found = select(audit).order_by(audit.c.seq.desc()).limit(max(limit, 0))
        if before is not None:
            found = found.where(audit.c.seq < before)
        async with self._db.read() as connection:
            rows = (await connection.execute(found)).all()
        return [(row.seq, _entry(row)) for row in rows]

    async def verify_audit(self) -> int:
        """Checks the whole chain; how many lines it has.

        Raises:
            TrustError: a line was changed, is missing, or was put in later; names its number.
            Unavailable: the database is away.
        """
        count, before = 0, None
        async with self._db.read() as connection:
            while True:
                page = select(audit).order_by(audit.c.seq).limit(_PAGE)
                if before is not None:
                    page = page.where(audit.c.seq > before.seq)
                rows = (await connection.execute(page)).all()
                for row in rows:
                    _check_link(row, before)
                    before = row
                count += len(rows)
                if len(rows) < _PAGE:
                    return count


async def append(db: Database, connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Adds lines inside a transaction that writes something else too."""
    if not entries:
        return
    if db.dialect == POSTGRESQL:
        # Two writers must not read the same last line. SQLite has one writer anyway. Held until COMMIT, so this comes
        # as late in a transaction as it can.
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    last = (await connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1))).first()
    seq, prev = (0, _FIRST) if last is None else (last.seq, last.hash)
    rows = []
    for entry in entries:
        seq += 1
        row = _row(seq, entry, prev)
        prev = row["hash"]
        rows.append(row)
    await connection.execute(audit.insert(), rows)


def _row(seq: int, entry: AuditEntry, prev: bytes) -> dict[str, Any]:
    body = dump(
        "audit line",
        {
            "agent_uid": None if entry.agent_uid is None else show_uid(entry.agent_uid),
            "remote_addr": entry.remote_addr,
            "details": dict(entry.details),
        },
    )
    row: dict[str, Any] = {
        "seq": seq,
        "at": entry.at,
        "actor": clean(entry.actor),
        "action": clean(entry.action),
        "object": clean(entry.object),
        "outcome": clean(entry.outcome),
        "reason": clean(entry.reason),
        "body": body,
        "prev": prev,
    }
    return {**row, "hash": line_hash(row)}


def line_hash(row: dict[str, Any]) -> bytes:
    """SHA-256 of the canonical line: every column but the hash itself, `prev` included."""
    line = {**row, "at": show_at(row["at"]), "prev": row["prev"].hex()}
    return hashlib.sha256(b"gitsync.audit.v1\0" + dump("audit line", line).encode()).digest()


def _check_link(row: Row[Any], before: Row[Any] | None) -> None:
    content = {key: value for key, value in row._mapping.items() if key != "hash"}
    if line_hash(content) != row.hash:
        raise TrustError(f"audit line {row.seq} is not what was written", code="audit.changed")
    if before is None:
        whole = row.seq > 1 or row.prev == _FIRST
    else:
        whole = row.seq == before.seq + 1 and row.prev == before.hash
    if not whole:
        raise TrustError(f"audit line {row.seq} does not follow the line before it", code="audit.broken")


def _entry(row: Row[Any]) -> AuditEntry:
    body = load("audit line", row.body)
    with reading("audit line"):
        uid = body["agent_uid"]
        return AuditEntry(
            at=row.at,
            actor=row.actor,
            action=row.action,
            object=row.object,
            outcome=row.outcome,
            reason=row.reason,
            agent_uid=None if uid is None else parse_uid(uid),
            remote_addr=body["remote_addr"],
            details=body["details"],
        )
