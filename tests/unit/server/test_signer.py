from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from gitsync.bundle.statements import PAYLOAD_TYPE, pae
from gitsync.bundle.verify import parse_root
from gitsync.errors import SettingsError
from gitsync.server.private_file import create_private, read_private
from gitsync.server.signer import FileSigner


def write_key(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    path.chmod(0o600)
    return path


async def test_what_it_signs_holds_under_the_root_that_it_exports(tmp_path: Path) -> None:
    signer, _ = FileSigner.load_or_create(tmp_path / "signing.key")
    bodies = [b'{"a":1}', b""]
    signatures = await signer.sign(bodies)
    (key,) = parse_root(signer.root()).keys
    public = load_der_public_key(key.spki())
    for body, signature in zip(bodies, signatures, strict=True):
        assert signature.keyid == key.keyid == signer.keyid
        public.verify(signature.sig, pae(PAYLOAD_TYPE, body))  # type: ignore[union-attr, call-arg]  # Ed25519


def test_the_first_start_makes_a_key_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "state" / "signing.key"
    signer, created = FileSigner.load_or_create(path)
    assert created
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    again, created = FileSigner.load_or_create(path)
    assert (again.keyid, created) == (signer.keyid, False)


def test_a_directory_stands_for_the_key_in_it(tmp_path: Path) -> None:
    signer, _ = FileSigner.load_or_create(tmp_path)
    found = FileSigner.load(tmp_path / "signing.key")
    assert found is not None
    assert found.keyid == signer.keyid


def test_the_export_holds_no_private_half(tmp_path: Path) -> None:
    signer, _ = FileSigner.load_or_create(tmp_path)
    raw = (tmp_path / "signing.key").read_text().splitlines()[1]
    assert raw not in signer.root().decode()
    assert parse_root(signer.root()).threshold == 1


def test_no_file_is_no_signer(tmp_path: Path) -> None:
    assert FileSigner.load(tmp_path / "signing.key") is None


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    FileSigner.load_or_create(tmp_path)
    (tmp_path / "signing.key").chmod(0o604)
    with pytest.raises(SettingsError) as caught:
        FileSigner.load_or_create(tmp_path)
    assert caught.value.code == "file.permissions"


def pem(key: object, encryption: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not a key",
        pem(generate_private_key(SECP256R1()), NoEncryption()),
        pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "garbage", "another kind of key", "with a passphrase"],
)
def test_a_file_without_a_usable_key_is_refused_and_left_alone(tmp_path: Path, body: bytes) -> None:
    path = write_key(tmp_path / "signing.key", body)
    with pytest.raises(SettingsError) as caught:
        FileSigner.load_or_create(path)
    assert caught.value.code == "signing.key_file"
    assert path.read_bytes() == body


def test_an_existing_private_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert create_private(path, b"first")
    assert not create_private(path, b"second")
    assert read_private(path) == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_a_pipe_in_the_place_of_a_private_file_does_not_hang_the_start(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    with pytest.raises(SettingsError):
        read_private(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError) as caught:
        create_private(tmp_path / "file" / "key", b"x")
    assert caught.value.code == "file.unwritable"
    assert str(tmp_path / "file" / "key") in str(caught.value)
