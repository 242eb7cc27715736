"""The transitions of `TargetState`: `(state, input, now) -> (state, events)`, pure.

The one strategy so far is `all-at-once`: a new version opens to every agent and completes at once; agents that
fail are handled one by one by `fleet.assign`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gitsync.ids import VersionDigest
from gitsync.rollout.state import COMPLETED_KEPT, Proposal, TargetState, Transition

Result = tuple[TargetState, tuple[Transition, ...]]


def on_commit(state: TargetState, proposal: Proposal | None, now: datetime) -> Result:
    """What a good commit does to one target.

    Args:
        proposal: the version in that commit; None: the commit has no such target.

    Returns:
        The new state and what happened, empty when nothing changed. A version that was completed before comes back
        with cause `back`: it is a return, not something new.
    """
    wanted = None if proposal is None else proposal.digest
    if wanted == state.head and wanted == state.stable:
        return state, ()
    if wanted == state.stable:
        return replace(state, head=wanted, rollout=None, waiting=None), ()
    cause = _cause(state, wanted)
    after = replace(
        state,
        head=wanted,
        stable=wanted,
        fallback=_fallback(state, wanted),
        rollout=None,
        waiting=None,
        completed=_completed(state.completed, wanted),
    )
    return after, (Transition(cause, state.stable, wanted, _REASONS[cause], now),)


def on_redefinition(state: TargetState, now: datetime) -> Result:
    """The version in effect is defined anew in a part that its digest does not cover: nothing moves.

    Returns:
        The state as it is, and what people see in its history.
    """
    return state, (Transition("connection", state.stable, state.stable, _REASONS["connection"], now),)


_REASONS = {
    "commit": "new version, open to all agents at once",
    "back": "a version that was completed before",
    "connection": "other connection settings; the configuration stays",
    "delete": "the commit no longer has this target",
}


def _cause(state: TargetState, wanted: VersionDigest | None) -> str:
    if wanted is None:
        return "delete"
    return "back" if wanted in state.completed else "commit"


def _fallback(state: TargetState, wanted: VersionDigest | None) -> VersionDigest | None:
    """The newest other completed version; going back never makes the version that was left a fallback."""
    older = state.completed
    if wanted is not None and wanted in older:
        older = older[older.index(wanted) + 1 :]
    return next((one for one in older if one != wanted), None)


def _completed(completed: Iterable[VersionDigest], wanted: VersionDigest | None) -> tuple[VersionDigest, ...]:
    if wanted is None:
        return tuple(completed)
    return (wanted, *(one for one in completed if one != wanted))[:COMPLETED_KEPT]
