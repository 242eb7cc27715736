"""TLS of the agents' port: the files, the context made of them, and what happens when they change.

TLS 1.3 only. No session tickets: agents do not resume sessions, and tickets cost a third of the handshake; a resumed
session would also keep a client certificate that a new CA file no longer allows.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from gitsync.errors import SettingsError

log = logging.getLogger("gitsync.opamp")

ClientAuth = Literal["none", "request", "require"]

_VERIFY = {"none": ssl.CERT_NONE, "request": ssl.CERT_OPTIONAL, "require": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Files and policy.

    Attributes:
        cert_file: certificate of the server and its chain, PEM.
        key_file: its private key, PEM, without a passphrase.
        client_ca_file: authorities of client certificates, PEM; needed unless `client_auth` is `none`.
        client_auth: `request`: a client may come without a certificate, but not with a wrong one.
        look_every: how often changed files are looked for, at most, and only while agents connect.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth: ClientAuth = "none"
    look_every: timedelta = timedelta(seconds=5)


def load_context(options: TlsOptions) -> ssl.SSLContext:
    """The server's context; reads all files.

    Raises:
        SettingsError: `tls.files`: a file is missing or not what it should be; `tls.client-ca`: none is given.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    try:
        # A password, though an empty one: without it OpenSSL asks on the terminal for that of an encrypted key.
        context.load_cert_chain(options.cert_file, options.key_file, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"cannot use the certificate {options.cert_file} with the key {options.key_file}: {_reason(error)}",
            code="tls.files",
            hint="both must be PEM, belong together, and the key must have no passphrase",
        ) from error
    if options.client_auth == "none":
        return context
    if options.client_ca_file is None:
        raise SettingsError(
            f"client certificates are asked for ({options.client_auth}), but no client CA file is given",
            code="tls.client-ca",
        )
    try:
        context.load_verify_locations(options.client_ca_file)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"cannot use the client CA file {options.client_ca_file}: {_reason(error)}",
            code="tls.files",
            hint="it must hold one or more certificates in PEM",
        ) from error
    context.verify_mode = _VERIFY[options.client_auth]
    return context


class Certificates:
    """The context for new connections; made anew when a file has changed. Open connections keep theirs."""

    __slots__ = ("_context", "_looked_at", "_loop", "_options", "_reloads", "_stamps")

    def __init__(self, options: TlsOptions, loop: asyncio.AbstractEventLoop, reloads: Counter[str]) -> None:
        """Reads all files.

        Args:
            options: which files.
            loop: for its clock.
            reloads: counts what came of changed files: success, error.

        Raises:
            SettingsError: see `load_context`.
        """
        self._options = options
        self._loop = loop
        self._reloads = reloads
        self._stamps = self._stamp()
        self._context = load_context(options)
        self._looked_at = loop.time()

    def context(self) -> ssl.SSLContext:
        """For the next handshake. New files that cannot be used change nothing, and are logged as an error, once."""
        now = self._loop.time()
        if now - self._looked_at >= self._options.look_every.total_seconds():
            self._looked_at = now
            stamps = self._stamp()
            if stamps != self._stamps:
                self._stamps = stamps
                self._reload()
        return self._context

    def _reload(self) -> None:
        try:
            self._context = load_context(self._options)
        except SettingsError as error:
            self._reloads["error"] += 1
            log.error("the new TLS files are not used, agents go on with the old ones: %s", error)  # noqa: TRY400 - no use in a traceback
        else:
            self._reloads["success"] += 1
            log.info("the TLS files have changed; new connections use them")

    def _stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        options = self._options
        return tuple(_file_stamp(path) for path in (options.cert_file, options.key_file, options.client_ca_file))


def _file_stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file does; None: there is none."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)


def handshake_fault(error: ssl.SSLError) -> str:
    """Why a handshake failed, in words for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client certificate is refused: {error.verify_message}"
    # The stub says `str`, but there are errors without a reason.
    reason: str | None = error.reason
    match reason:
        case "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return "the client shows no certificate, and one is required"
        case "HTTP_REQUEST" | "HTTPS_PROXY_REQUEST":
            return "the client speaks plain HTTP; this port speaks TLS"
        case "UNSUPPORTED_PROTOCOL" | "WRONG_VERSION_NUMBER":
            return "the client does not speak TLS 1.3"
    return f"the TLS handshake failed: {(reason or 'unknown').replace('_', ' ').lower()}"
