"""Leases: who may act as leader. Every comparison happens in database time, in one statement."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import exists, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from gitsync.control.records import Lease
from gitsync.store.engine import Subject, database_micros, micros
from gitsync.store.tables import lease as leases

LEADER = "leader"
"""The lease that publications are fenced by."""


class Leases(Subject):
    """The lease rows. A row is never deleted: its epoch must not fall."""

    __slots__ = ()

    async def acquire_lease(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        """The lease with a new epoch, when it is free, expired, or this holder's own; None when another holds it.

        A holder that was killed and came back takes its lease again without waiting, and what its former self still
        had on the way is fenced by the new epoch.

        Raises:
            Unavailable: the database is away or locked.
        """
        expires_at = database_micros() + micros(ttl)
        insert = self._db.insert(leases).values(name=name, holder=holder, epoch=1, expires_at=expires_at)
        taken = insert.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": holder, "epoch": leases.c.epoch + 1, "expires_at": expires_at},
            where=or_(leases.c.expires_at <= database_micros(), leases.c.holder == holder),
        ).returning(leases.c.epoch, leases.c.expires_at)
        async with self._db.write() as connection:
            row = (await connection.execute(taken)).one_or_none()
        return None if row is None else Lease(name, holder, row.epoch, row.expires_at)

    async def renew_lease(self, lease: Lease, ttl: timedelta) -> Lease | None:
        """The same lease, longer; None when it expired or was taken.

        Raises:
            Unavailable: the database is away or locked.
        """
        renewed = (
            update(leases)
            .where(holds(lease.name, lease.epoch), leases.c.holder == lease.holder)
            .values(expires_at=database_micros() + micros(ttl))
            .returning(leases.c.expires_at)
        )
        async with self._db.write() as connection:
            expires_at = (await connection.execute(renewed)).scalar_one_or_none()
        return None if expires_at is None else Lease(lease.name, lease.holder, lease.epoch, expires_at)

    async def release_lease(self, lease: Lease) -> None:
        """Gives the lease back; nothing happens when it was lost.

        Raises:
            Unavailable: the database is away or locked.
        """
        given = (
            update(leases)
            .where(leases.c.name == lease.name, leases.c.epoch == lease.epoch, leases.c.holder == lease.holder)
            .values(expires_at=database_micros())
        )
        async with self._db.write() as connection:
            await connection.execute(given)


def holds(name: str, epoch: int) -> ColumnElement[bool]:
    """SQL condition on `leases`: this epoch's holder may still write now."""
    return (leases.c.name == name) & (leases.c.epoch == epoch) & (leases.c.expires_at > database_micros())


def is_leader(epoch: int) -> ColumnElement[bool]:
    """SQL condition for any statement: the leader's lease has this epoch and has not expired."""
    return exists(select(leases.c.name).where(holds(LEADER, epoch)))
