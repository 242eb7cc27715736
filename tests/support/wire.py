"""The agents' port without sockets: a hub, and a transport that keeps what is written.

Everything is synchronous, so that a property can be tried on thousands of byte strings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from gitsync.control.fewlines import FewLines
from gitsync.control.meters import Meters
from gitsync.control.ports import AgentHandler
from gitsync.server.listener import Hub, ListenerOptions, write_joined
from gitsync.server.post import HttpConnection
from gitsync.server.wheel import TimingWheel


class KeepingWire:
    """A transport and `Wire`.

    Attributes:
        sent: everything that was written.
        ended: `eof`, `closed` or `aborted`, when the server did that.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol: Any = protocol
        self.sent = b""
        self.ended = ""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 4321) if name == "peername" else default

    def write(self, data: bytes) -> None:
        self.sent += data

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        self.sent += b"".join(list_of_data)

    def write_eof(self) -> None:
        self.ended = self.ended or "eof"

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return self.ended in ("closed", "aborted")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def a_hub(loop: asyncio.AbstractEventLoop, handler: AgentHandler, **options: Any) -> Hub:
    """A hub that no listener turns: no deadline is ever looked at."""
    return Hub(
        ListenerOptions(**options),
        handler,
        Meters(),
        loop,
        TimingWheel(loop, 1.0),
        FewLines(logging.getLogger("gitsync.opamp"), loop.time),
        write_joined,
    )


def a_connection(hub: Hub) -> KeepingWire:
    """A connection that was just made."""
    connection = HttpConnection(hub)
    wire = KeepingWire(connection)
    connection.connection_made(wire)  # type: ignore[arg-type]  # it needs a `Wire`, and this is one
    return wire
