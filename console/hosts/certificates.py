"""The three PEM texts of mutual TLS, checked before they are kept: form, kinship, dates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.utils.translation import gettext as _

SIZE_LIMIT = 64 * 1024


class BadPem(Exception):
    """A PEM text that cannot be used: ``field`` names it, ``sentence`` says why and what to do."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(field)
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What mutual TLS needs. ``expires_at`` is when the client certificate ends."""

    ca_pem: str
    certificate_pem: str
    key_pem: str = field(repr=False)
    expires_at: datetime

    @property
    def credentials(self) -> dict[str, str]:
        """The texts in the shape of ``Host.credentials``."""
        return {"ca_pem": self.ca_pem, "certificate_pem": self.certificate_pem, "key_pem": self.key_pem}


def _certificates(text: str, *, field: str) -> list[x509.Certificate]:
    if len(text) > SIZE_LIMIT:
        raise BadPem(field, _("This is larger than 64 KiB. A PEM certificate has a few KiB."))
    if "PRIVATE KEY-----" in text:
        raise BadPem(field, _("This holds a private key. Enter only the certificate here, the key in its own field."))
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise BadPem(field, _("This is no PEM certificate: it should begin with -----BEGIN CERTIFICATE-----."))
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise BadPem(
            field,
            _("This certificate cannot be read; it may be cut off. Copy the whole file with both marker lines."),
        ) from error
    return found


def _check_dates(certificate: x509.Certificate, *, field: str, now: datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise BadPem(
            field,
            _("This certificate ended on %(date)s. Have a new one made.")
            % {"date": certificate.not_valid_after_utc.date().isoformat()},
        )
    if certificate.not_valid_before_utc > now:
        raise BadPem(
            field,
            _("This certificate is not valid before %(date)s. Check the clock of this machine, or wait.")
            % {"date": certificate.not_valid_before_utc.date().isoformat()},
        )


def _check_authority(certificate: x509.Certificate) -> None:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        # Old home-made authorities have no extensions; they are then signed by themselves.
        is_authority = certificate.issuer == certificate.subject
    except ValueError:
        is_authority = False
    else:
        is_authority = constraints.ca
    if not is_authority:
        raise BadPem(
            "ca_pem",
            _("This certificate is no CA's, so it cannot vouch for the engine. Enter the CA's, often named ca.pem."),
        )


def _key(text: str) -> PrivateKeyTypes:
    if len(text) > SIZE_LIMIT:
        raise BadPem("key_pem", _("This is larger than 64 KiB. A PEM key has a few KiB."))
    if "PRIVATE KEY-----" not in text:
        raise BadPem("key_pem", _("This is no PEM key: it should begin with -----BEGIN PRIVATE KEY----- or similar."))
    encrypted = _("This key is locked with a password. Enter it unlocked: openssl pkey -in key.pem -out unlocked.pem.")
    if "ENCRYPTED" in text:
        raise BadPem("key_pem", encrypted)
    try:
        return load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise BadPem("key_pem", encrypted) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # The library's own words could repeat parts of the key.
        raise BadPem(
            "key_pem",
            _("This key cannot be read; it may be cut off. Copy the whole file with both marker lines."),
        ) from error


def read_bundle(*, ca_pem: str, certificate_pem: str, key_pem: str, now: datetime) -> Bundle:
    """Check the three texts against each other and the clock. Raises ``BadPem`` for the first that will not do."""
    for authority in _certificates(ca_pem, field="ca_pem"):
        _check_authority(authority)
        _check_dates(authority, field="ca_pem", now=now)
    certificate = _certificates(certificate_pem, field="certificate_pem")[0]
    _check_dates(certificate, field="certificate_pem", now=now)
    key = _key(key_pem)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise BadPem(
            "key_pem", _("This key does not belong to the client certificate. Enter the one it was made with.")
        )
    return Bundle(
        ca_pem=ca_pem.strip() + "\n",
        certificate_pem=certificate_pem.strip() + "\n",
        key_pem=key_pem.strip() + "\n",
        expires_at=certificate.not_valid_after_utc,
    )
