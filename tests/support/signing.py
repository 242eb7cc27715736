"""Keys and signed statements for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitsync.bundle.dsse import Envelope, Signature, pae
from gitsync.bundle.statement import PAYLOAD_TYPE, StatedCommit, StatedObject, Statement
from gitsync.bundle.verify import PublicKey, TrustRoot, public_key_record
from gitsync.bundle.version import ConfigObject, config_hash
from gitsync.ids import show_digest
from gitsync.labels import Selector

ISSUED = datetime(2026, 1, 10, tzinfo=UTC)
NOW = ISSUED + timedelta(days=1)
OBJECTS = (ConfigObject("collector.yaml", "text/yaml", "", b"receivers:\n"),)


@dataclass(frozen=True)
class Key:
    """A private key with the record of its public half."""

    private: Ed25519PrivateKey | EllipticCurvePrivateKey
    record: PublicKey

    @classmethod
    def ed25519(cls, seed: int = 1) -> Key:
        """The same key for the same seed."""
        return cls._of(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))

    @classmethod
    def p256(cls) -> Key:
        """A new key."""
        return cls._of(generate_private_key(SECP256R1()))

    @classmethod
    def _of(cls, private: Ed25519PrivateKey | EllipticCurvePrivateKey) -> Key:
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private, public_key_record(spki))

    def sign(self, body: bytes, payload_type: str = PAYLOAD_TYPE) -> Signature:
        """A DSSE signature."""
        message = pae(payload_type, body)
        if isinstance(self.private, Ed25519PrivateKey):
            return Signature(self.record.keyid, self.private.sign(message))
        return Signature(self.record.keyid, self.private.sign(message, ECDSA(SHA256())))


KEY = Key.ed25519()
ROOT = TrustRoot(1, (KEY.record,))


def stated(objects: Sequence[ConfigObject]) -> tuple[StatedObject, ...]:
    """What a statement says about these objects."""
    return tuple(
        StatedObject(one.name, one.content_type, one.role, len(one.body), config_hash([one]).hex()) for one in objects
    )


STATEMENT = Statement(
    source="default",
    revision=100,
    kind="publish",
    commit=StatedCommit("a" * 40, "b" * 40, "Ada <ada@example.com>", ISSUED, "a subject"),
    path="agents/env=prod",
    version="sha256:" + "c" * 64,
    slot="-",
    selector=Selector.labels(env="prod"),
    excepts=(Selector.labels(env="prod", region="eu"),),
    aliases={"env": ("deployment.environment",)},
    assumed=(),
    buckets=None,
    config_hash=show_digest(config_hash(OBJECTS)),
    objects=stated(OBJECTS),
    issued=ISSUED,
    expires=ISSUED + timedelta(days=14),
)


def a_statement(**changes: object) -> Statement:
    """The usual statement with some members changed."""
    return replace(STATEMENT, **changes)  # type: ignore[arg-type]


def signed(statement: Statement | bytes = STATEMENT, *keys: Key) -> Envelope:
    """An envelope with a signature by each key (by the usual one if none is named)."""
    body = statement if isinstance(statement, bytes) else statement.as_json()
    return Envelope(PAYLOAD_TYPE, body, tuple(key.sign(body) for key in keys or (KEY,)))
