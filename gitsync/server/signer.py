"""`FileSigner`: the signing key in a file of this host."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gitsync.bundle.statements import PAYLOAD_TYPE, Signature, pae
from gitsync.bundle.verify import PublicKey, TrustRoot, public_key_record
from gitsync.errors import SettingsError
from gitsync.server.private_file import create_private, read_private

KEY_FILE = "signing.key"


class FileSigner:
    """The driver of the port `Signer` with an Ed25519 key in a PEM file (PKCS #8, mode 0600)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._record = public_key_record(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @classmethod
    def load(cls, path: Path) -> FileSigner | None:
        """The signer of a key file; None when there is no such file.

        Raises:
            SettingsError: others may read it, or it holds no Ed25519 key without a passphrase (`signing.key_file`).
        """
        body = read_private(path)
        if body is None:
            return None
        try:
            key = load_pem_private_key(body, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError(
                f"{path} holds no Ed25519 private key",
                code="signing.key_file",
                hint="it must be PEM (PKCS #8) without a passphrase, as `gitsync keys init` makes it",
            )
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> tuple[FileSigner, bool]:
        """The signer of a key file, made at the first start.

        Args:
            path: of the key file, or the data directory that has `signing.key` in it.

        Returns:
            The signer, and whether the key was made just now.

        Raises:
            SettingsError: as `load`, or the file cannot be made.
        """
        path = path / KEY_FILE if path.is_dir() else path
        found = cls.load(path)
        if found is not None:
            return found, False
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        created = create_private(path, pem)
        # Read again also when this call made it: what is used is what the next start will find.
        found = cls.load(path)
        if found is None:
            raise SettingsError(f"{path} went away while it was made", code="signing.key_file")
        return found, created

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key's SPKI, hex."""
        return self._record.keyid

    @property
    def public_key(self) -> PublicKey:
        """The public half, as trust roots name it."""
        return self._record

    def root(self) -> bytes:
        """JSON of a trust root with this key alone."""
        return TrustRoot(1, (self._record,)).as_json()

    async def sign(self, bodies: Sequence[bytes]) -> Sequence[Signature]:
        """A signature of each statement body; in a thread, as ten thousand take about half a second."""
        return await asyncio.to_thread(self._sign, bodies)

    def _sign(self, bodies: Sequence[bytes]) -> list[Signature]:
        return [Signature(self._record.keyid, self._key.sign(pae(PAYLOAD_TYPE, body))) for body in bodies]
