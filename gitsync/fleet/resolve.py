"""From the stored form of connection settings and the secrets that it names to settings that can be offered. Pure.

Complete or not made: whatever is missing or broken is a problem in words, and then there are no settings at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gitsync.bundle.connection import OPAMP, OTHER, TELEMETRY, fill_in, secret_names
from gitsync.opamp.connection import Certificate, ConnectionSettings, Destination

MAX_BYTES = 256 * 1024
"""Of all texts of one target's settings; each agent gets them in one message."""


class Incomplete(ValueError):
    """The settings cannot be offered; the text says why, without any secret."""


def resolve(connection: Mapping[str, Any], secrets: Mapping[str, str], now: datetime) -> ConnectionSettings:
    """The settings, filled in.

    Args:
        connection: as a target version has it (`bundle.connection`).
        secrets: what could be read, by name.

    Raises:
        Incomplete: a secret is missing or cannot stand where it should, or a certificate cannot be used.
    """
    missing = sorted(secret_names(connection) - secrets.keys())
    if missing:
        raise Incomplete(f"the secret {missing[0]} is not there")
    filled = _Filler(secrets, now)
    found = {key: filled.destination(key, one) for key, one in connection.items() if key != OTHER}
    other = {name: filled.destination(f"other.{name}", one) for name, one in connection.get(OTHER, {}).items()}
    if filled.size > MAX_BYTES:
        raise Incomplete(f"the settings have {filled.size} bytes, more than {MAX_BYTES}")
    metrics, traces, logs = (found.get(key) for key in TELEMETRY)
    heartbeat = connection[OPAMP]["heartbeat"] if OPAMP in connection else 30
    return ConnectionSettings(found.get(OPAMP), heartbeat, metrics, traces, logs, other)


class _Filler:
    """Fills destinations in, and counts what they come to."""

    def __init__(self, secrets: Mapping[str, str], now: datetime) -> None:
        self._secrets = secrets
        self._now = now
        self.size = 0

    def destination(self, where: str, one: Mapping[str, Any]) -> Destination:
        headers = tuple((name, self._line(f"{where}.headers.{name}", text)) for name, text in one["headers"].items())
        settings = tuple((name, self._text(text)) for name, text in one.get("settings", {}).items())
        certificate = None if one["certificate"] is None else self._certificate(where, one["certificate"])
        return Destination(self._text(one["endpoint"]), headers, certificate, settings)

    def _text(self, text: str) -> str:
        filled = fill_in(text, self._secrets)
        self.size += len(filled)
        return filled

    def _line(self, where: str, text: str) -> str:
        filled = self._text(text)
        if not filled or not filled.isprintable():
            raise Incomplete(f"{where} is empty, or has more than one line")
        return filled

    def _certificate(self, where: str, one: Mapping[str, str]) -> Certificate:
        # A secret comes without its last line end, and some readers of PEM want one.
        found = Certificate(*(self._text(one[key]).rstrip().encode() + b"\n" for key in ("cert", "key", "ca")))
        fault = certificate_fault(found, self._now)
        if fault:
            raise Incomplete(f"{where}.certificate: {fault}")
        return found


def certificate_fault(found: Certificate, now: datetime) -> str:
    """Why agents could not connect with this certificate; "" when nothing is seen."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        chain = x509.load_pem_x509_certificates(found.cert)
        authorities = x509.load_pem_x509_certificates(found.ca)
        public = chain[0].public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return "cert or ca is no certificate in PEM"
    try:
        mine = load_pem_private_key(found.key, None).public_key().public_bytes(*form)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "key is no private key in PEM without a password"
    if public != mine:
        return "key is not that of cert"
    for name, one in (("cert", chain[0]), *(("ca", each) for each in authorities)):
        if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            return f"{name} is valid from {one.not_valid_before_utc:%Y-%m-%d} to {one.not_valid_after_utc:%Y-%m-%d}"
    return ""
