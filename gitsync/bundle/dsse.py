"""DSSE: an envelope around exact bytes, and what is signed of them (DSSE v1.0).

Nothing here trusts anything: `verify` decides. The JSON form has exactly the members of the specification.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.bundle.strict_json import parse_strict_json
from gitsync.bundle.version import canonical_json
from gitsync.errors import TrustError

MAX_ENVELOPE_BYTES = 1 << 20
MAX_SIGNATURES = 16
MAX_KEYID_CHARS = 128


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature.

    Attributes:
        keyid: names the key that made it; only a hint, what it says is not signed.
        sig: the raw signature.
    """

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Bytes, what they are, and who signed them."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def as_json(self) -> bytes:
        """The envelope's JSON, canonical, with standard base64."""
        return canonical_json(
            {
                "payload": b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [{"keyid": one.keyid, "sig": b64encode(one.sig).decode()} for one in self.signatures],
            }
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: type and payload, each with its length, so that neither can pass for the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes) -> Envelope:
    """The envelope of a JSON text that may come from anybody.

    Raises:
        TrustError: `trust.envelope`: larger than 1 MiB, too deep, repeated or unknown members, wrong types, base64
            that is not canonical, a byte order mark, bytes after the end.
    """
    try:
        return _envelope_from(parse_strict_json(data, max_bytes=MAX_ENVELOPE_BYTES))
    except ValueError as error:
        raise TrustError(f"this is no signature envelope: {error}", code="trust.envelope") from None


def _envelope_from(body: Any) -> Envelope:
    members = _members(body, ("payload", "payloadType", "signatures"))
    signatures = members["signatures"]
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise ValueError(f"signatures is no list of at most {MAX_SIGNATURES}")
    return Envelope(
        _text(members["payloadType"], "payloadType"),
        _base64(members["payload"], "payload"),
        tuple(_signature_from(one) for one in signatures),
    )


def _signature_from(body: Any) -> Signature:
    members = _members(body, ("keyid", "sig"))
    return Signature(_text(members["keyid"], "keyid"), _base64(members["sig"], "sig"))


def _members(body: Any, names: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("an object is missing")  # noqa: TRY004  (one kind of error leaves this module)
    if body.keys() != set(names):
        raise ValueError(f"the members must be {', '.join(names)}")
    return body


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_KEYID_CHARS:
        raise ValueError(f"{name} is no text of 1 to {MAX_KEYID_CHARS} characters")
    return value


def _base64(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004
    raw = b64decode(value, validate=True)
    if b64encode(raw).decode() != value:
        raise ValueError(f"{name} is not canonical base64")
    return raw
