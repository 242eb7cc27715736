"""Every exception that gitsync raises on purpose, in families by who must act.

    GitsyncError
    ├── InvalidConfig    the author of a file must change it
    ├── SettingsError    the operator must change a setting, a credential or a file of this host
    ├── ProtocolError    the peer sent what its protocol forbids; carries the wire code
    ├── TrustError       a signature, digest or identity does not hold; never retried
    ├── Unavailable      something is away for now; try again after `retry_after`
    └── Conflict         another writer was first; read again and decide again

What a user wrote wrongly in a config repository is a value (`gitsync.diagnostics.Diagnostic`), not an exception.
Each error has a stable `code` for the API, the audit log and metrics.
"""

from __future__ import annotations

from datetime import timedelta


class GitsyncError(Exception):
    """Root of all errors that gitsync raises on purpose.

    Attributes:
        code: stable, lower-case, dotted; never reworded (`source.rewritten`).
        hint: what the reader can do about it; may be empty.
        retryable: whether the same call may succeed later without anybody acting.
    """

    retryable = False

    def __init__(self, message: str, *, code: str = "internal", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} ({self.hint})" if self.hint else text

    @property
    def message(self) -> str:
        """The text without the hint."""
        return super().__str__()


class InvalidConfig(GitsyncError):
    """A file that a user wrote cannot be used, and no diagnostics can be returned at this place."""


class SettingsError(GitsyncError):
    """A setting, credential or file of this host is missing or wrong."""


class ProtocolError(GitsyncError):
    """A peer broke its protocol.

    Attributes:
        status: the HTTP status, or the WebSocket close code, that tells the peer.
    """

    def __init__(self, message: str, *, code: str = "protocol", status: int = 400, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status


class TrustError(GitsyncError):
    """A signature, digest, statement or identity does not hold."""


class Unavailable(GitsyncError):
    """Something that is needed is away for now.

    Attributes:
        retry_after: how long to wait before trying again; None: the caller's own backoff.
    """

    retryable = True

    def __init__(
        self, message: str, *, code: str = "unavailable", hint: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class Conflict(GitsyncError):
    """Another writer was first; nothing was written."""

    retryable = True
