"""Certificates for one run: an authority, the server's and the agents', all ECDSA P-256."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, timedelta
from datetime import datetime as moment
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files."""

    authority: Path
    server_cert: Path
    server_key: Path
    agent_cert: Path
    agent_key: Path


def make_certificates(directory: Path) -> Certificates:
    """New ones, valid for a day."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _builder("bench authority", "bench authority", authority_key.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signed = authority.sign(authority_key, hashes.SHA256())
    (directory / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    for name, usage in (("server", ExtendedKeyUsageOID.SERVER_AUTH), ("agent", ExtendedKeyUsageOID.CLIENT_AUTH)):
        key = ec.generate_private_key(ec.SECP256R1())
        one = _builder(f"bench {name}", "bench authority", key.public_key())
        one = one.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        one = one.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        one = one.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        cert = one.sign(authority_key, hashes.SHA256())
        (directory / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{name}.key").write_bytes(private)
    return Certificates(
        directory / "ca.pem",
        directory / "server.pem",
        directory / "server.key",
        directory / "agent.pem",
        directory / "agent.key",
    )


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = moment.now(UTC)  # noqa: TID251 - certificates need today's date

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
