"""`verify`: whether an agent may run a payload, from the payload, its statement and a trust root. Offline, pure.

What is checked, in this order; each refusal is a `TrustError` with a code of its own:

 1. size and shape of the envelope           trust.envelope
 2. the type of what is signed               trust.payload_type
 3. signatures by enough keys of the root    trust.unsigned  trust.unknown_key  trust.signature  trust.threshold
 4. the statement, read strictly             trust.statement
 5. the source                               trust.source
 6. the revision: never a lower one          trust.revision  trust.equivocation
 7. the times                                trust.future    trust.expired
 8. selector, exceptions, variant buckets    trust.selector  trust.except  trust.buckets
 9. the objects, and their hash              trust.objects   trust.config_hash

The scheme of a key is taken from the root, never from the envelope; an envelope's key id is only a hint. Bytes are
verified first and read afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from gitsync.bundle.dsse import Envelope, pae, parse_envelope
from gitsync.bundle.statement import PAYLOAD_TYPE, Statement, read_statement
from gitsync.bundle.strict_json import parse_strict_json
from gitsync.bundle.version import ConfigObject, canonical_json, config_hash
from gitsync.errors import TrustError
from gitsync.ids import show_digest

ED25519 = "ed25519"
ECDSA_P256 = "ecdsa-sha2-nistp256"
LEEWAY = timedelta(minutes=5)
"""How far an agent's clock may be off."""
MAX_ROOT_BYTES = 1 << 16

_P = 2**255 - 19
# y coordinates of the points whose order divides 8. With such a key a signature proves nothing.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may sign.

    Attributes:
        keyid: SHA-256 of the SPKI in DER, hex.
        scheme: `ed25519` or `ecdsa-sha2-nistp256`.
        public: the SPKI in DER, base64.
    """

    keyid: str
    scheme: str
    public: str

    def spki(self) -> bytes:
        """The SPKI in DER."""
        return b64decode(self.public, validate=True)


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """Which keys may sign, and how many of them must."""

    threshold: int
    keys: tuple[PublicKey, ...]

    def as_json(self) -> bytes:
        """The file that agents and operators keep."""
        keys = [{"keyid": one.keyid, "scheme": one.scheme, "public": one.public} for one in self.keys]
        return canonical_json({"v": 1, "threshold": self.threshold, "keys": keys})


@dataclass(frozen=True, slots=True)
class Memory:
    """What a verifier must remember between calls; to be kept before the payload is handed on.

    Attributes:
        source: None before the first statement.
        revision: highest one that was accepted.
        seen: config hash by path, version and slot, of that revision.
    """

    source: str | None = None
    revision: int = 0
    seen: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def after(self, statement: Statement) -> Memory:
        """The memory once this statement, which `verify` returned, has been accepted."""
        seen = dict(self.seen) if statement.revision == self.revision else {}
        seen[_subject(statement)] = statement.config_hash
        return replace(self, source=statement.source, revision=statement.revision, seen=seen)


NO_MEMORY = Memory()


def public_key_record(spki_der: bytes) -> PublicKey:
    """The record of a public key.

    Raises:
        TrustError: `trust.key`: neither Ed25519 nor ECDSA P-256, or a point that cannot prove anything.
    """
    scheme = _scheme(_load_key(spki_der))
    return PublicKey(hashlib.sha256(spki_der).hexdigest(), scheme, b64encode(spki_der).decode())


def parse_root(data: bytes) -> TrustRoot:
    """The trust root in a file.

    Raises:
        TrustError: `trust.root`: wrong shape, an id or scheme that does not belong to its key, a key twice, a
            threshold that cannot be met. `trust.key`: an unusable key.
    """
    try:
        return _root_from(parse_strict_json(data, max_bytes=MAX_ROOT_BYTES))
    except ValueError as error:
        raise TrustError(f"the trust root cannot be used: {error}", code="trust.root") from None


def verify(
    envelope: Envelope | bytes,
    root: TrustRoot,
    memory: Memory,
    labels: Mapping[str, str] | None,
    now: datetime,
    objects: Sequence[ConfigObject] | None,
    *,
    bucket: int | None = None,
) -> Statement:
    """The statement, if all of it holds.

    Args:
        labels: the agent's own; None: whom the statement is for is not checked.
        objects: the payload; None: only the statement is checked.
        bucket: the agent's variant bucket, for statements that are limited to some.

    Raises:
        TrustError: see the list on top of this module.
    """
    # 1. and 2. Nothing is looked at that is not an envelope of ours.
    checked = envelope if isinstance(envelope, Envelope) else parse_envelope(envelope)
    if checked.payload_type != PAYLOAD_TYPE:
        raise TrustError("the envelope holds no gitsync statement", code="trust.payload_type")
    # 3. Exact bytes are verified before anything reads them.
    _check_signatures(checked, root)
    # 4.
    statement = read_statement(checked)
    # 5. and 6. An old envelope is a replay, whatever it says.
    _check_order(statement, memory)
    # 7.
    _check_times(statement, now)
    # 8.
    if labels is not None:
        _check_audience(statement, labels, bucket)
    # 9.
    if objects is not None:
        _check_objects(statement, objects)
    return statement


def _check_signatures(envelope: Envelope, root: TrustRoot) -> None:
    """At least `threshold` different keys of the root must have signed; others may have signed too."""
    if not envelope.signatures:
        raise TrustError("nobody has signed this", code="trust.unsigned")
    keys = {one.keyid: one for one in root.keys}
    message = pae(envelope.payload_type, envelope.payload)
    good: set[str] = set()
    bad = 0
    for signature in envelope.signatures:
        key = keys.get(signature.keyid)
        if key is None:
            continue
        if _holds(key, signature.sig, message):
            good.add(key.keyid)
        else:
            bad += 1
    if len(good) >= max(root.threshold, 1):
        return
    if bad:
        raise TrustError("a signature does not hold", code="trust.signature")
    if not good:
        raise TrustError("no key of the trust root has signed this", code="trust.unknown_key")
    raise TrustError(f"{len(good)} of {root.threshold} signatures that are needed", code="trust.threshold")


def _holds(key: PublicKey, sig: bytes, message: bytes) -> bool:
    public = _load_key(key.spki())
    try:
        if key.scheme == ED25519 and isinstance(public, Ed25519PublicKey):
            public.verify(sig, message)
        elif key.scheme == ECDSA_P256 and isinstance(public, EllipticCurvePublicKey):
            public.verify(sig, message, ECDSA(SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _check_order(statement: Statement, memory: Memory) -> None:
    if memory.source is not None and statement.source != memory.source:
        raise TrustError("the statement is of another source", code="trust.source")
    if statement.revision < memory.revision:
        raise TrustError(
            f"revision {statement.revision} is older than {memory.revision}, which was accepted before",
            code="trust.revision",
        )
    if statement.revision == memory.revision:
        before = memory.seen.get(_subject(statement))
        if before is not None and before != statement.config_hash:
            raise TrustError(
                f"revision {statement.revision} says two things about target {statement.path}",
                code="trust.equivocation",
            )


def _check_times(statement: Statement, now: datetime) -> None:
    if statement.issued > now + LEEWAY:
        raise TrustError(f"the statement is from the future ({statement.issued})", code="trust.future")
    if statement.expires < now - LEEWAY:
        raise TrustError(f"the statement expired at {statement.expires}", code="trust.expired")


def _check_audience(statement: Statement, labels: Mapping[str, str], bucket: int | None) -> None:
    if not statement.selects(labels):
        raise TrustError(f"the statement is for {statement.selector}, not for this agent", code="trust.selector")
    other = statement.excludes(labels)
    if other is not None:
        raise TrustError(f"another target takes this agent: {other}", code="trust.except")
    if statement.buckets is not None:
        low, high = statement.buckets
        if bucket is None or not low <= bucket < high:
            raise TrustError(f"the statement is for variant buckets {low} to {high}", code="trust.buckets")


def _check_objects(statement: Statement, objects: Sequence[ConfigObject]) -> None:
    given = {one.name: one for one in objects}
    stated = {one.name: one for one in statement.objects}
    if len(given) != len(objects):
        raise TrustError("an object is there twice", code="trust.objects")
    if given.keys() != stated.keys():
        raise TrustError("an object is missing, or there is one too many", code="trust.objects")
    for name, one in stated.items():
        found = given[name]
        if (found.content_type, found.role, len(found.body)) != (one.content_type, one.role, one.size):
            raise TrustError(f"object {name!r} has another type, role or size than stated", code="trust.objects")
        if not hmac.compare_digest(hashlib.sha256(found.body).hexdigest(), one.sha256):
            raise TrustError(f"object {name!r} has other contents than stated", code="trust.objects")
    if not hmac.compare_digest(show_digest(config_hash(objects)), statement.config_hash):
        raise TrustError("the objects do not have the stated config hash", code="trust.config_hash")


def _subject(statement: Statement) -> tuple[str, str, str]:
    return (statement.path, statement.version, statement.slot)


def _root_from(body: Any) -> TrustRoot:
    if not isinstance(body, dict) or body.keys() != {"v", "threshold", "keys"}:
        raise ValueError("its members must be v, threshold, keys")
    threshold, records = body["threshold"], body["keys"]
    if type(body["v"]) is not int or body["v"] != 1:
        raise ValueError("its version is not 1")
    if not isinstance(records, list) or not records:
        raise ValueError("it has no keys")
    keys = tuple(_key_from(one) for one in records)
    if len({one.keyid for one in keys}) != len(keys):
        raise ValueError("a key stands in it twice")
    if type(threshold) is not int or not 1 <= threshold <= len(keys):
        raise ValueError("its threshold is not between 1 and the number of keys")
    return TrustRoot(threshold, keys)


def _key_from(body: Any) -> PublicKey:
    if not isinstance(body, dict) or body.keys() != {"keyid", "scheme", "public"}:
        raise ValueError("the members of a key must be keyid, scheme, public")
    if not all(isinstance(one, str) for one in body.values()):
        raise ValueError("the members of a key must be texts")
    record = public_key_record(b64decode(body["public"], validate=True))
    if record != PublicKey(body["keyid"], body["scheme"], body["public"]):
        raise ValueError("an id, scheme or encoding does not belong to its key")
    return record


def _load_key(spki_der: bytes) -> Ed25519PublicKey | EllipticCurvePublicKey:
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError("this is no public key", code="trust.key") from None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise TrustError("only Ed25519 and ECDSA P-256 keys can be trusted", code="trust.key")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki_der:
        raise TrustError("this public key is not in its one canonical form", code="trust.key")
    return key


def _scheme(key: Ed25519PublicKey | EllipticCurvePublicKey) -> str:
    if isinstance(key, Ed25519PublicKey):
        y = int.from_bytes(key.public_bytes_raw(), "little") & ((1 << 255) - 1)
        if y >= _P or y in _SMALL_ORDER_Y:
            raise TrustError("this Ed25519 key is a weak point: anybody could sign for it", code="trust.key")
        return ED25519
    if not isinstance(key.curve, SECP256R1):
        raise TrustError("only Ed25519 and ECDSA P-256 keys can be trusted", code="trust.key")
    return ECDSA_P256
