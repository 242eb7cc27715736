"""`Picture`: what the lab shows of a server and its agents, as a table or as one line."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gitsync.errors import Unavailable
from gitsync.lab.rest import AgentRow, CommitRow, ServerView, TargetRow

LOOK_SECONDS = 0.5
ROSTER_SECONDS = 2.0
MANY_AGENTS = 1_000
"""From so many on the list of all agents is read five times less often."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One look.

    Attributes:
        healthy: connected agents by path of their target (None: they have none), without those that say that
            they are not healthy.
        others: agents that no target selects.
        real: the row of the real Collector; None when there is none, or it has not connected yet.
        trouble: why the picture is old, or what is wrong with the source; may be empty.
    """

    targets: tuple[TargetRow, ...] = ()
    healthy: Counter[str | None] = field(default_factory=Counter)
    connected: int = 0
    others: int = 0
    commit: CommitRow | None = None
    real: AgentRow | None = None
    trouble: str = ""

    def line(self) -> str:
        """Everything in one line, for logs and pipes."""
        parts = [
            f"{one.path}: {one.applied}/{one.agents} applied" + (f", {one.failed} failed" if one.failed else "")
            for one in self.targets
        ]
        head = f"{self.connected} connected; {_verdict(self.commit)}"
        more = [] if self.real is None else [_real(self.real)]
        return "; ".join([head, *parts, *more, *([f"trouble: {self.trouble}"] if self.trouble else [])])

    def table(self) -> RenderableType:
        """The live table."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("TARGET", overflow="fold")
        table.add_column("COMMIT")
        for name in ("REVISION", "AGENTS", "OFFERED", "APPLIED", "FAILED", "HEALTHY"):
            table.add_column(name, justify="right")
        for one in self.targets:
            done = one.agents > 0 and one.applied == one.agents
            table.add_row(
                Text(one.path),
                one.commit[:10],
                str(one.revision),
                str(one.agents),
                str(one.offered + one.applying),
                Text(str(one.applied), "green" if done else ""),
                Text(str(one.failed), "red" if one.failed else ""),
                str(self.healthy[one.path]),
            )
        foot = f"{self.connected} agents connected" + (f", {self.others} without a target" if self.others else "")
        lines = [Text(foot), Text(_verdict(self.commit), _colour(self.commit))]
        if self.real is not None:
            lines.append(Text(_real(self.real), "red" if self.real.state == "failed" else ""))
        if self.trouble:
            lines.append(Text(self.trouble, "red"))
        return Group(table, Text(""), *lines)


def _real(row: AgentRow) -> str:
    return f"real Collector: {row.state}, target {row.target or '(none)'}"


def _verdict(commit: CommitRow | None) -> str:
    if commit is None:
        return "no commit judged yet"
    text = f"last commit {commit.id[:10]} {commit.verdict}"
    words = "1 error" if commit.errors == 1 else f"{commit.errors} errors"
    return f"{text}, {words}" if commit.errors else f"{text}: {clean(commit.subject)}"


def _colour(commit: CommitRow | None) -> str:
    return "" if commit is None or not commit.errors else "red"


def clean(text: str) -> str:
    """One line without anything that a terminal would act on."""
    return "".join(one if one.isprintable() else "?" for one in text)


class Watcher:
    """Looks at a server again and again."""

    def __init__(self, view: ServerView, real_uid: str | None = None) -> None:
        """Prepares it.

        Args:
            view: of the server.
            real_uid: instance uid of the real Collector; None: there is none.
        """
        self._view = view
        self._real_uid = real_uid
        self._roster: list[AgentRow] = []
        self._roster_at = float("-inf")

    async def pictures(self) -> AsyncGenerator[Picture]:
        """A picture at each look, for ever; a server that does not answer leaves the last one, with the reason."""
        last = Picture()
        while True:
            try:
                last = await self.look()
            except Unavailable as error:
                last = replace(last, trouble=error.message)
            yield last
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> Picture:
        """The picture now.

        Raises:
            Unavailable: the server does not answer.
        """
        now = asyncio.get_running_loop().time()
        patience = ROSTER_SECONDS * (1 if len(self._roster) < MANY_AGENTS else 5)
        if now - self._roster_at >= patience:
            self._roster = await self._view.agents()
            self._roster_at = now
        commits = await self._view.commits()
        live = [one for one in self._roster if one.connected]
        return Picture(
            targets=tuple(await self._view.targets()),
            healthy=Counter(one.target for one in live if one.healthy is not False),
            connected=len(live),
            others=sum(1 for one in live if one.target is None),
            commit=commits[0] if commits else None,
            real=next((one for one in live if one.uid == self._real_uid), None),
            trouble=clean(await self._view.source_error()),
        )
