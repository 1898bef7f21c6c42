"""Certificates of every kind, and what people enter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: str
    key: str
    locked_key: str


def make_pair(
    *, is_ca: bool = False, begins: timedelta = timedelta(days=-1), ends: timedelta = timedelta(days=90)
) -> Pair:
    """A self-signed certificate with its key; dates count from now."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )

    def pem(encryption: KeySerializationEncryption) -> str:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()

    return Pair(
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        key=pem(NoEncryption()),
        locked_key=pem(BestAvailableEncryption(b"secret")),
    )


CA = make_pair(is_ca=True)
CLIENT = make_pair()


@pytest.fixture
def socket_form() -> dict[str, Any]:
    """A host behind a socket."""
    return {"name": "build-01", "driver": "docker", "security": "socket", "url": "unix:///run/build.sock"}


@pytest.fixture
def tls_form() -> dict[str, Any]:
    """A host with TLS."""
    return {
        "name": "far",
        "driver": "docker",
        "security": "tls",
        "url": "tcp://127.0.0.1:2376",
        "ca_pem": CA.certificate,
        "certificate_pem": CLIENT.certificate,
        "key_pem": CLIENT.key,
    }
