"""The secrets that senders of webhooks share with this server."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("gitsync.webhooks")
MAX_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """A file of secrets, one a line, any of them counts: the new one and the old one while it is renewed.

    Attributes:
        file: read again on each use, so that a renewed secret needs no restart; None: no delivery is taken.
    """

    file: Path | None = None

    def load(self) -> tuple[bytes, ...]:
        """The secrets now; empty when there is no file, or it cannot be read (which is logged)."""
        if self.file is None:
            return ()
        try:
            with self.file.open("rb") as file:
                body = file.read(MAX_FILE_BYTES)
        except OSError as error:
            log.warning("the webhook secrets cannot be read: %s: %s", self.file, error.strerror)
            return ()
        return tuple(line.strip() for line in body.splitlines() if line.strip())
