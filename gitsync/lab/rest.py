"""`ServerView`: what the lab reads from a server's REST interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from gitsync.errors import Unavailable
from gitsync.ids import parse_digest

PAGE = 1000
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target with its agents counted.

    Attributes:
        config_hash: what its agents are to run; None when it has several payloads.
    """

    path: str
    commit: str
    revision: int
    config_hash: bytes | None
    pending: int
    offered: int
    applying: int
    applied: int
    failed: int

    @property
    def agents(self) -> int:
        """All agents that belong to it."""
        return self.pending + self.offered + self.applying + self.applied + self.failed


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent as the server sees it."""

    uid: str
    name: str
    target: str | None
    state: str
    connected: bool
    healthy: bool | None


@dataclass(frozen=True, slots=True)
class CommitRow:
    """A judged commit."""

    id: str
    subject: str
    verdict: str
    errors: int


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A publication."""

    revision: int
    commit: str
    created_at: datetime


class ServerView:
    """One server. An async context manager."""

    def __init__(self, url: str) -> None:
        """Prepares the calls; nothing is sent yet."""
        self._http = httpx.AsyncClient(base_url=f"{url.rstrip('/')}/api/v1", timeout=TIMEOUT_SECONDS, trust_env=False)

    async def __aenter__(self) -> ServerView:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def targets(self) -> list[TargetRow]:
        """Every target that exists now.

        Raises:
            Unavailable: no answer, or none that can be used; so do all other methods.
        """
        return [_target(one) for one in await self._items("/targets")]

    async def commits(self, limit: int = 1) -> list[CommitRow]:
        """The newest judged commits, newest first; empty before the first one."""
        return [
            CommitRow(one["id"], one["subject"], one["verdict"], one["errors"])
            for one in await self._items(f"/commits?limit={limit}")
        ]

    async def releases(self, limit: int = 1) -> list[ReleaseRow]:
        """The newest publications, newest first; empty before the first one."""
        return [
            ReleaseRow(one["revision"], one["commit"], datetime.fromisoformat(one["createdAt"]))
            for one in await self._items(f"/releases?limit={limit}")
        ]

    async def source_error(self) -> str:
        """What is wrong with the source that is in trouble; empty when none is."""
        return next((str(one["error"]) for one in await self._items("/sources") if one["error"]), "")

    async def agents(self) -> list[AgentRow]:
        """All agents that the server knows."""
        rows: list[AgentRow] = []
        after = ""
        while True:
            page = await self._items(f"/agents?limit={PAGE}{after}")
            rows += [
                AgentRow(
                    one["uid"],
                    one["name"],
                    one["target"],
                    one["state"],
                    one["connected"],
                    one["healthy"],
                )
                for one in page
            ]
            if len(page) < PAGE:
                return rows
            after = f"&after={quote(page[-1]['uid'])}"

    async def _items(self, path: str) -> Sequence[Any]:
        try:
            answer = await self._http.get(path)
            answer.raise_for_status()
            items = answer.json()["items"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Unavailable(
                f"the server does not answer {path}: {str(error) or type(error).__name__}", code="lab.rest"
            ) from error
        assert isinstance(items, list)
        return items


def _target(one: dict[str, Any]) -> TargetRow:
    counts = one["agents"]
    digest = one["configHash"]
    return TargetRow(
        path=one["path"],
        commit=one["commit"],
        revision=one["revision"],
        config_hash=None if digest is None else parse_digest(digest),
        pending=counts["pending"],
        offered=counts["offered"],
        applying=counts["applying"],
        applied=counts["applied"],
        failed=counts["failed"],
    )
